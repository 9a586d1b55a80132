# run: morc inspect $MODELS/silero/silero_vad.onnx
