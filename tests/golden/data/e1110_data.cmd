# run: morc data describe; morc data show x.npz; morc data describe ../../models/pylm-1m/model.onnx; morc data describe x.npz --device cuda
