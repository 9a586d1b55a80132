# run: morc inspect ../../models/pylm-1m/model.onnx
