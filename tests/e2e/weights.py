"""The weights of a model, seen from the operators that use them.

`weights(path)` lists, in graph order through all subgraphs and functions, the constant operand of
every MatMul, Gemm, Conv and ConvTranspose: its value as a reader decodes it and, when it lies behind
DequantizeLinear, the codes and scales. Axes and values are those of the tensor as it is stored: a
Transpose, Cast or Identity on the way to the operator is seen through. Two models that differ by
quantization only give lists of the same length, entry by entry the same layer.
"""
import dataclasses

import numpy as np
import onnx
from onnx import numpy_helper

OPERATORS = {"MatMul", "Gemm", "Conv", "ConvTranspose"}
BETWEEN = {"DequantizeLinear", "Cast", "Transpose", "Identity"}
F32 = np.float32


@dataclasses.dataclass
class Weight:
    op: str
    name: str
    reduce_axis: int
    channel_axis: int
    value: np.ndarray            # float
    codes: np.ndarray | None = None
    scales: np.ndarray | None = None
    zeros: np.ndarray | None = None
    over: np.ndarray | None = None
    axis: int = 0
    block: int = 0
    stored_axis: tuple = ()      # of each axis that the operator sees
    tensor: onnx.TensorProto | None = None  # where a float value lies, to be replaced in place


def weights(model):
    if not isinstance(model, onnx.ModelProto):
        model = onnx.load(model)  # with its external data
    found = []
    walk(model.graph, {}, found)
    for function in model.functions:
        walk(function, {}, found)
    return found


def walk(graph, outer, found):
    known = dict(outer)
    for tensor in getattr(graph, "initializer", ()):
        known[tensor.name] = tensor
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            known[node.output[0]] = node.attribute[0].t
        elif node.op_type in BETWEEN and node.input[0] in known:
            known[node.output[0]] = (node, known.copy())
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
                walk(body, known, found)
        if node.op_type in OPERATORS and node.domain in ("", "ai.onnx"):
            found.extend(operand(node, known))


def operand(node, known):
    slots = (1, 0) if node.op_type in ("MatMul", "Gemm") else (1,)
    for slot in slots:
        if len(node.input) > slot and node.input[slot] in known:
            held = describe(known[node.input[slot]])
            held.op, held.name = node.op_type, node.name
            seen = axes(node, slot, held.value.ndim)
            held.reduce_axis, held.channel_axis = [held.stored_axis[a] if held.stored_axis else a for a in seen]
            return [held]
    return []


def axes(node, slot, rank):
    """(reduction axis, output channel axis) of the constant operand."""
    if node.op_type == "Conv":
        return 1, 0
    if node.op_type == "ConvTranspose":
        return 0, 1
    transposed = next((a.i for a in node.attribute if a.name == ("transB" if slot else "transA")), 0)
    if rank < 2:
        return 0, 0
    pair = (rank - 2, rank - 1) if slot else (rank - 1, rank - 2)
    return pair[::-1] if transposed else pair


def describe(thing):
    if isinstance(thing, onnx.TensorProto):
        return Weight("", "", 0, 0, numpy_helper.to_array(thing), tensor=thing)
    node, known = thing
    inner = describe(known[node.input[0]])
    if node.op_type in ("Cast", "Identity"):
        return inner
    if node.op_type == "Transpose":
        order = next((list(a.ints) for a in node.attribute), list(range(inner.value.ndim))[::-1])
        inner.stored_axis = tuple(inner.stored_axis[a] if inner.stored_axis else a for a in order)
        return inner
    scales = describe(known[node.input[1]])
    attribute = {a.name: a.i for a in node.attribute}
    made = Weight("", "", 0, 0, inner.value, codes=inner.value, scales=scales.value,
                  axis=attribute.get("axis", 1), block=attribute.get("block_size", 0))
    if scales.codes is not None:
        made.scales, made.over = scales.codes, scales.scales
    if len(node.input) > 2 and node.input[2]:
        made.zeros = describe(known[node.input[2]]).value
    made.axis %= max(made.codes.ndim, 1)
    made.value = decode(made, scales.value.astype(F32), attribute.get("output_dtype", 0))
    return made


def decode(held, scales, output_type):
    shape = held.codes.shape
    if scales.size == 1 and not held.block:
        spread = lambda a: a.reshape(())  # noqa: E731
    elif held.block:
        spread = lambda a: np.repeat(a, held.block, axis=held.axis).take(  # noqa: E731
            np.arange(shape[held.axis]), axis=held.axis)
    else:
        spread = lambda a: a.reshape([-1 if i == held.axis else 1 for i in range(len(shape))])  # noqa: E731
    codes = held.codes.astype(F32)
    if held.zeros is not None:
        codes = codes - spread(held.zeros.astype(F32))
    value = codes * spread(scales)
    return value.astype(onnx.helper.tensor_dtype_to_np_dtype(output_type)) if output_type else value
