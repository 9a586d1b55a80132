"""Scales found at run time: codes and scales of ONNX Runtime bit for bit against numpy, outputs against
exact products, the kernels that ONNX Runtime chooses, every generated model, no engine and no data."""
import collections
import functools
import platform

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import oracle
import running
from harness import MODELS, Skip, add_case, case

ELEMENTS = {"int8": "int8", "uint8": "uint8", "fp8": "e4m3", "e5m2": "e5m2"}
TYPES = {"f32": (np.float32, TensorProto.FLOAT), "f16": (np.float16, TensorProto.FLOAT16)}
WIDTH, OUT = 48, 32


def network(box, kind):
    """x goes to a product that is an output, a product with a bias, and one that is read further on."""
    dtype, onnx_type = TYPES[kind]
    random = np.random.default_rng(3)
    floats = {n: random.standard_normal(s).astype(dtype) for n, s in
              {"wa": (WIDTH, OUT), "wb": (OUT, WIDTH), "bias": (OUT,), "wc": (WIDTH, OUT)}.items()}
    nodes = [helper.make_node("MatMul", ["x", "wa"], ["a"], name="a"),
             helper.make_node("Gemm", ["x", "wb", "bias"], ["b"], name="b", transB=1),
             helper.make_node("MatMul", ["x", "wc"], ["c"], name="c"),
             helper.make_node("Neg", ["c"], ["d"], name="d")]
    values = [helper.make_tensor_value_info(n, onnx_type, ["rows", WIDTH if n == "x" else OUT]) for n in "xabd"]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:],
                              [numpy_helper.from_array(w, n) for n, w in floats.items()])
    path = box.dir / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def rows_of(kind):
    """Ordinary rows first; then zeros, ties, denormals, values near both ends of the type."""
    dtype = TYPES[kind][0]
    info, random = np.finfo(dtype), np.random.default_rng(5)
    x = np.zeros((96, WIDTH), np.float64)
    x[:64] = random.standard_normal((64, WIDTH)) * np.exp(random.uniform(-3, 3, (64, 1)))
    x[64:68] = -np.abs(x[:4])                                    # one sign
    x[68:72] = np.abs(x[:4])
    x[72:76] = np.arange(WIDTH) - 20.5                            # ties at a scale of 1
    x[72:76, 0] = 127
    x[76:80] = random.integers(-9, 10, (4, WIDTH)) * float(info.smallest_subnormal)
    x[80:84] = random.standard_normal((4, WIDTH)) * float(info.smallest_normal) * 8
    x[84:88] = np.clip(random.standard_normal((4, WIDTH)), -1, 1) * float(info.max)
    x[88, ::2], x[88, 1::2] = info.max, info.min
    return x.astype(dtype)  # the last rows are 0


def run_with(path, x, codes, floats):
    """Outputs and the values named: codes as floats, floats in their own type."""
    model = onnx.load(path)
    own = model.graph.input[0].type.tensor_type.elem_type
    model.graph.node.append(helper.make_node("Cast", [codes], ["codes"], to=TensorProto.FLOAT))
    for name in ("codes", *floats):
        kind = TensorProto.FLOAT if name == "codes" else own
        model.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    wanted = [o.name for o in model.graph.output]
    return dict(zip(wanted, running.session(model.SerializeToString()).run(None, {"x": x})))


def check_bits(element, token, kind, emit, box):
    path = network(box, kind)
    text = f"{element} per {'token' if token else 'tensor'} dynamic"
    out = box.compress(f"{emit}\non linear {{ quantize(weight = int8 per channel, input = {text}) }}\n", path)
    onnx.checker.check_model(str(out), full_check=True)
    names = {n for node in onnx.load(out).graph.node for n in node.output}
    x = rows_of(kind) if token else rows_of(kind)[:76]
    back = "x_back" if "x_back" in names else "x_dq"
    got = run_with(out, x, "x_q", ["x_scale", back])
    want = oracle.dynamic(x, ELEMENTS[element], token)
    shift = 128 if emit == "emit ort" and element == "int8" else 0
    assert got["x_scale"].dtype == want.scale.dtype
    if kind == "f16" and element == "uint8":  # ONNX Runtime keeps float32 from one of these nodes to the next
        assert np.allclose(got["x_scale"], want.scale, rtol=2.0 ** -10, atol=0)
        assert np.abs(got["codes"] - want.codes).max() <= 2  # of the scale and of the zero point
        want.decoded = got[back]
    else:
        assert np.array_equal(got["x_scale"], want.scale)
        assert np.array_equal(got["codes"] - shift, want.codes.astype(np.float32))
        assert np.array_equal(got[back], want.decoded)
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(out).graph.initializer}
    exact = want.decoded[:64].astype(np.float64)
    floats = onnx.load(path).graph.initializer
    bias = next(numpy_helper.to_array(t) for t in floats if t.name == "bias").astype(np.float64)
    for name, weight, sign, added in (("a", "wa", 1, 0), ("b", "wb", 1, bias), ("d", "wc", -1, 0)):
        w = weights[f"{weight}_q"].astype(np.float64)
        scale = weights[f"{weight}_scale"].astype(np.float64)
        w = (w * scale[:, None]).T if weight == "wb" else w * scale
        y = sign * (exact @ w + added)
        error = np.abs(got[name][:64].astype(np.float64) - y) / (np.abs(exact) @ np.abs(w) + 1)
        assert error.max() < (1e-6 if kind == "f32" else 2e-3), (name, error.max())


for _element in ELEMENTS:
    for _token in (True, False):
        for _kind in TYPES:
            _name = f"dynamic/{_element} per {'token' if _token else 'tensor'} of {_kind} is numpy's"
            add_case(_name, functools.partial(check_bits, _element, _token, _kind, ""))
for _token in (True, False):
    add_case(f"dynamic/emit ort int8 per {'token' if _token else 'tensor'} is numpy's",
             functools.partial(check_bits, "int8", _token, "f32", "emit ort"))


def kernels(path, box):
    """How often ONNX Runtime, with all its optimizations, runs which op."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(box.dir / "optimized.onnx")
    options.log_severity_level = 4
    opened = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    tokens = np.load(MODELS / "pylm-1m" / "eval.npz")["input_ids"][:2, :32]
    opened.run(None, {"input_ids": tokens})
    return collections.Counter(n.op_type for n in onnx.load(box.dir / "optimized.onnx").graph.node)


@case("dynamic/products run on integers")
def integers(box):
    if platform.machine() != "x86_64":
        raise Skip("ONNX Runtime chooses its kernels by the processor: known for x86-64")
    model = MODELS / "pylm-1m" / "model.onnx"
    layers = sum(n.op_type == "MatMul" and any(i.name == n.input[1] for i in onnx.load(model).graph.initializer)
                 for n in onnx.load(model).graph.node)
    for emit, form, share in (("emit ort", "int8 per token", 1), ("emit ort", "int8 per tensor", 1),
                              ("", "uint8 per tensor", 1), ("", "int8 per token", 0.25)):
        rule = f"on linear {{ quantize(weight = int8 per channel, input = {form} dynamic) }}\n"
        count = kernels(box.compress(f"{emit}\n{rule}", model, "out.onnx", "-f"), box)
        # of int8 read by one layer only; of all the others every product
        assert count["MatMulIntegerToFloat"] >= share * layers, (emit, form, layers, count)
        assert share < 1 or count["MatMulIntegerToFloat"] == layers, (emit, form, layers, count)


@case("dynamic/MatMulNBits under scales behind it")
def nbits(box):
    model = MODELS / "pylm-1m" / "model.onnx"
    rule = "on linear - head { quantize(weight = int4 per block(64), input = int8 per token dynamic) }\n"
    standard, packed = (box.compress(f"{emit}\n{rule}", model, f"{emit[5:]}.onnx") for emit in ("emit qdq", "emit ort"))
    assert sum(n.op_type == "MatMulNBits" for n in onnx.load(packed).graph.node) > 8
    assert running.compare(running.run(packed, model), running.run(standard, model)) > 0.99999


@case("dynamic/no engine and no data are needed")
def without_engine(box):
    recipe = "on linear - head { quantize(weight = fp8 per channel, input = fp8 per token dynamic) }\n"
    box.compress(recipe, MODELS / "pylm-1m" / "model.onnx", env={"MORC_ORT": "/nonexistent"})
    assert box.files() == ["out.onnx", "recipe.mor"], box.files()


# what a generated model without such layers is refused with, per token and per tensor
ROWLESS = {"gemm_a1_b0", "gemm_a1_b1", "matmul_left"}  # W x, and x transposed
DOUBLE = {"raw_f64", "typed_f64"}
NONE = {"function_called_twice", "matmul_vector"}


def refusal(name, token):
    if name in DOUBLE or (token and name in ROWLESS):
        return b"E0507"
    return b"E0301" if name in NONE or (token and name.startswith("conv")) else None


def check_tiny(path, token, box):
    form = f"int8 per {'token' if token else 'tensor'} dynamic"
    steps = f"quantize(weight = int8 per channel, input = {form}, place = exact)"
    script = box.write("recipe.mor", f"mor 1\non linear{'' if token else ' | conv'} {{ {steps} }}\n")
    why = refusal(path.stem, token)
    said = box.morc(script, path, "-o", "out.onnx", status=1 if why else 0).stderr
    if why:
        assert why in said, said
        return
    model = onnx.load(box.dir / "out.onnx")
    assert any(n.op_type == "ReduceMax" for n in model.graph.node) or path.stem in INSIDE, path.stem
    running.check(box.dir / "out.onnx")
    if path.stem != "raw_bf16":  # ONNX Runtime has no products of bfloat16 on the CPU
        got, want = running.run(box.dir / "out.onnx", path), running.run(path, path)
        assert running.compare(got, want) > 0.99, path.stem


INSIDE = {"if_branches", "if_weight_outside", "local_function", "loop_body"}  # in a body, not in the main graph
for _path in sorted((MODELS / "tiny").glob("*.onnx")):
    for _token in (True, False):
        add_case(f"dynamic/{_path.stem} per {'token' if _token else 'tensor'}",
                 functools.partial(check_tiny, _path, _token))
