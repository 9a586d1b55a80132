# run: morc inspect ../../models/pylm-1m/model.onnx 'siblings("**.up_proj") & block(0)'
