#!/usr/bin/env python3
"""Measures the weight algorithms of runtime/calib on a language model: calib_lab.py [METHOD...]

Loads build/models/pylm-7m (MODEL=DIRECTORY for another) and collects, of the input of every MatMul
with a constant weight, the Gram matrix X^T X and the channels' maxima and mean magnitudes on the
first 128 sequences of calib.npz (kept in build/lab). Runs the named methods (default: all) through
libweights_lab.so of the release build, puts the values that come out into the model and prints a
table: perplexity on eval.npz and on the last 64 sequences of calib.npz (not used otherwise), Gram
loss relative to rounding to nearest, seconds of the algorithm. The last MatMul stays in float.

For development; no test runs it. `ninja -C build/release weights_lab` builds the library.
"""
import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import lm_eval

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(os.environ.get("MODEL", ROOT / "build/models/pylm-7m"))
LAB = ROOT / "build/lab"
SEQUENCES = 128
FLOAT, FLOAT16, E4M3, E8M0 = 1, 10, 17, 24
TENSOR, CHANNEL, BLOCK = 0, 1, 2


class Grid(ctypes.Structure):
    _fields_ = [("format", ctypes.c_char_p), ("granule", ctypes.c_int64), ("block", ctypes.c_int64),
                ("scale_type", ctypes.c_int64), ("method", ctypes.c_int64)]


def grid(format, granule=CHANNEL, block=0, scale=FLOAT, mse=True):
    return Grid(format.encode(), granule, block, scale, int(mse))


def pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


def integer(value):
    return ctypes.c_int64(value)


def call(name, *arguments):
    library = ctypes.CDLL(str(ROOT / "build/release/tests/tools/libweights_lab.so"))
    if getattr(library, name)(*arguments) != 0:
        raise RuntimeError(name + " failed")


# ---- the model and its statistics

class Layer:
    """One MatMul with a constant weight w [rows][k], and the statistics of its input."""

    def __init__(self, node, weight):
        self.node, self.input, self.name = node.name, node.input[0], node.input[1]
        self.w = np.ascontiguousarray(numpy_helper.to_array(weight).astype(np.float32).T)


class Statistics:
    def __init__(self, gram, amax, mean, tokens):
        self.gram, self.amax, self.mean, self.tokens = gram, amax, mean, tokens


def load():
    model = onnx.load(MODEL / "model.onnx")
    weights = {i.name: i for i in model.graph.initializer}
    layers = [Layer(n, weights[n.input[1]]) for n in model.graph.node
              if n.op_type == "MatMul" and n.input[1] in weights]
    return model, layers[:-1]


def collect(model, names):
    cache = LAB / f"{MODEL.name}.{SEQUENCES}.npz"
    if cache.exists():
        data = np.load(cache)
        return {n: Statistics(*(data[f"{n}.{part}"] for part in ("gram", "amax", "mean")),
                              int(data["tokens"])) for n in names}
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    tokens = np.load(MODEL / "calib.npz")["input_ids"][:SEQUENCES]
    gram, amax, total = {}, {}, {}
    for start in range(0, len(tokens), 8):
        feed = {session.get_inputs()[0].name: tokens[start:start + 8]}
        for name, x in zip(names, session.run(names, feed)):
            x = x.reshape(-1, x.shape[-1]).astype(np.float64)
            gram[name] = gram.get(name, 0) + x.T @ x
            amax[name] = np.maximum(amax.get(name, 0), np.abs(x).max(axis=0))
            total[name] = total.get(name, 0) + np.abs(x).sum(axis=0)
    parts = {f"{n}.gram": gram[n] for n in names}
    parts |= {f"{n}.amax": amax[n].astype(np.float32) for n in names}
    parts |= {f"{n}.mean": (total[n] / tokens.size).astype(np.float32) for n in names}
    LAB.mkdir(parents=True, exist_ok=True)
    np.savez(cache, tokens=tokens.size, **parts)
    return collect(model, names)


def groups(layers):
    """Layers that read the same tensor."""
    found = {}
    for layer in layers:
        found.setdefault(layer.input, []).append(layer)
    return list(found.values())


# ---- methods: from the layers of a group and their statistics to values, and what x is divided by

class Result:
    def __init__(self, values, losses, s=None, activation=None):
        self.values, self.losses, self.s, self.activation = values, losses, s, activation


def nearest_one(g, w, gram, clip=False):
    out, loss = np.empty_like(w), ctypes.c_double()
    call("lab_nearest", ctypes.byref(g), pointer(w), *map(integer, w.shape), pointer(gram),
         integer(int(clip)), pointer(out), ctypes.byref(loss))
    return out, np.array([loss.value, loss.value])


def gptq_one(g, w, gram, sweeps=4, scales=True, natural=False, damp=0.05, zero=None,
             clip=False):
    out, losses = np.empty_like(w), np.empty(2)
    call("lab_gptq", ctypes.byref(g), pointer(w), *map(integer, w.shape), pointer(gram),
         pointer(zero), integer(int(natural)), ctypes.c_double(damp), integer(sweeps),
         integer(int(scales)), integer(int(clip)), pointer(out), pointer(losses))
    return out, losses


def adaround_one(g, w, gram, clip=False, steps=1000):
    out, losses = np.empty_like(w), np.empty(2)
    call("lab_adaround", ctypes.byref(g), pointer(w), *map(integer, w.shape), pointer(gram),
         integer(int(clip)), integer(steps), pointer(out), pointer(losses))
    return out, losses


def siblings(group):
    pointers = (ctypes.c_void_p * len(group))(*(layer.w.ctypes.data for layer in group))
    rows = (ctypes.c_int64 * len(group))(*(layer.w.shape[0] for layer in group))
    return pointers, rows, integer(len(group)), integer(group[0].w.shape[1])


def awq_scale(g, group, s):
    scale, results = np.empty_like(s.mean), np.empty(3)
    call("lab_awq", ctypes.byref(g), *siblings(group), pointer(s.gram), pointer(s.mean),
         pointer(scale), pointer(results))
    return scale


def smooth_scale(g, group, s, activation):
    scale, results = np.empty_like(s.mean), np.empty(3)
    call("lab_smooth", ctypes.byref(g), *siblings(group), pointer(s.gram), integer(s.tokens),
         pointer(s.amax), activation.encode(), pointer(scale), pointer(results))
    return scale


def smooth_fixed(group, s, alpha):
    w = np.maximum(np.max([np.abs(layer.w).max(axis=0) for layer in group], axis=0), 1e-5)
    return np.where(s.amax > 0, s.amax ** alpha / w ** (1 - alpha), 1).astype(np.float32)


def stack(g, one=nearest_one, awq=False, activation=None, alpha=None, **options):
    """one: what rounds a weight; before it, awq or smooth (alpha: "auto" or a number)."""
    def run(group, s):
        scale = np.ones_like(s.mean)
        if awq:
            scale = awq_scale(g, group, s)
        elif alpha == "auto":
            scale = smooth_scale(g, group, s, activation)
        elif alpha is not None:
            scale = smooth_fixed(group, s, alpha)
        gram = s.gram / np.outer(scale.astype(np.float64), scale)
        scaled = [np.ascontiguousarray(layer.w * scale) for layer in group]
        results = [one(g, w, gram, **options) for w in scaled]
        losses = sum(r[1] for r in results)
        if awq:
            losses[0] = sum(nearest_one(g, layer.w, s.gram)[1][0] for layer in group)
        if activation:
            return Result([r[0] for r in results], losses, scale, activation)
        return Result([r[0] / scale for r in results], losses)
    return run


def gptq(g, **options):
    return stack(g, gptq_one, **options)


INT4 = grid("int4", BLOCK, 128)
INT4_MAX = grid("int4", BLOCK, 128, mse=False)
INT8 = grid("int8", CHANNEL, mse=False)
NVFP4 = grid("e2m1", BLOCK, 16, E4M3, mse=False)
PLAIN = dict(sweeps=0, scales=False, damp=0.01)  # the method of the paper, without descent
METHODS = {
    "float": None,
    "int4 max": stack(INT4_MAX),
    "int4 mse": stack(INT4),
    "int4 max clip": stack(INT4_MAX, clip=True),
    "int4 max awq": stack(INT4_MAX, awq=True),
    "int4 max awq clip": stack(INT4_MAX, awq=True, clip=True),
    "int4 mse awq": stack(INT4, awq=True),
    "int4 mse awq clip": stack(INT4, awq=True, clip=True),
    "int4 mse adaround": stack(INT4, adaround_one),
    "int4 max gptq plain": gptq(INT4_MAX, **PLAIN),
    "int4 mse gptq plain": gptq(INT4, **PLAIN),
    "int4 mse gptq plain natural": gptq(INT4, natural=True, **PLAIN),
    "int4 mse awq gptq plain": gptq(INT4, awq=True, **PLAIN),
    "int4 mse gptq": gptq(INT4),
    "int4 mse gptq natural": gptq(INT4, natural=True),
    "int4 mse gptq natural, scales fixed": gptq(INT4, natural=True, scales=False, damp=0.01),
    "int4 mse awq gptq": gptq(INT4, awq=True),
    "int4 mse awq gptq natural": gptq(INT4, awq=True, natural=True),
    "nvfp4 weights": stack(NVFP4),
    "nvfp4 weights awq": stack(NVFP4, awq=True),
    "nvfp4 weights gptq": gptq(NVFP4),
    "int8 w8a8 max": stack(INT8, activation="int8"),
    "int8 w8a8 smooth 0.5": stack(INT8, activation="int8", alpha=0.5),
    "int8 w8a8 smooth 0.8": stack(INT8, activation="int8", alpha=0.8),
    "int8 w8a8 smooth auto": stack(INT8, activation="int8", alpha="auto"),
}


FORMATS = {"int8": (onnx.TensorProto.INT8, 127.0), "e4m3": (onnx.TensorProto.FLOAT8E4M3FN, 448.0)}


def fake_quantize(model, consumers, name, result, amax):
    """x / s, rounded with one scale for the tensor, in front of those that read x."""
    kind, top = FORMATS[result.activation]
    constants = {"s": result.s, "scale": np.float32((amax / result.s).max() / top)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v, np.float32), f"{name}.lab.{k}")
        for k, v in constants.items())
    zero = onnx.helper.make_tensor(f"{name}.lab.zero", kind, [], [0])
    model.graph.initializer.append(zero)
    place = [f"{name}.lab.{k}" for k in ("scaled", "codes", "values")]
    scale = [f"{name}.lab.scale", f"{name}.lab.zero"]
    nodes = [onnx.helper.make_node("Div", [name, f"{name}.lab.s"], place[:1]),
             onnx.helper.make_node("QuantizeLinear", [place[0], *scale], place[1:2]),
             onnx.helper.make_node("DequantizeLinear", [place[1], *scale], place[2:])]
    at = min(i for i, n in enumerate(model.graph.node) if n.name in consumers)
    for node in reversed(nodes):
        model.graph.node.insert(at, node)
    for node in model.graph.node:
        if node.name in consumers:
            node.input[0] = place[2]


def evaluate(model, results):
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    values = {layer.name: v for group, result, _ in results
              for layer, v in zip(group, result.values)}
    for weight in edited.graph.initializer:
        if weight.name in values:
            weight.CopyFrom(numpy_helper.from_array(values[weight.name].T.copy(), weight.name))
    for group, result, s in results:
        if result.activation:
            fake_quantize(edited, {layer.node for layer in group}, group[0].input, result, s.amax)
    LAB.mkdir(parents=True, exist_ok=True)
    path, held = LAB / f"model.{os.getpid()}.onnx", LAB / "held.npz"
    onnx.save(edited, path)
    np.savez(held, input_ids=np.load(MODEL / "calib.npz")["input_ids"][-64:])
    found = lm_eval.perplexity(path, MODEL / "eval.npz")[0], lm_eval.perplexity(path, held)[0]
    path.unlink()
    return found


def measure(name, method, model, layers, statistics):
    begin, sums, results = time.monotonic(), np.zeros(2), []
    for group in groups(layers) if method else []:
        s = statistics[group[0].input]
        results.append((group, method(group, s), s))
        sums += results[-1][1].losses
    seconds = time.monotonic() - begin
    ratio = sums[1] / sums[0] if sums[0] > 0 else 1
    own, held = evaluate(model, results)
    print(f"{name:36} perplexity {own:7.4f} held out {held:7.4f}  loss {ratio:6.4f}"
          f"  {seconds:6.2f} s", flush=True)


def main(names):
    model, layers = load()
    statistics = collect(model, sorted({layer.input for layer in layers}))
    for name in names or METHODS:
        measure(name, METHODS[name], model, layers, statistics)


if __name__ == "__main__":
    main(sys.argv[1:])
