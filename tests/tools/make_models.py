#!/usr/bin/env python3
"""Writes the generated test models: make_models.py DIRECTORY

DIRECTORY/tiny/NAME.onnx are valid models, one peculiarity each: every place and type in which a
weight can be stored, every layout of the operators that morc quantizes. DIRECTORY/hostile/NAME.onnx
are damaged or malicious, one lie each; they must be refused or, where NAME starts with `any_`, may
also be accepted, but quickly and in little memory. DIRECTORY/seeds holds the tiny models with their
weights cut to two elements, for the fuzzer. All bytes are the same on every run.
"""
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

import ml_dtypes

TINY = {}
HOSTILE = {}


def tiny(function):
    TINY[function.__name__] = function
    return function


def hostile(function):
    HOSTILE[function.__name__] = function
    return function


# ---- building blocks


def values(*shape, seed=1, scale=0.1):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def tensor(name, array):
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def model(nodes, inputs, outputs, weights=(), opset=21, ir=10, functions=(), domains=()):
    """inputs, outputs: (name, shape) or (name, shape, type)."""
    info = [[h.make_tensor_value_info(i[0], i[2] if len(i) > 2 else T.FLOAT, i[1]) for i in group]
            for group in (inputs, outputs)]
    graph = h.make_graph(nodes, "g", info[0], info[1], list(weights))
    imports = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains]
    made = h.make_model(graph, opset_imports=imports, functions=list(functions),
                        producer_name="make_models")
    made.ir_version = ir
    return made


def matmul(weight_tensor, k=64, n=48, dtype=T.FLOAT, **more):
    node = h.make_node("MatMul", ["x", weight_tensor.name], ["y"], name="/body/fc/MatMul")
    return model([node], [("x", ["b", k], dtype)], [("y", ["b", n], dtype)], [weight_tensor], **more)


def field(number, payload):
    """One protobuf field: an int as a varint, bytes with their length."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


# ---- weights in every store


@tiny
def raw_f32(_):
    return matmul(tensor("w", values(64, 48)))


@tiny
def typed_f32(_):
    return matmul(h.make_tensor("w", T.FLOAT, [64, 48], values(64, 48).ravel()))


@tiny
def raw_f16(_):
    return matmul(tensor("w", values(64, 48).astype(np.float16)), dtype=T.FLOAT16)


@tiny
def typed_f16(_):
    bits = values(64, 48).astype(np.float16).view(np.uint16).astype(np.int32)
    made = T(name="w", data_type=T.FLOAT16, dims=[64, 48], int32_data=bits.ravel().tolist())
    return matmul(made, dtype=T.FLOAT16)


@tiny
def raw_bf16(_):
    bits = values(64, 48).astype(ml_dtypes.bfloat16).view(np.uint16)
    made = T(name="w", data_type=T.BFLOAT16, dims=[64, 48], raw_data=bits.tobytes())
    return matmul(made, dtype=T.BFLOAT16)


@tiny
def raw_f64(_):
    return matmul(tensor("w", values(64, 48).astype(np.float64)), dtype=T.DOUBLE)


@tiny
def typed_f64(_):
    made = T(name="w", data_type=T.DOUBLE, dims=[64, 48], double_data=values(64, 48).ravel().tolist())
    return matmul(made, dtype=T.DOUBLE)


@tiny
def external(directory):
    data = values(64, 48).tobytes()
    (directory / "external.data").write_bytes(b"\0" * 4096 + data + b"trailing bytes")
    return matmul(external_tensor("w", [64, 48], "external.data", 4096, len(data)))


@tiny
def external_two_files(directory):
    first, second = values(64, 48, seed=2), values(48, 32, seed=3)
    (directory / "sub").mkdir(exist_ok=True)
    (directory / "sub" / "a.bin").write_bytes(first.tobytes())
    (directory / "b.bin").write_bytes(b"odd" + second.tobytes())
    nodes = [h.make_node("MatMul", ["x", "a"], ["m"], name="fc1"),
             h.make_node("MatMul", ["m", "b"], ["y"], name="fc2")]
    return model(nodes, [("x", ["n", 64])], [("y", ["n", 32])],
                 [external_tensor("a", [64, 48], "sub/a.bin", None, None),
                  external_tensor("b", [48, 32], "b.bin", 3, second.nbytes)])


def external_tensor(name, dims, location, offset, length):
    made = T(name=name, data_type=T.FLOAT, dims=dims, data_location=T.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            entry = made.external_data.add()
            entry.key, entry.value = key, str(value)
    return made


@tiny
def constant_node(_):
    nodes = [h.make_node("Constant", [], ["w"], value=tensor("", values(64, 48))),
             h.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 48])])


@tiny
def constant_behind_identity(_):
    nodes = [h.make_node("Identity", ["w0"], ["w"]),
             h.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 48])], [tensor("w0", values(64, 48))])


def branch(name, weights, node_name):
    return h.make_graph([h.make_node("MatMul", ["x", "w"], [name + "_y"], name=node_name)], name, [],
                        [h.make_tensor_value_info(name + "_y", T.FLOAT, ["b", 48])], [weights])


@tiny
def if_branches(_):
    yes = branch("yes", tensor("w", values(64, 48, seed=4)), "fc")
    no = branch("no", tensor("w", values(64, 48, seed=5)), "fc")
    node = h.make_node("If", ["flag"], ["y"], then_branch=yes, else_branch=no, name="/choice/If")
    return model([node], [("flag", [], T.BOOL), ("x", ["b", 64])], [("y", ["b", 48])])


@tiny
def if_weight_outside(_):
    body = [h.make_graph([h.make_node("MatMul", ["x", "w"], [n], name=n)], n, [],
                         [h.make_tensor_value_info(n, T.FLOAT, ["b", 48])]) for n in ("p", "q")]
    node = h.make_node("If", ["flag"], ["y"], then_branch=body[0], else_branch=body[1], name="pick")
    return model([node], [("flag", [], T.BOOL), ("x", ["b", 64])], [("y", ["b", 48])],
                 [tensor("w", values(64, 48))])


@tiny
def loop_body(_):
    body = h.make_graph(
        [h.make_node("MatMul", ["state", "w"], ["next"], name="step"),
         h.make_node("Identity", ["go"], ["go_on"])], "body",
        [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go", T.BOOL, []),
         h.make_tensor_value_info("state", T.FLOAT, ["b", 64])],
        [h.make_tensor_value_info("go_on", T.BOOL, []),
         h.make_tensor_value_info("next", T.FLOAT, ["b", 64])], [tensor("w", values(64, 64))])
    node = h.make_node("Loop", ["count", "", "x"], ["y"], body=body, name="/rnn/Loop")
    return model([node], [("x", ["b", 64])], [("y", ["b", 64])],
                 [tensor("count", np.array(3, np.int64))])


@tiny
def local_function(_):
    nodes = [h.make_node("Constant", [], ["w"], value=tensor("", values(64, 48))),
             h.make_node("MatMul", ["a", "w"], ["c"], name="inner")]
    function = h.make_function("local", "Dense", ["a"], ["c"], nodes, [h.make_opsetid("", 21)])
    return model([h.make_node("Dense", ["x"], ["y"], domain="local", name="/block/Dense")],
                 [("x", ["b", 64])], [("y", ["b", 48])], functions=[function], domains=["local"])


@tiny
def function_called_twice(_):
    nodes = [h.make_node("MatMul", ["a", "w"], ["c"], name="inner")]
    function = h.make_function("local", "Dense", ["a", "w"], ["c"], nodes, [h.make_opsetid("", 21)])
    calls = [h.make_node("Dense", ["x", "w1"], ["m"], domain="local", name="one"),
             h.make_node("Dense", ["m", "w2"], ["y"], domain="local", name="two")]
    return model(calls, [("x", ["b", 64])], [("y", ["b", 32])],
                 [tensor("w1", values(64, 64, seed=6)), tensor("w2", values(64, 32, seed=7))],
                 functions=[function], domains=["local"])


@tiny
def tied_weights(_):
    nodes = [h.make_node("Gather", ["table", "ids"], ["e"], name="/embed/Gather"),
             h.make_node("Gemm", ["e", "table"], ["y"], transB=1, name="/head/Gemm")]
    return model(nodes, [("ids", ["b"], T.INT64)], [("y", ["b", 96])], [tensor("table", values(96, 64))])


@tiny
def shared_by_two(_):
    nodes = [h.make_node("MatMul", ["x", "w"], ["m"], name="fc1"),
             h.make_node("MatMul", ["m", "w"], ["y"], name="fc2")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 64])], [tensor("w", values(64, 64))])


@tiny
def weight_is_output(_):
    made = matmul(tensor("w", values(64, 48)))
    made.graph.output.append(h.make_tensor_value_info("w", T.FLOAT, [64, 48]))
    return made


@tiny
def weight_is_input(_):
    """Before IR 4 every initializer is also an input."""
    made = matmul(tensor("w", values(64, 48)), opset=8, ir=3)
    made.graph.input.append(h.make_tensor_value_info("w", T.FLOAT, [64, 48]))
    return made


# ---- operators and layouts


def gemm(trans_a, trans_b, opset=21):
    shape = [48, 64] if trans_b else [64, 48]
    node = h.make_node("Gemm", ["x", "w", "c"], ["y"], transA=trans_a, transB=trans_b, alpha=1.5,
                       beta=0.5, name="/fc/Gemm")
    return model([node], [("x", [64, 5] if trans_a else [5, 64])], [("y", [5, 48])],
                 [tensor("w", values(*shape)), tensor("c", values(48, seed=8))], opset=opset)


@tiny
def gemm_linear(_):
    """As exporters write a linear layer with a bias: alpha and beta are 1."""
    node = h.make_node("Gemm", ["x", "w", "c"], ["y"], transB=1, name="/fc/Gemm")
    return model([node], [("x", ["b", 64])], [("y", ["b", 48])],
                 [tensor("w", values(48, 64)), tensor("c", values(48, seed=8))])


for _a, _b in ((0, 0), (0, 1), (1, 0), (1, 1)):
    TINY[f"gemm_a{_a}_b{_b}"] = lambda _, a=_a, b=_b: gemm(a, b)


def conv(shape, groups=1, op="Conv", spatial=(9, 9), opset=21, **attributes):
    channels = shape[1] * groups if op == "Conv" else shape[0]
    node = h.make_node(op, ["x", "w"], ["y"], group=groups, name="/net/" + op, **attributes)
    rank = len(shape)
    return model([node], [("x", [1, channels, *spatial])], [("y", ["d%d" % i for i in range(rank)])],
                 [tensor("w", values(*shape))], opset=opset)


TINY["conv"] = lambda _: conv((24, 32, 3, 3), pads=[1, 1, 1, 1])
TINY["conv_1x1"] = lambda _: conv((24, 128, 1, 1))
TINY["conv_groups"] = lambda _: conv((32, 16, 3, 3), groups=2)
TINY["conv_depthwise"] = lambda _: conv((16, 1, 3, 3), groups=16)
TINY["conv_narrow"] = lambda _: conv((16, 3, 3, 3))
TINY["conv_1d"] = lambda _: conv((24, 32, 3), spatial=(20,), strides=[2])
TINY["conv_3d"] = lambda _: conv((8, 16, 3, 3, 3), spatial=(5, 5, 5))
TINY["conv_opset11"] = lambda _: conv((24, 32, 3, 3), opset=11)
TINY["conv_transpose"] = lambda _: conv((32, 24, 3, 3), op="ConvTranspose")
TINY["conv_transpose_groups"] = lambda _: conv((32, 24, 2, 2), groups=2, op="ConvTranspose")


@tiny
def matmul_left(_):
    """The constant is the left operand, [N, K]."""
    node = h.make_node("MatMul", ["w", "x"], ["y"], name="fc")
    return model([node], [("x", [64, "b"])], [("y", [48, "b"])], [tensor("w", values(48, 64))])


@tiny
def matmul_transposed(_):
    """As older exporters write a linear layer: the weight is [N, K] behind a Transpose."""
    nodes = [h.make_node("Transpose", ["w"], ["t"], perm=[1, 0], name="/fc/Transpose"),
             h.make_node("MatMul", ["x", "t"], ["y"], name="/fc/MatMul")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 48])], [tensor("w", values(48, 64))])


@tiny
def matmul_cast(_):
    """Stored in float16, used in float32."""
    nodes = [h.make_node("Cast", ["w"], ["c"], to=T.FLOAT), h.make_node("MatMul", ["x", "c"], ["y"], name="fc")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 48])], [tensor("w", values(64, 48).astype(np.float16))])


@tiny
def matmul_batched(_):
    node = h.make_node("MatMul", ["x", "w"], ["y"], name="experts")
    return model([node], [("x", [3, "b", 64])], [("y", [3, "b", 48])], [tensor("w", values(3, 64, 48))])


@tiny
def matmul_vector(_):
    node = h.make_node("MatMul", ["x", "w"], ["y"], name="gate")
    return model([node], [("x", ["b", 64])], [("y", ["b"])], [tensor("w", values(64))])


@tiny
def odd_widths(_):
    nodes = [h.make_node("MatMul", ["x", "a"], ["m"], name="fc1"),
             h.make_node("MatMul", ["m", "b"], ["y"], name="fc2")]
    return model(nodes, [("x", ["n", 33])], [("y", ["n", 1])],
                 [tensor("a", values(33, 17)), tensor("b", values(17, 1))])


@tiny
def old_opset(_):
    """Opset 7: everything must be raised for any quantized weight."""
    nodes = [h.make_node("MatMul", ["x", "w"], ["m"], name="fc"),
             h.make_node("Softmax", ["m"], ["s"], axis=1),
             h.make_node("Unsqueeze", ["s"], ["u"], axes=[0]),
             h.make_node("Squeeze", ["u"], ["q"], axes=[0]),
             h.make_node("ReduceSum", ["q"], ["y"], axes=[1], keepdims=1)]
    return model(nodes, [("x", [5, 64])], [("y", [5, 1])], [tensor("w", values(64, 48))], opset=7, ir=4)


# ---- values


@tiny
def awkward_values(_):
    """Zero rows, one constant, subnormals, signed zeros and the extremes of float32."""
    w = values(64, 48)
    w[:, 0] = 0
    w[:, 1] = -0.0
    w[:, 2] = 1e-42
    w[:, 3] = 0.25
    w[:, 4] = 3.4e38
    w[::2, 5] = 1e-30
    return matmul(tensor("w", w))


@tiny
def infinities_elsewhere(_):
    """-inf in an attention mask is legal: it is not encoded."""
    nodes = [h.make_node("MatMul", ["x", "w"], ["m"], name="fc"),
             h.make_node("Where", ["mask", "m", "low"], ["y"])]
    return model(nodes, [("x", [4, 64]), ("mask", [4, 48], T.BOOL)], [("y", [4, 48])],
                 [tensor("w", values(64, 48)), tensor("low", np.array(-np.inf, np.float32))])


@tiny
def other_types(_):
    """Initializers that no recipe touches: strings, bools, an empty and a scalar tensor."""
    made = matmul(tensor("w", values(64, 48)))
    made.graph.initializer.extend([
        h.make_tensor("s", T.STRING, [2], [b"a\x1b[31m", b""]), tensor("t", np.array([True, False])),
        tensor("empty", np.zeros((0, 4), np.float32)), tensor("scalar", np.array(3, np.int8)),
        h.make_tensor("c", T.COMPLEX64, [1], [1 + 2j])])
    return made


@tiny
def strange_names(_):
    """Legal in ONNX: escapes, spaces, unicode, repeated and empty node names."""
    nodes = [h.make_node("MatMul", ["x", "w\x1b[2J"], ["m\n"], name="a b/\u00fc\u202e/MatMul"),
             h.make_node("MatMul", ["m\n", "w2"], ["n"], name=""),
             h.make_node("MatMul", ["n", "w2"], ["y"], name="")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 64])],
                 [tensor("w\x1b[2J", values(64, 64)), tensor("w2", values(64, 64, seed=9))])


@tiny
def unknown_fields(_):
    """Fields of a later ONNX in the model, the graph, a node and a tensor."""
    weight = tensor("w", values(64, 48)).SerializeToString() + field(3000, b"tensor") + field(3001, 7)
    node = h.make_node("MatMul", ["x", "w"], ["y"], name="fc").SerializeToString() + field(2999, b"node")
    plain = matmul(tensor("w", values(64, 48)))
    graph = field(1, node) + field(2, b"g") + field(5, weight) + field(2222, b"graph")
    for info in plain.graph.input:
        graph += field(11, info.SerializeToString())
    for info in plain.graph.output:
        graph += field(12, info.SerializeToString())
    return (field(1, 10) + field(8, field(1, b"") + field(2, 21)) + field(7, graph) +
            field(777, b"model") + varint(778 << 3 | 5) + b"\1\2\3\4")


@tiny
def many_layers(_):
    nodes, weights, last = [], [], "x"
    for i in range(12):
        for part in ("attn/q_proj", "mlp/up_proj"):
            name = f"/layers.{i}/{part}"
            weights.append(tensor(name + ".weight", values(32, 32, seed=i)))
            nodes.append(h.make_node("MatMul", [last, weights[-1].name], [name + ".y"], name=name + "/MatMul"))
            nodes.append(h.make_node("Relu", [name + ".y"], [name + ".r"]))
            last = name + ".r"
    weights.append(tensor("head.weight", values(32, 64, seed=99)))
    nodes.append(h.make_node("MatMul", [last, "head.weight"], ["y"], name="/lm_head/MatMul"))
    return model(nodes, [("x", ["b", 32])], [("y", ["b", 64])], weights)


# ---- hostile


def plain_bytes():
    return matmul(tensor("w", values(64, 48))).SerializeToString()


def wrapped(weight, nodes=None):
    """A model around the bytes of one TensorProto called w."""
    node = h.make_node("MatMul", ["x", "w"], ["y"], name="fc").SerializeToString()
    info = matmul(tensor("w", values(64, 48))).graph
    graph = b"".join(field(1, n) for n in (nodes or [node])) + field(2, b"g") + field(5, weight)
    graph += field(11, info.input[0].SerializeToString()) + field(12, info.output[0].SerializeToString())
    return field(1, 10) + field(8, field(1, b"") + field(2, 21)) + field(7, graph)


def weight_bytes(dims=(64, 48), data_type=1, raw=None, extra=b""):
    raw = values(64, 48).tobytes() if raw is None else raw
    head = b"".join(field(1, d & (2**64 - 1)) for d in dims)
    return head + field(2, data_type) + field(8, b"w") + field(9, raw) + extra


HOSTILE["empty"] = lambda _: b""
HOSTILE["text"] = lambda _: b"this is not a protobuf at all\n" * 20
HOSTILE["zeros"] = lambda _: b"\0" * 4096
HOSTILE["truncated_half"] = lambda _: plain_bytes()[:len(plain_bytes()) // 2]
HOSTILE["truncated_last_byte"] = lambda _: plain_bytes()[:-1]
HOSTILE["length_past_end"] = lambda _: field(1, 10) + varint(7 << 3 | 2) + varint(1 << 40) + b"abc"
HOSTILE["length_overflow"] = lambda _: varint(7 << 3 | 2) + b"\xff" * 9 + b"\x01" + b"abc"
HOSTILE["varint_too_long"] = lambda _: b"\x08" + b"\x80" * 20 + b"\x01"
HOSTILE["group_wire_type"] = lambda _: field(1, 10) + varint(7 << 3 | 3)
HOSTILE["field_zero"] = lambda _: b"\x00\x01" + plain_bytes()
HOSTILE["no_graph"] = lambda _: field(1, 10) + field(8, field(1, b"") + field(2, 21))
HOSTILE["short_raw"] = lambda _: wrapped(weight_bytes(raw=b"\0" * 100))
HOSTILE["long_raw"] = lambda _: wrapped(weight_bytes(raw=b"\0" * (64 * 48 * 4 + 1)))
HOSTILE["huge_dims"] = lambda _: wrapped(weight_bytes(dims=(1 << 40, 1 << 40)))
HOSTILE["dims_wrap_to_zero"] = lambda _: wrapped(weight_bytes(dims=(1 << 32, 1 << 32), raw=b""))
HOSTILE["negative_dim"] = lambda _: wrapped(weight_bytes(dims=(-64, 48)))
HOSTILE["any_unknown_type"] = lambda _: wrapped(weight_bytes(data_type=9999))
HOSTILE["raw_and_typed"] = lambda _: wrapped(weight_bytes(extra=field(4, struct.pack("<f", 1.0))))
HOSTILE["many_dims"] = lambda _: wrapped(weight_bytes(dims=(1,) * 5000, raw=b"\0" * 4))


@hostile
def nested_graphs(_):
    """If nodes inside each other, 10,000 deep."""
    graph = field(2, b"leaf")
    for _depth in range(10000):
        node = field(1, b"c") + field(2, b"y") + field(4, b"If") + field(
            5, field(1, b"then_branch") + field(6, graph) + field(20, 5))
        graph = field(1, node) + field(2, b"g")
    return field(1, 10) + field(8, field(1, b"") + field(2, 21)) + field(7, graph)


@hostile
def nested_types(_):
    """Sequence types inside each other, 10,000 deep."""
    kind = field(1, field(1, 1))
    for _depth in range(10000):
        kind = field(4, field(1, kind))
    graph = field(2, b"g") + field(11, field(1, b"x") + field(2, kind))
    return field(1, 10) + field(8, field(1, b"") + field(2, 21)) + field(7, graph)


@hostile
def duplicate_initializer(_):
    made = matmul(tensor("w", values(64, 48)))
    made.graph.initializer.append(tensor("w", values(64, 48, seed=2)))
    return made


@hostile
def duplicate_value(_):
    nodes = [h.make_node("MatMul", ["x", "w"], ["y"], name="a"),
             h.make_node("MatMul", ["x", "w"], ["y"], name="b")]
    return model(nodes, [("x", ["b", 64])], [("y", ["b", 48])], [tensor("w", values(64, 48))])


@hostile
def cycle(_):
    nodes = [h.make_node("Add", ["x", "b"], ["a"], name="one"),
             h.make_node("MatMul", ["a", "w"], ["b"], name="two")]
    return model(nodes, [("x", ["n", 64])], [("b", ["n", 64])], [tensor("w", values(64, 64))])


def calls(domain_and_name, callee):
    return h.make_function("local", domain_and_name, ["a"], ["c"],
                           [h.make_node(callee, ["a"], ["c"], domain="local")], [h.make_opsetid("local", 1)])


@hostile
def recursive_functions(_):
    return model([h.make_node("F", ["x"], ["y"], domain="local")], [("x", ["b", 64])], [("y", ["b", 64])],
                 functions=[calls("F", "G"), calls("G", "F")], domains=["local"])


@hostile
def any_function_bomb(_):
    """40 functions, each calling the next twice: 2^40 nodes when inlined."""
    functions = []
    for i in range(40):
        callee = f"F{i + 1}"
        nodes = [h.make_node(callee, ["a"], ["b"], domain="local"),
                 h.make_node(callee, ["b"], ["c"], domain="local")]
        functions.append(h.make_function("local", f"F{i}", ["a"], ["c"], nodes, [h.make_opsetid("local", 1)]))
    functions.append(h.make_function("local", "F40", ["a"], ["c"], [
        h.make_node("Constant", [], ["w"], value=tensor("", values(64, 64))),
        h.make_node("MatMul", ["a", "w"], ["c"])], [h.make_opsetid("", 21)]))
    return model([h.make_node("F0", ["x"], ["y"], domain="local")], [("x", ["b", 64])], [("y", ["b", 64])],
                 functions=functions, domains=["local"])


def damaged_values(bad):
    w = values(64, 48)
    w[3, 7] = bad
    return matmul(tensor("w", w))


HOSTILE["nan_weight"] = lambda _: damaged_values(np.nan)
HOSTILE["inf_weight"] = lambda _: damaged_values(np.inf)


def lying_external(directory, location, offset=0, length=64 * 48 * 4):
    (directory / "sub").mkdir(exist_ok=True)
    (directory.parent / "secret.bin").write_bytes(values(64, 48).tobytes())
    (directory / "good.bin").write_bytes(values(64, 48).tobytes())
    return matmul(external_tensor("w", [64, 48], location, offset, length))


for _name, _lie in {
    "external_parent": ("../secret.bin",), "external_parent_hidden": ("sub/../../secret.bin",),
    "external_absolute": ("/etc/passwd",), "external_empty": ("",), "external_missing": ("nothing.bin",),
    "external_directory": (".",), "external_device": ("/dev/zero",), "external_nul": ("good.bin\0x",),
    "external_offset_past_end": ("good.bin", 1 << 40), "external_length_lies": ("good.bin", 0, 16),
    "external_length_past_end": ("good.bin", 4, 64 * 48 * 4), "external_negative": ("good.bin", -4),
    "external_not_a_number": ("good.bin", "0x10"), "external_overflow": ("good.bin", 2**64 - 4),
    "external_memory_marker": ("*/_ORT_MEM_ADDR_/*", 4096),
}.items():
    HOSTILE[_name] = lambda d, lie=_lie: lying_external(d, *lie)


@hostile
def external_symlink(directory):
    link(directory / "link.bin", "../secret.bin")
    return lying_external(directory, "link.bin")


@hostile
def external_symlink_parent(directory):
    link(directory / "up", "..")
    return lying_external(directory, "up/secret.bin")


@hostile
def external_hardlink(directory):
    made = lying_external(directory, "hard.bin")
    (directory / "twin.bin").write_bytes(values(64, 48).tobytes())
    (directory / "hard.bin").unlink(missing_ok=True)
    (directory / "hard.bin").hardlink_to(directory / "twin.bin")
    return made


def link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@hostile
def external_duplicate_key(directory):
    made = lying_external(directory, "good.bin")
    entry = made.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "other.bin"
    return made


@hostile
def any_undefined_input(_):
    return model([h.make_node("MatMul", ["x", "nowhere"], ["y"], name="fc")],
                 [("x", ["b", 64])], [("y", ["b", 48])], [tensor("w", values(64, 48))])


# ---- seeds for the fuzzer


def tensors_of(graph):
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for body in [attribute.g] if attribute.HasField("g") else []:
                yield from tensors_of(body)


def seed(made):
    """A model with every tensor cut to its first two elements; None when it is not a message."""
    if isinstance(made, bytes):
        return None
    for graph in [made.graph, *made.functions]:
        for item in tensors_of(graph):
            array = None if item.data_type in (T.STRING, T.COMPLEX64) or item.external_data else (
                numpy_helper.to_array(item).ravel()[:2])
            if array is not None and array.size == 2:
                item.CopyFrom(tensor(item.name, array))
    return made.SerializeToString(deterministic=True)


def main(directory):
    for kind, table in (("tiny", TINY), ("hostile", HOSTILE)):
        below = pathlib.Path(directory) / kind
        below.mkdir(parents=True, exist_ok=True)
        for name, make in table.items():
            made = make(below)
            data = made if isinstance(made, bytes) else made.SerializeToString(deterministic=True)
            (below / f"{name}.onnx").write_bytes(data)
            if kind == "tiny" and (small := seed(made)):
                seeds = below.with_name("seeds")
                seeds.mkdir(exist_ok=True)
                (seeds / f"{name}.onnx").write_bytes(small)
    print(f"{len(TINY)} tiny and {len(HOSTILE)} hostile models in {directory}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
