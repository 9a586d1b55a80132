# run: morc inspect $MODELS/tiny/if_branches.onnx
