#!/usr/bin/env python3
"""A large model to measure with: make_big_onnx.py LAYERS OUT.onnx

LAYERS decoder blocks of width 4,096 in float16, 0.436 GB each, all weights in OUT.onnx.data (each at
a multiple of 4,096 bytes). The values are normal with deviation 0.02, the same on every run; they
repeat after 4 Mi values, shifted from tensor to tensor, so that making them takes seconds. Only
MatMul carries weights: q and o [4096, 4096], k and v [4096, 1024], gate and up [4096, 14336], down
[14336, 4096].
"""
import sys

import numpy as np
from onnx import TensorProto, helper, save

WIDTH, NARROW, HIDDEN, ALIGN = 4096, 1024, 14336, 4096


class Writer:
    """Appends weights to the data file and collects their initializers."""

    def __init__(self, path):
        self.name = path.rsplit("/", 1)[-1]
        self.file = open(path, "wb")
        self.initializers = []
        random = np.random.default_rng(0)
        values = random.standard_normal(1 << 22, dtype=np.float32) * np.float32(0.02)
        self.values = values.astype(np.float16)
        self.random = random

    def weight(self, name, rows, columns):
        count = rows * columns
        shifted = np.roll(self.values, int(self.random.integers(self.values.size)))
        offset = self.file.tell()
        written = 0
        while written < count:
            part = shifted[:count - written]
            self.file.write(part.tobytes())
            written += part.size
        self.file.write(b"\0" * (-self.file.tell() % ALIGN))
        made = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=[rows, columns],
                           data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self.name), ("offset", offset), ("length", count * 2)):
            entry = made.external_data.add()
            entry.key, entry.value = key, str(value)
        self.initializers.append(made)


def block(writer, nodes, prefix, source):
    """One block; the name of its output. Attention is reduced to products: only shapes matter."""

    def add(op, name, *inputs, **attributes):
        output = f"{prefix}{name}.out"
        nodes.append(helper.make_node(op, list(inputs), [output], name=prefix + name, **attributes))
        return output

    def linear(name, value, rows, columns):
        writer.weight(f"{prefix}{name}.weight", rows, columns)
        return add("MatMul", name, value, f"{prefix}{name}.weight")

    q = linear("attn/q_proj", source, WIDTH, WIDTH)
    k = linear("attn/k_proj", source, WIDTH, NARROW)
    v = linear("attn/v_proj", source, WIDTH, NARROW)
    mixed = add("Mul", "attn/mix", q, add("Concat", "attn/repeat", k, v, k, v, axis=-1))
    middle = add("Add", "attn/residual", source, linear("attn/o_proj", mixed, WIDTH, WIDTH))
    gate = linear("mlp/gate_proj", middle, WIDTH, HIDDEN)
    active = add("Mul", "mlp/silu", gate, add("Sigmoid", "mlp/sigmoid", gate))
    product = add("Mul", "mlp/product", active, linear("mlp/up_proj", middle, WIDTH, HIDDEN))
    return add("Add", "mlp/residual", middle, linear("mlp/down_proj", product, HIDDEN, WIDTH))


def main(layers, out):
    writer, nodes, last = Writer(out + ".data"), [], "x"
    for layer in range(int(layers)):
        last = block(writer, nodes, f"/layers.{layer}/", last)
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT16, ["n", WIDTH]) for n in ("x", last)]
    graph = helper.make_graph(nodes, "big", info[:1], info[1:], writer.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    save(model, out)
    print(f"{out}: {writer.file.tell() / 1e9:.2f} GB of weights")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
