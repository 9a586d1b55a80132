"""Factors of smooth and awq in the layer before: the float model stays what it was, no Mul is added
where a way leads back to a norm or a layer, and one is where none does. Models are made here.
"""
import functools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import add_case, case
from running import session

K, HEADS, HEAD, LENGTH = 32, 4, 8, 6


class Maker:
    """Nodes, constants and a random generator of one model."""

    def __init__(self):
        self.nodes, self.constants = [], []
        self.random = np.random.default_rng(11)

    def weight(self, name, *shape, like=0.3):
        values = self.random.standard_normal(shape).astype(np.float32) * np.float32(like)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op, inputs, output, name="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name or output, **attributes))
        return output

    def linear(self, x, name, n, k=K):
        return self.node("MatMul", [x, self.weight(name + ".weight", k, n)], name + ".y", name)

    def save(self, path, input_shape, dtype=np.float32):
        value = helper.make_tensor_value_info
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        constants = [numpy_helper.from_array(numpy_helper.to_array(t).astype(dtype), t.name)
                     if t.data_type == TensorProto.FLOAT else t for t in self.constants]
        graph = helper.make_graph(self.nodes, "g", [value("x", kind, input_shape)],
                                  [value("y", kind, None)], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def relu(m):
    hidden = m.linear("x", "first", 48)
    hidden = m.node("Add", [hidden, m.weight("first.bias", 48)], "biased")
    m.node("MatMul", [m.node("Relu", [hidden], "act"), m.weight("second.weight", 48, K)], "y", "second")
    return ["b", LENGTH, K]


def gemm(m):
    m.node("Gemm", ["x", m.weight("first.weight", 48, K), m.weight("first.bias", 48)], "h", "first",
           transB=1, alpha=0.5)
    m.node("Gemm", [m.node("LeakyRelu", ["h"], "act", alpha=0.1), m.weight("second.weight", 48, K)], "y", "second")
    return ["b", K]


def gated(m):
    gate, up = m.linear("x", "gate", 64), m.linear("x", "first", 64)
    act = m.node("Mul", [gate, m.node("Sigmoid", [gate], "s")], "silu")
    m.node("MatMul", [m.node("Mul", [act, up], "act"), m.weight("second.weight", 64, K)], "y", "second")
    return ["b", LENGTH, K]


def attention(m, kv_heads=HEADS):
    def heads(name, count):
        made = m.linear("x", name, count * HEAD)
        shape = m.constant(name + ".shape", np.array([0, LENGTH, count, HEAD]))
        return m.node("Transpose", [m.node("Reshape", [made, shape], name + ".r")], name + ".t", perm=[0, 2, 1, 3])
    q, k, v = heads("q", HEADS), heads("k", kv_heads), heads("first", kv_heads)
    if kv_heads < HEADS:
        for name in ("k", "first"):
            m.node("Unsqueeze", [name + ".t", m.constant(name + ".axis", np.array([2]))], name + ".u")
            wide = m.constant(name + ".wide", np.array([1, kv_heads, HEADS // kv_heads, LENGTH, HEAD]))
            flat = m.constant(name + ".flat", np.array([0, HEADS, LENGTH, HEAD]))
            m.node("Reshape", [m.node("Expand", [name + ".u", wide], name + ".e"), flat], name + ".f")
        k, v = "k.f", "first.f"
    scores = m.node("MatMul", [q, m.node("Transpose", [k], "kt", perm=[0, 1, 3, 2])], "scores")
    mixed = m.node("MatMul", [m.node("Softmax", [scores], "p", axis=-1), v], "mixed")
    mixed = m.node("Transpose", [mixed], "back", perm=[0, 2, 1, 3])
    act = m.node("Reshape", [mixed, m.constant("joined", np.array([0, LENGTH, K]))], "act")
    m.node("MatMul", [act, m.weight("second.weight", K, K)], "y", "second")
    return ["b", LENGTH, K]


def conv(m, norm=False, bias=True):
    inputs = ["x", m.weight("first.weight", 24, 8, 3, 3)] + ([m.weight("first.bias", 24)] if bias else [])
    h = m.node("Conv", inputs, "h", "first", pads=[1, 1, 1, 1])
    if norm:
        m.constant("variance", m.random.uniform(0.5, 2, 24).astype(np.float32))
        constants = [m.weight("gain", 24, like=1), m.weight("offset", 24), m.weight("mean", 24), "variance"]
        h = m.node("BatchNormalization", [h, *constants], "n")
    act = m.node("Relu", [h], "act")
    m.node("Conv", [act, m.weight("second.weight", 10, 24, 3, 3)], "y", "second", strides=[2, 2])
    return ["b", 8, 9, 11]


def pooled(m):
    """A convolution before a pool and a linear layer."""
    m.node("Conv", ["x", m.weight("first.weight", 24, 8, 3, 3)], "h", "first")
    m.node("Flatten", [m.node("GlobalAveragePool", ["h"], "mean")], "act")
    m.node("Gemm", ["act", m.weight("second.weight", 24, 5)], "y", "second")
    return ["b", 8, 9, 11]


def shared(m):
    """The value between has another reader: a Mul it is."""
    h = m.node("Relu", [m.linear("x", "first", K)], "act")
    m.node("MatMul", [h, m.weight("second.weight", K, K)], "z", "second")
    m.node("Add", ["z", h], "y", "sum")
    return ["b", LENGTH, K]


# name: model, Muls that are added
MODELS = {
    "relu": (relu, 0),
    "gemm": (gemm, 0),
    "gated": (gated, 0),
    "attention": (attention, 0),
    "grouped heads": (functools.partial(attention, kv_heads=2), 1),
    "conv": (conv, 0),
    "conv without a bias": (functools.partial(conv, bias=False), 0),
    "conv and batchnorm": (functools.partial(conv, norm=True), 0),
    "conv, pool, linear": (pooled, 0),
    "another reader": (shared, 1),
}


def make(box, build, dtype=np.float32):
    maker = Maker()
    shape = build(maker)
    path = box.dir / "m.onnx"
    maker.save(path, shape, dtype)
    x = maker.random.standard_normal([16 if d == "b" else d for d in shape])
    x = (x * np.exp(maker.random.standard_normal(shape[-1]))).astype(dtype)
    np.savez(box.dir / "calib.npz", x=x)
    return path, x


def muls(path):
    return sum(n.op_type == "Mul" for n in onnx.load(path).graph.node)


def close(out, path, x, most):
    got = session(str(out)).run(None, {"x": x})[0]
    want = session(str(path)).run(None, {"x": x})[0]
    off = np.abs(got - want).max() / np.abs(want).max()
    assert off <= most, f"{out.name}: off by {off} of the largest output"
    return off


HEAD_OF = 'data calib = npz("calib.npz")\ncalibrate(data = calib)\n'


def check_float(build, added, box):
    """In float, whoever owns the layer before: nobody, or a rule that leaves it in float."""
    path, x = make(box, build)
    smooth = 'on "second" { smooth(alpha = 0.7) }\n'
    for name, also in {"alone": "", "planned": 'on "first" { smooth(alpha = 0.3) }\n'}.items():
        out = box.compress(HEAD_OF + smooth + also, path, name + ".onnx")
        close(out, path, x, 1e-5)
        more = len(also) > 0  # x comes from outside: its factors are a Mul's
        assert muls(out) - muls(path) == added + more, (name, muls(out), muls(path))
    out = box.compress(HEAD_OF + smooth.replace("0.7", "0.7, fold = never"), path, "never.onnx")
    close(out, path, x, 1e-5)
    assert muls(out) - muls(path) == 1


def check_quantized(build, added, box):
    path, x = make(box, build)
    layers = "conv" if "Conv" in {n.op_type for n in onnx.load(path).graph.node} else "linear"
    sizes = []
    for fold in ("auto", "never"):
        recipe = (f'on "first" | "second" {{\nsmooth(fold = {fold})\n'
                  "quantize(weight = int8 per channel, input = int8)\n}\n")
        out = box.compress(HEAD_OF + recipe, path, f"{layers}.{fold}.onnx")
        close(out, path, x, 0.06)
        sizes.append((muls(out) - muls(path), len(onnx.load(out).graph.node)))
    # x itself comes from outside: one Mul stays for the first layer
    assert sizes[0][0] == added + 1 and sizes[1][0] == 2, sizes
    assert sizes[0][1] == sizes[1][1] - (1 - added), sizes


for _name, _row in MODELS.items():
    add_case(f"fold/{_name} in float", functools.partial(check_float, *_row))
    add_case(f"fold/{_name} quantized", functools.partial(check_quantized, *_row))


@case("fold/float types")
def types(box):
    for build, dtype, most in ((relu, np.float16, 4e-3), (conv, np.float16, 4e-3), (relu, np.float64, 1e-6)):
        path, x = make(box, build, dtype)
        out = box.compress(HEAD_OF + 'on "second" { smooth(alpha = 0.7) }\n', path,
                           f"{build.__name__}.{np.dtype(dtype)}.onnx")
        close(out, path, x, most)
        assert muls(out) == 0


@case("fold/awq into the layer before")
def awq(box):
    path, x = make(box, gated)
    for fold, added in (("auto", 0), ("never", 1)):
        recipe = (f'on "second" {{ awq(fold = {fold})\nquantize(weight = int4 per block(32)) }}\n'
                  'on "first" { quantize(weight = int4 per block(32), round = gptq) }\n')
        out = box.compress(HEAD_OF + recipe, path, fold + ".onnx")
        close(out, path, x, 0.4)
        assert muls(out) - muls(path) == added


@case("fold/integer biases are divided, too")
def integer_bias(box):
    path, x = make(box, conv)
    recipe = ('on "second" { smooth(alpha = 0.5)\nquantize(weight = int8 per channel, input = int8) }\n'
              'on "first" { quantize(weight = int8 per channel, input = int8, bias = int32) }\n')
    out = box.compress(HEAD_OF + recipe, path)
    close(out, path, x, 0.05)
    assert muls(out) == 0
    assert any(t.data_type == TensorProto.INT32 for t in onnx.load(out).graph.initializer)


@case("fold/a range on the way keeps the Mul")
def on_the_way(box):
    path, x = make(box, relu)
    recipe = ('on "second" { smooth(alpha = 0.5)\nquantize(weight = int8 per channel, input = int8) }\n'
              'on "first" { quantize(weight = int8 per channel, output = int8) }\n')
    out = box.compress(HEAD_OF + recipe, path)
    close(out, path, x, 0.05)
    assert muls(out) == 1
    said = box.morc("explain", "recipe.mor", path, "second").stdout.decode()
    assert "by a Mul: something before it is stored in a format" in said, said


@case("fold/smooth of a convolution helps")
def smooth_conv(box):
    path, x = make(box, conv)
    x[:, 2] *= 40  # one loud channel
    np.savez(box.dir / "calib.npz", x=x)
    errors = {}
    for name, step in {"none": "", "auto": "smooth", "half": "smooth(alpha = 0.5)"}.items():
        recipe = f'on "first" {{ {step}\nquantize(weight = int8 per channel, input = int8) }}\n'
        out = box.compress(HEAD_OF + recipe, path, name + ".onnx")
        got, want = (session(str(p)).run(None, {"x": x})[0] for p in (out, path))
        errors[name] = float(((got - want) ** 2).mean())
        if step:
            scale = next(t for t in onnx.load(out).graph.initializer if t.name == "x_divide")
            assert list(scale.dims) == [1, 8, 1, 1], scale.dims
    assert errors["auto"] < 0.6 * errors["none"] and errors["half"] < errors["none"], errors


@case("fold/gptq of a smoothed convolution")
def gptq_conv(box):
    path, x = make(box, conv)
    errors = []
    for how in ("nearest", "gptq"):
        recipe = f'on "second" {{ smooth(alpha = 0.5)\nquantize(weight = int4 per channel, round = {how}) }}\n'
        out = box.compress(HEAD_OF + recipe, path, how + ".onnx")
        got, want = (session(str(p)).run(None, {"x": x})[0] for p in (out, path))
        errors.append(float(((got - want) ** 2).mean()))
    assert errors[1] < 0.8 * errors[0], errors
