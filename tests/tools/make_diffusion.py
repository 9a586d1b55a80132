#!/usr/bin/env python3
"""Small diffusion models with random weights: make_diffusion.py DIRECTORY

DIRECTORY/unet.onnx has the parts and names of a latent UNet: time embedding, residual blocks that it is
added in, a step down and up, a skip, attention on the text. DIRECTORY/dit.onnx those of a diffusion
transformer: patches, blocks modulated by the time. NAME.npz beside them holds `COUNT` samples of their
inputs, noise at all times. All bytes are the same on every run.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

WIDTH, TEXT, SIDE, COUNT = 32, 24, 16, 64


class Builder:
    """Nodes named by the module they stand in, as exporters do."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.scope = [], [], ""

    def node(self, op, inputs, name=None, **attributes):
        path = "/" + "/".join(filter(None, [self.scope, name, op]))
        out = f"{path}_{len(self.nodes)}"
        self.nodes.append(h.make_node(op, inputs, [out], out, **attributes))
        return out

    def weight(self, array, name="c"):
        name = f"{self.scope}.{name}_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def floats(self, *shape, scale):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def linear(self, x, k, n, name):
        y = self.node("MatMul", [x, self.weight(self.floats(k, n, scale=k ** -0.5), name)], name)
        return self.node("Add", [y, self.weight(self.floats(n, scale=0.1))], name)

    def conv(self, x, k, n, size, name, stride=1):
        w = self.weight(self.floats(n, k, size, size, scale=(k * size * size) ** -0.5), name)
        return self.node("Conv", [x, w, self.weight(self.floats(n, scale=0.1))], name,
                         pads=[size // 2] * 4 if size % 2 else [0] * 4, strides=[stride] * 2)

    def silu(self, x):
        return self.node("Mul", [x, self.node("Sigmoid", [x])])

    def norm(self, x, n, op):
        """Gains with a few large ones: what makes activations hard to quantize."""
        gain = np.exp(self.floats(n, scale=0.5)) * np.where(np.arange(n) % 11 == 5, 6, 1)
        more = {"num_groups": 4} if op == "GroupNormalization" else {"axis": -1}
        return self.node(op, [x, self.weight(gain.astype(np.float32)), self.weight(self.floats(n, scale=0.1))],
                         "norm", **more)

    def ints(self, *values):
        return self.weight(np.array(values, np.int64))

    def time(self, name, first, second):
        """timestep [n] -> [n, WIDTH]"""
        self.scope = name
        step = self.node("Unsqueeze", ["timestep", self.ints(1)])
        speed = np.exp(-np.log(1e4) * np.arange(WIDTH // 2) / (WIDTH // 2)).astype(np.float32)
        angle = self.node("Mul", [step, self.weight(speed)])
        x = self.node("Concat", [self.node("Sin", [angle]), self.node("Cos", [angle])], axis=1)
        return self.linear(self.silu(self.linear(x, WIDTH, WIDTH, first)), WIDTH, WIDTH, second)

    def attention(self, q, k, v, n, heads=2):
        def split(x):
            x = self.node("Reshape", [x, self.ints(0, -1, heads, n // heads)])
            return self.node("Transpose", [x], perm=[0, 2, 1, 3])
        k = self.node("Transpose", [split(k)], perm=[0, 1, 3, 2])
        scores = self.node("MatMul", [split(q), k])
        scores = self.node("Mul", [scores, self.weight(np.float32((n // heads) ** -0.5))])
        x = self.node("MatMul", [self.node("Softmax", [scores], axis=-1), split(v)])
        x = self.node("Transpose", [x], perm=[0, 2, 1, 3])
        return self.node("Reshape", [x, self.ints(0, -1, n)])

    def model(self, inputs, out, shape):
        self.scope = ""
        self.nodes.append(h.make_node("Identity", [out], ["out"], "/Identity"))
        value = h.make_tensor_value_info
        graph = h.make_graph(self.nodes, "g", [value(n, T.FLOAT, s) for n, s in inputs.items()],
                             [value("out", T.FLOAT, shape)], self.weights)
        made = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
        onnx.checker.check_model(made, full_check=True)
        return made


def resnet(b, x, time, k, n, scope):
    b.scope = scope
    y = b.conv(b.silu(b.norm(x, k, "GroupNormalization")), k, n, 3, "conv1")
    t = b.linear(b.silu(time), WIDTH, n, "time_emb_proj")
    y = b.node("Add", [y, b.node("Unsqueeze", [t, b.ints(2, 3)])])
    y = b.conv(b.silu(b.norm(y, n, "GroupNormalization")), n, n, 3, "conv2")
    return b.node("Add", [b.conv(x, k, n, 1, "conv_shortcut") if k != n else x, y])


def text_attention(b, x, n, side, scope):
    b.scope = scope
    rows = b.node("Transpose", [b.node("Reshape", [x, b.ints(0, n, side * side)])], perm=[0, 2, 1])
    y = b.norm(rows, n, "LayerNormalization")
    y = b.attention(b.linear(y, n, n, "to_q"), b.linear("text", TEXT, n, "to_k"),
                    b.linear("text", TEXT, n, "to_v"), n)
    rows = b.node("Add", [rows, b.linear(y, n, n, "to_out.0")])
    y = b.linear(b.norm(rows, n, "LayerNormalization"), n, 4 * n, "ff.net.0.proj")
    rows = b.node("Add", [rows, b.linear(b.silu(y), 4 * n, n, "ff.net.2")])
    return b.node("Reshape", [b.node("Transpose", [rows], perm=[0, 2, 1]), b.ints(0, n, side, side)])


def unet():
    b = Builder(11)
    time = b.time("time_embedding", "linear_1", "linear_2")
    b.scope = ""
    x = b.conv("sample", 4, WIDTH, 3, "conv_in")
    skip = resnet(b, x, time, WIDTH, WIDTH, "down_blocks.0/resnets.0")
    b.scope = "down_blocks.0"
    x = b.conv(skip, WIDTH, 2 * WIDTH, 3, "downsamplers.0/conv", stride=2)
    x = resnet(b, x, time, 2 * WIDTH, 2 * WIDTH, "mid_block/resnets.0")
    x = text_attention(b, x, 2 * WIDTH, SIDE // 2, "mid_block/attentions.0")
    b.scope = "up_blocks.0"
    x = b.node("Resize", [x, "", b.weight(np.array([1, 1, 2, 2], np.float32))], mode="nearest")
    x = b.conv(x, 2 * WIDTH, WIDTH, 3, "upsamplers.0/conv")
    x = resnet(b, b.node("Concat", [x, skip], axis=1), time, 2 * WIDTH, WIDTH, "up_blocks.0/resnets.0")
    b.scope = ""
    x = b.conv(b.silu(b.norm(x, WIDTH, "GroupNormalization")), WIDTH, 4, 3, "conv_out")
    shape = ["n", 4, SIDE, SIDE]
    return b.model({"sample": shape, "timestep": ["n"], "text": ["n", 8, TEXT]}, x, shape)


def dit_block(b, x, time, n, scope):
    b.scope = scope
    parts = b.linear(b.silu(time), n, 4 * n, "adaLN_modulation.1")
    parts = b.node("Unsqueeze", [parts, b.ints(1)])
    shift, scale, gate, last = (b.node("Slice", [parts, b.ints(i * n), b.ints(i * n + n), b.ints(2)])
                                for i in range(4))
    y = b.node("Add", [b.node("Mul", [b.norm(x, n, "LayerNormalization"), scale]), shift])
    b.scope = scope + "/attn"
    q, k, v = (b.linear(y, n, n, name) for name in ("to_q", "to_k", "to_v"))
    x = b.node("Add", [x, b.node("Mul", [b.linear(b.attention(q, k, v, n), n, n, "proj"), gate])])
    b.scope = scope + "/mlp"
    y = b.silu(b.linear(b.norm(x, n, "LayerNormalization"), n, 4 * n, "fc1"))
    return b.node("Add", [x, b.node("Mul", [b.linear(y, 4 * n, n, "fc2"), last])])


def dit():
    b = Builder(12)
    n, side = WIDTH, SIDE // 2
    time = b.time("t_embedder", "mlp.0", "mlp.2")
    b.scope = "x_embedder"
    x = b.node("Reshape", [b.conv("sample", 4, n, 2, "proj", stride=2), b.ints(0, n, side * side)])
    x = b.node("Transpose", [x], perm=[0, 2, 1])
    x = b.node("Add", [x, b.weight(b.floats(side * side, n, scale=0.5), "pos_embed")])
    for i in range(3):
        x = dit_block(b, x, time, n, f"blocks.{i}")
    b.scope = "final_layer"
    x = b.linear(b.norm(x, n, "LayerNormalization"), n, 16, "linear")
    return b.model({"sample": ["n", 4, SIDE, SIDE], "timestep": ["n"]}, x, ["n", side * side, 16])


def samples(seed, count):
    """Noise of all times over pictures that are smooth: inputs of both models."""
    random = np.random.default_rng(seed)
    time = random.integers(0, 1000, count).astype(np.float32)
    picture = np.repeat(np.repeat(random.standard_normal((count, 4, 4, 4)), 4, 2), 4, 3)
    share = (time / 1000)[:, None, None, None]
    x = np.sqrt(1 - share) * picture + np.sqrt(share) * random.standard_normal(picture.shape)
    return {"sample": x.astype(np.float32), "timestep": time,
            "text": random.standard_normal((count, 8, TEXT)).astype(np.float32)}


def write(folder):
    for name, made in (("unet", unet()), ("dit", dit())):
        onnx.save(made, folder / f"{name}.onnx")
        data = samples(1, COUNT)
        np.savez(folder / f"{name}.npz", **{i.name: data[i.name] for i in made.graph.input})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(pathlib.Path(sys.argv[1]))
