"""Convolutional nets quantized with data: GPTQ of every kind of Conv, the recipes for them, and what
PP-OCRv4 reads afterwards."""
import functools
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from harness import MODELS, ROOT, add_case, case

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import ocr_lines  # noqa: E402

# shape of the weight, shape of the input without the batch, attributes
WALKS = {
    "plain": ((8, 16, 1, 1), (16, 9, 7), {}),
    "padded and strided": ((8, 6, 3, 3), (6, 12, 9), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "depthwise": ((12, 1, 3, 3), (12, 10, 10), {"group": 12, "pads": [1, 1, 1, 1]}),
    "grouped": ((8, 4, 3, 2), (8, 11, 9), {"group": 2, "strides": [1, 2]}),
    "dilated": ((6, 4, 3, 3), (4, 13, 12), {"dilations": [2, 3]}),
    "same upper": ((6, 4, 4, 3), (4, 11, 10), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((6, 4, 4, 3), (4, 11, 10), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((6, 4, 2, 3), (4, 11, 10), {"auto_pad": "VALID"}),
    "signal": ((6, 4, 5), (4, 40), {"strides": [3], "pads": [2, 2]}),
    "volume": ((4, 3, 2, 3, 2), (3, 7, 8, 6), {"pads": [0, 1, 0, 1, 1, 0]}),
}


def run(model, **inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    source = str(model) if not isinstance(model, onnx.ModelProto) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def conv_model(path, weight, size, attributes):
    value = helper.make_tensor_value_info
    sides = len(weight.shape) - 2
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", **attributes)
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, ["n", *size])],
                              [value("y", TensorProto.FLOAT, ["n", weight.shape[0]] + [None] * sides)],
                              [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def smooth_noise(random, shape):
    """Neighbours are alike, channels too, and no channel has a mean of 0: what activations are."""
    x = random.standard_normal(shape)
    for axis in range(1, len(shape)):
        x = x + np.roll(x, 1, axis)
    return (x + random.standard_normal((1, shape[1]) + (1,) * (len(shape) - 2))).astype(np.float32)


def check_walk(shape, size, attributes, box):
    random = np.random.default_rng(5)
    weight = random.standard_normal(shape).astype(np.float32)
    conv_model(box.dir / "m.onnx", weight, size, attributes)
    x = smooth_noise(random, (32, *size))
    np.savez(box.dir / "calib.npz", x=x)
    wanted = run(box.dir / "m.onnx", x=x)[0]
    errors = []
    for how in ("nearest", "gptq"):
        out = box.compress(f'data calib = npz("calib.npz", batch = 5)\ncalibrate(data = calib)\n'
                           f"on conv {{ quantize(weight = int4 per channel, round = {how}) }}",
                           box.dir / "m.onnx", how + ".onnx")
        errors.append(float(((run(out, x=x)[0] - wanted) ** 2).mean()))
    assert errors[1] < 0.7 * errors[0], f"squared error {errors[1]}, nearest has {errors[0]}"


for _name, _row in WALKS.items():
    add_case(f"conv/gptq {_name}", functools.partial(check_walk, *_row))


# ---- the recipes

OCR = MODELS / "ppocr"
REC = OCR / "ch_PP-OCRv4_rec_infer.onnx"


def recipe(name):
    path = ROOT / "recipes" / f"{name}.mor"
    text = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert len(text) <= 10, f"{path} has {len(text)} lines"
    return path


def check_agreement(name, least, box):
    np.savez(box.dir / "calib.npz", x=ocr_lines.lines(1, 64))
    box.morc(recipe(name), REC, "-o", "out.onnx", "--data", "calib=calib.npz", timeout=600)
    onnx.checker.check_model(str(box.dir / "out.onnx"), full_check=True)
    every, seen, whole = ocr_lines.agreement(REC, box.dir / "out.onnx", ocr_lines.lines(2, 64))
    assert every >= least, f"{every:.4f} of the steps agree, {seen:.4f} of characters, {whole:.3f} of lines"


for _name, _least in (("conv_int8", 0.97), ("conv_fp8", 0.99)):
    add_case(f"conv/PP-OCRv4 reads by {_name}", functools.partial(check_agreement, _name, _least))
