# run: morc inspect $MODELS/tiny/strange_names.onnx
