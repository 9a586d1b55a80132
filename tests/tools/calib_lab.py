#!/usr/bin/env python3
"""Measures the weight algorithms of runtime/calib on a language model: calib_lab.py [METHOD...]

Loads build/models/pylm-7m (MODEL=DIRECTORY for another), collects the Gram matrix X^T X, the
channels' maxima and mean magnitudes of the input of every MatMul with a constant weight, on the first
128 sequences of calib.npz (kept in build/lab), runs the named methods (default: all) through
libweights_lab.so of the release build, puts the values that come out into the model and prints a table:
perplexity on eval.npz, Gram loss relative to rounding to nearest, seconds of the algorithm. The last
MatMul (the head) stays in float.

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


# ---- methods: from the layers of one group and their statistics to values; losses as [nearest, own]

def nearest(g):
    def run(group, s):
        values, sums = [], np.zeros(2)
        for layer in group:
            out, loss = np.empty_like(layer.w), ctypes.c_double()
            call("lab_nearest", ctypes.byref(g), pointer(layer.w), *map(integer, layer.w.shape),
                 pointer(s.gram), pointer(out), ctypes.byref(loss))
            values.append(out)
            sums += loss.value
        return values, sums
    return run


def gptq_one(g, w, gram, sweeps=4, scales=True, natural=False, zero=None):
    out, losses = np.empty_like(w), np.empty(2)
    call("lab_gptq", ctypes.byref(g), pointer(w), *map(integer, w.shape), pointer(gram),
         pointer(zero), integer(int(natural)), integer(sweeps), integer(int(scales)), pointer(out),
         pointer(losses))
    return out, losses


def gptq(g, **options):
    def run(group, s):
        results = [gptq_one(g, layer.w, s.gram, **options) for layer in group]
        return [r[0] for r in results], sum(r[1] for r in results)
    return run


INT4 = grid("int4", BLOCK, 128)
INT4_MAX = grid("int4", BLOCK, 128, mse=False)
METHODS = {
    "float": None,
    "int4 max": nearest(INT4_MAX),
    "int4 mse": nearest(INT4),
    "int4 max gptq plain": gptq(INT4_MAX, sweeps=0, scales=False),
    "int4 mse gptq plain": gptq(INT4, sweeps=0, scales=False),
    "int4 mse gptq natural": gptq(INT4, sweeps=0, scales=False, natural=True),
    "int4 mse gptq descent 4": gptq(INT4, sweeps=4, scales=False),
    "int4 mse gptq descent 4 scales": gptq(INT4, sweeps=4),
    "int4 mse gptq descent 20 scales": gptq(INT4, sweeps=20),
}


def evaluate(model, values):
    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    for weight in edited.graph.initializer:
        if weight.name in values:
            weight.CopyFrom(numpy_helper.from_array(values[weight.name].T.copy(), weight.name))
    path = LAB / "model.onnx"
    LAB.mkdir(parents=True, exist_ok=True)
    onnx.save(edited, path)
    return lm_eval.perplexity(path, MODEL / "eval.npz")[0]


def measure(name, method, model, layers, statistics):
    begin, sums, values = time.monotonic(), np.zeros(2), {}
    for group in groups(layers) if method else []:
        out, losses = method(group, statistics[group[0].input])
        sums += losses
        values |= {layer.name: v for layer, v in zip(group, out)}
    seconds = time.monotonic() - begin
    ratio = sums[1] / sums[0] if sums[0] > 0 else 1
    print(f"{name:36} perplexity {evaluate(model, values):7.4f}  loss {ratio:6.4f}"
          f"  {seconds:6.2f} s", flush=True)


def main(names):
    model, layers = load()
    statistics = collect(model, sorted({layer.input for layer in layers}))
    for name in names or METHODS:
        measure(name, METHODS[name], model, layers, statistics)


if __name__ == "__main__":
    main(sys.argv[1:])
