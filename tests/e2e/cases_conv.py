"""Convolutional nets and diffusion models quantized with data: GPTQ of every kind of Conv, the recipes
for them, and what PP-OCRv4 reads afterwards."""
import functools
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from harness import MODELS, ROOT, add_case
from running import page

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import make_diffusion  # noqa: E402
import ocr_lines  # noqa: E402

# shape of the weight, shape of the input without the batch, attributes; kind: of the node, form: of the codes
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
    "transposed": ((6, 8, 3, 2), (6, 7, 6), {"kind": "ConvTranspose"}),
    "transposed, strided": ((6, 8, 4, 3), (6, 7, 6), {"kind": "ConvTranspose", "strides": [2, 3], "pads": [1, 0, 2, 1],
                                                      "output_padding": [1, 2], "dilations": [1, 2]}),
    "transposed, grouped": ((8, 3, 3, 3), (8, 6, 6), {"kind": "ConvTranspose", "group": 2, "strides": [2, 2],
                                                      "form": "int4"}),
    "transposed signal": ((6, 8, 5), (6, 21), {"kind": "ConvTranspose", "strides": [3], "pads": [2, 2]}),
    "blocks": ((8, 32, 3, 3), (32, 9, 8), {"pads": [1, 1, 1, 1], "form": "int4 per block(16)"}),
    "blocks, transposed": ((32, 8, 3, 3), (32, 7, 6), {"kind": "ConvTranspose", "strides": [2, 2],
                                                       "form": "uint4 per block(16)"}),
    "blocks of one place": ((8, 32, 1, 1), (32, 9, 8), {"form": "int4 per block(16)"}),
    "blocks of one place, transposed": ((32, 8, 1, 1), (32, 9, 8), {"kind": "ConvTranspose",
                                                                    "form": "int4 per block(16)"}),
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
    kind = attributes.get("kind", "Conv")
    attributes = {k: v for k, v in attributes.items() if k not in ("kind", "form")}
    node = helper.make_node(kind, ["x", "w"], ["y"], "conv", **attributes)
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, ["n", *size])],
                              [value("y", TensorProto.FLOAT, [None] * len(weight.shape))],
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
    errors, form = [], attributes.get("form", "int4 per channel")
    for how in ("nearest", "gptq"):
        out = box.compress(f'data calib = npz("calib.npz", batch = 5)\ncalibrate(data = calib)\n'
                           f"on conv {{ quantize(weight = {form}, round = {how}) }}",
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


# ---- valid models, whatever the net


def pictures(*shape):
    random = np.random.default_rng(3)
    return {"x": np.concatenate([page((1, *shape), random) for _ in range(4)])}


def speech(names):
    """Tones in noise, a state of zeros, both sampling rates: inputs of silero-vad, by name."""
    random = np.random.default_rng(3)
    time = np.arange(576) / 16000
    x = np.stack([np.sin(2 * np.pi * random.uniform(80, 900) * time) * random.uniform(0.05, 0.5) +
                  random.normal(0, 0.02, 576) for _ in range(16)]).astype(np.float32)
    zeros = np.zeros((1, 1, 1, 128), np.float32)
    every = {"state": np.zeros((16, 2, 1, 128), np.float32), "h": zeros, "c": zeros,
             "sr": np.array([16000, 8000] * 8, np.int64), "input": x[None] if "h" in names else x}
    return {name: every[name] for name in names}


# silero_vad.onnx is not here: its two rates want inputs of two lengths, and one array has one.
NETS = {
    "ppocr/ch_PP-OCRv4_det_infer": (3, 160, 160),
    "ppocr/ch_PP-OCRv4_rec_infer": (3, 48, 96),
    "ppocr/ch_ppocr_mobile_v2.0_cls_infer": (3, 48, 192),
    "silero/silero_vad_16k_op15": None,
    "silero/silero_vad_half": None,
    "silero/silero_vad_op18_ifless": None,
    "silero/silero_vad_16k_sequence": None,
}


def check_valid(stem, shape, name, box):
    source = MODELS / f"{stem}.onnx"
    names = [i.name for i in onnx.load(source).graph.input]
    data = pictures(*shape) if shape else speech(names)
    np.savez(box.dir / "calib.npz", **data)
    early = ["-p", "early=2"] if name == "conv_fp8" else []
    box.morc(recipe(name), source, "-o", "out.onnx", "--data", "calib=calib.npz", *early, timeout=600)
    made = onnx.load(box.dir / "out.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert b"QuantizeLinear" in made.SerializeToString(), "nothing is quantized"
    whole = {"state", "h", "c", "sr"}
    inputs = {k: np.asarray(v[0]) if k in whole or "h" in names else v[:1] for k, v in data.items()}
    for wanted, got in zip(run(source, **inputs), run(box.dir / "out.onnx", **inputs)):
        assert wanted.shape == got.shape and np.isfinite(got).all(), (wanted.shape, got.shape)


for _stem, _shape in NETS.items():
    for _name in ("conv_int8", "conv_fp8"):
        add_case(f"conv/{_name} of {_stem.split('/')[1]}",
                 functools.partial(check_valid, _stem, _shape, _name))


# ---- diffusion


# name: largest share of error in the output, of a UNet and of a transformer with random weights
DIFFUSION = {"diffusion_fp8": (0.15, 0.06), "diffusion_int8": (0.15, 0.03)}


def check_diffusion(name, most, box):
    make_diffusion.write(box.dir)
    for stem, bound in zip(("unet", "dit"), most):
        source, out = box.dir / f"{stem}.onnx", box.dir / f"{stem}.out.onnx"
        box.morc(ROOT / "recipes" / f"{name}.mor", source, "-o", out, "--data", f"calib={stem}.npz")
        onnx.checker.check_model(str(out), full_check=True)
        x = make_diffusion.samples(2, 16)
        x = {i.name: x[i.name] for i in onnx.load(source).graph.input}
        wanted, got = run(source, **x)[0], run(out, **x)[0]
        share = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted - wanted.mean()))
        assert 0 < share <= bound, f"{stem}: error {share:.4f} of the output, not {bound}"
        encoded = {n.input[0] for n in onnx.load(out).graph.node if n.op_type == "QuantizeLinear"}
        kept = {"sample", "timestep"} & encoded
        assert len(encoded) >= 8 and not kept, (len(encoded), kept)


for _name, _row in DIFFUSION.items():
    add_case(f"conv/{_name}", functools.partial(check_diffusion, _name, _row))
