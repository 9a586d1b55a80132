# run: morc inspect $MODELS/tiny/function_called_twice.onnx
