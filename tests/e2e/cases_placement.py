"""Where Q/DQ pairs go: a small residual network with BatchNormalization, Concat and MaxPool, and the
attention of a language model. What is stored is read back from the graph; numbers are ONNX Runtime's."""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import running
from harness import MODELS, case

PYLM = MODELS / "pylm-1m"
DATA = 'data c = npz("calib.npz")\ncalibrate(data = c)\n'
INT8 = "quantize(weight = int8 per channel, input = int8"


class Net:
    """Nodes and weights of a model, added one after the other; each method gives a value's name."""

    def __init__(self, seed=0):
        self.random, self.nodes, self.tensors = np.random.default_rng(seed), [], []

    def constant(self, name, values):
        self.tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def op(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"/{name}/{kind}", **attributes))
        return name

    def conv(self, x, name, shape, norm=True, bias=False, **attributes):
        kind = attributes.pop("kind", "Conv")
        out = shape[1] if kind == "ConvTranspose" else shape[0]
        inputs = [x, self.constant(f"{name}.weight", self.random.standard_normal(shape) * 0.2)]
        if bias:
            inputs.append(self.constant(f"{name}.bias", self.random.standard_normal(out)))
        side = shape[2] // 2
        y = self.op(kind, inputs, name, pads=[side] * 4, **attributes)
        if not norm:
            return y
        draws = (self.random.uniform(0.5, 2, out), self.random.standard_normal(out),
                 self.random.standard_normal(out), self.random.uniform(0.1, 3, out))
        parts = [self.constant(f"{name}.norm{i}", values) for i, values in enumerate(draws)]
        return self.op("BatchNormalization", [y, *parts], f"{name}_norm", epsilon=1e-3)

    def relu(self, x):
        return self.op("Relu", [x], f"{x}_relu")

    def save(self, path, x, y):
        graph = helper.make_graph(self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def network(box):
    """stem, pool, a block around the identity, one around a convolution, three branches joined."""
    n = Net()
    x = n.relu(n.conv("x", "stem", (16, 3, 3, 3)))
    x = n.op("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
    y = n.conv(n.relu(n.conv(x, "a1", (16, 16, 3, 3), bias=True)), "a2", (16, 16, 3, 3))
    x = n.relu(n.op("Add", [y, x], "a"))
    y = n.conv(n.relu(n.conv(x, "b1", (32, 16, 3, 3), strides=[2, 2])), "b2", (32, 32, 3, 3))
    x = n.relu(n.op("Add", [n.conv(x, "b0", (32, 16, 1, 1), strides=[2, 2]), y], "b"))
    left, right = n.relu(n.conv(x, "c1", (16, 32, 1, 1))), n.relu(n.conv(x, "c2", (16, 32, 3, 3)))
    x = n.op("Concat", [left, right, n.relu(n.conv(right, "c3", (16, 16, 3, 3)))], "joined", axis=1)
    x = n.relu(n.conv(x, "up", (48, 16, 3, 3), kind="ConvTranspose"))
    n.conv(x, "last", (16, 16, 1, 1), norm=False)
    n.nodes[-1].output[0] = "y"
    path = box.dir / "net.onnx"
    n.save(path, ["N", 3, 16, 16], ["N", 16, 4, 4])
    data = np.random.default_rng(1).standard_normal((32, 3, 16, 16)).astype(np.float32)
    np.savez(box.dir / "calib.npz", x=data)
    return path, data


def run(model, data, level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    held = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(held, options).run(None, {"x": data})[0]


def distance(a, b):
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b)


class Graph:
    def __init__(self, model):
        self.nodes = model.graph.node
        self.made = {name: node for node in self.nodes for name in node.output}
        self.values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    def named(self, name):
        return next(node for node in self.nodes if node.name.startswith(f"/{name}/"))

    def pair(self, node, slot):
        """(value, scale) of the Q and DQ in front of an input; None where there is none."""
        back = self.made.get(node.input[slot])
        if not back or back.op_type != "DequantizeLinear" or back.input[0] not in self.made:
            return None
        there = self.made[back.input[0]]
        assert there.op_type == "QuantizeLinear" and there.input[1:] == back.input[1:]
        return there.input[0], float(self.values[there.input[1]])

    def kinds(self):
        return [node.op_type for node in self.nodes]


@case("placement/a residual network in int8: what is folded, stored and shared")
def residual_network(box):
    path, data = network(box)
    out = box.compress(f"{DATA}on conv {{ {INT8}) }}\n", path)
    running.check(out)
    graph = Graph(onnx.load(out))
    assert "BatchNormalization" not in graph.kinds()
    left = [name for name in graph.values if ".norm" in name or name == "a1.bias"]
    assert not left, f"constants that nobody reads stayed: {left}"
    add = graph.named("a")
    assert graph.pair(add, 0) is None and graph.pair(add, 1) == graph.pair(graph.named("a1"), 0)
    add = graph.named("b")  # two convolutions: the earlier one in the graph is stored
    stored = [graph.pair(add, slot) for slot in (0, 1)]
    assert stored[0] is None and stored[1][0] == "b2_norm", stored
    assert graph.pair(graph.named("up"), 0)[1] == graph.pair(graph.named("c3"), 0)[1]
    assert distance(run(out, data), run(path, data)) < 0.05
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert distance(run(out, data, level), run(path, data)) < 0.05


def strip(model):
    """The same model without Q and DQ: their readers read what was stored."""
    model = onnx.load(model)
    source = {}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            source[node.output[0]] = source.get(node.input[0], node.input[0])
        for i, name in enumerate(node.input):
            node.input[i] = source.get(name, name)
    kept = [n for n in model.graph.node if n.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


@case("placement/BatchNormalization taken into weights leaves the float model as it was")
def batchnorm_is_exact(box):
    path, data = network(box)
    out = box.compress(f"emit qdq(weights = float)\n{DATA}on conv {{ {INT8}) }}\n", path)
    folded = strip(out)
    assert sum(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node) == 10
    assert {n.op_type for n in folded.graph.node} == {"Conv", "ConvTranspose", "Relu", "Add", "MaxPool", "Concat"}
    error = distance(run(folded, data), run(path, data))
    assert error < 1e-5, error


@case("placement/pruned weights keep their zeros when they take BatchNormalization in")
def pruned(box):
    path, _ = network(box)
    out = box.compress(f"{DATA}on conv - first(conv) {{ prune(2:4)\n {INT8}) }}\n", path)
    running.check(out)
    model = onnx.load(out)
    codes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".weight_q")}
    assert len(codes) == 10, sorted(codes)
    for name, weight in codes.items():
        axis = 0 if name.startswith("up.") else 1
        groups = np.moveaxis(weight, axis, -1).reshape(-1, 4)
        assert (np.count_nonzero(groups, axis=1) <= 2).all(), name


@case("placement/place = exact stores what is named and nothing else")
def exact(box):
    path, data = network(box)
    out = box.compress(f"{DATA}on conv {{ {INT8}, place = exact) }}\n", path)
    running.check(out)
    graph = Graph(onnx.load(out))
    assert graph.kinds().count("BatchNormalization") == 10
    assert graph.pair(graph.named("a"), 1) is None and graph.pair(graph.named("b"), 1) is None
    assert graph.pair(graph.named("up"), 0)[1] != graph.pair(graph.named("c3"), 0)[1]
    assert distance(run(out, data), run(path, data)) < 0.05


@case("placement/outputs in a format: one pair behind the layer serves all readers")
def outputs(box):
    path, data = network(box)
    out = box.compress(f'{DATA}on "c2" {{ quantize(output = int8) }}\n', path)
    running.check(out)
    graph = Graph(onnx.load(out))
    pair = graph.pair(graph.named("c2_norm"), 0)
    assert pair and pair[0] == "c2" and graph.kinds().count("QuantizeLinear") == 1
    seen = run(intermediate(path, "c2"), data)
    assert np.isclose(pair[1], np.abs(seen).max() / 127, rtol=1e-5)
    assert 0 < distance(run(out, data), run(path, data)) < 0.05


def intermediate(path, name):
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return model


@case("placement/attention without weights: both products in fp8, keys and values alone")
def attention(box):
    model = PYLM / "model.onnx"
    data = f'data c = npz("{PYLM}/calib.npz", samples = 8)\ncalibrate(data = c)\n'
    expected = running.run(model, model)
    for step, products, pairs in (("input = fp8", 2, 16), ("kv = fp8", 2, 8)):
        out = box.compress(f"{data}on attention {{ quantize({step}) }}\n", model, f"{pairs}.onnx")
        running.check(out)
        graph = Graph(onnx.load(out))
        assert graph.kinds().count("QuantizeLinear") == pairs
        free = [n for n in graph.nodes if n.op_type == "MatMul" and any(graph.pair(n, i) for i in (0, 1))]
        assert len(free) == 4 * products
        error = distance(running.run(out, model)[0], expected[0])
        assert 0 < error < 0.1, error


@case("placement/bias = int32: units of input scale times weight scale")
def bias(box):
    path, data = network(box)
    recipe = f"{DATA}on conv - last(conv) {{ quantize(weight = int8 WAY, input = int8, bias = int32PLACE) }}\n"
    for way in ("per channel", "per tensor"):
        out = box.compress(recipe.replace("WAY", way).replace("PLACE", ""), path, f"{way}.onnx")
        running.check(out)
        graph = Graph(onnx.load(out))
        folded = strip(box.compress("emit qdq(weights = float)\n" + recipe.replace("WAY", way).replace(
            ", bias = int32PLACE", ""), path, f"{way}.float.onnx"))
        exact_bias = {n.name: numpy_helper.to_array(t) for n in folded.graph.node if n.op_type.startswith("Conv")
                      for t in folded.graph.initializer if len(n.input) > 2 and t.name == n.input[2]}
        assert len(exact_bias) == 10
        for name, value in exact_bias.items():
            node = next(n for n in graph.nodes if n.name == name)
            codes, scale = (graph.values[i] for i in graph.made[node.input[2]].input)
            weight_scale = graph.values[graph.made[node.input[1]].input[1]]
            input_scale = np.float32(graph.pair(node, 0)[1])
            assert codes.dtype == np.int32 and np.array_equal(scale, input_scale * weight_scale)
            assert np.abs(codes - value.astype(np.float64) / scale).max() <= 0.501
        assert distance(run(out, data), run(path, data)) < 0.08
    out = box.compress(recipe.replace("WAY", "per channel").replace("PLACE", ", place = exact").replace(
        "conv - last(conv)", '"a1"'), path, "exact.onnx")
    graph = Graph(onnx.load(out))
    assert "a1.bias" not in graph.values and graph.values["a1.bias_q"].dtype == np.int32
    assert distance(run(out, data), run(path, data)) < 0.05
