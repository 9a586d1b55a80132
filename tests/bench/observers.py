#!/usr/bin/env python3
"""What statistics cost beside the matrix product that the observed tensor goes into: one thread,
[4096, 512] by [512, 512] and [4096, 4096] by [4096, 4096], ONNX Runtime's product in float32.
Goal: range, histogram and channels together well under the product; a Gram matrix about as much."""
import pathlib
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
OBSERVE = ROOT / "build" / "release" / "tests" / "bench" / "observe"


def product(rows, channels):
    """Milliseconds of one MatMul, the best of several."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "product",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
         for n, s in (("x", [rows, channels]), ("w", [channels, channels]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, channels])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    feeds = {"x": rng.standard_normal((rows, channels), np.float32),
             "w": rng.standard_normal((channels, channels), np.float32)}
    best = None
    for _ in range(5):
        start = time.perf_counter()
        session.run(None, feeds)
        took = (time.perf_counter() - start) * 1e3
        best = took if best is None else min(best, took)
    return best


for shape in ((4096, 512), (4096, 4096)):
    forward = product(*shape)
    print(f"[{shape[0]}, {shape[1]}]: product {forward:.1f} ms")
    lines = subprocess.run([str(OBSERVE), *map(str, shape)], stdout=subprocess.PIPE, check=True)
    for line in lines.stdout.decode().splitlines():
        name, took = line.split("\t")
        print(f"  {name:10} {float(took):9.2f} ms  {float(took) / forward:6.1%} of the product")
