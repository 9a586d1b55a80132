"""Raising opsets: what a model computes stays, bit for bit, and the checker accepts the result.
The project's own 1,072 ONNX test models, the real models, and one small model per adapter."""
import functools
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness import MODELS, ROOT, SETTINGS, Skip, add_case, case
from running import inputs_for

TESTDATA = pathlib.Path("/usr/share/libonnx-testdata/data")
BATCH = 200
CANNOT = ("tf_half_pixel_for_nn", "sequence_lens was taken out", "from opset 7 on")


def session(path):
    """Without the optimizer, whose fusions differ from opset to opset."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def upgrade(box, files, opset):
    """Raises the files; {file: raised file, or why it was refused}."""
    tool = SETTINGS.morc.parent / "tests" / "tools" / "upgrade"
    if not tool.exists():
        raise Skip(f"{tool} is not built")
    out = {}
    for start in range(0, len(files), BATCH):
        batch = files[start:start + BATCH]
        folder = box.dir / str(start)
        folder.mkdir()
        done = subprocess.run([tool, str(opset), folder, *batch], capture_output=True, text=True,
                              timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        for path, line in zip(batch, done.stdout.splitlines(), strict=True):
            number, verdict = line.split(" ", 1)
            out[path] = folder / f"{number}.onnx" if verdict == "ok" else verdict
    return out


# Ops whose kernels in ONNX Runtime add up in another order from some opset on, inputs being equal:
# AveragePool 19 differs by 2.4e-7 for N(0, 1).
ROUNDED = {"AveragePool"}


def same(got, expected, what, exact=True):
    """Equal in every bit; `exact` false: but for the order of a sum."""
    assert len(got) == len(expected), what
    for a, b in zip(got, expected):
        if isinstance(a, list):
            same(a, b, what, exact)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.shape == b.shape, f"{what}: {a.dtype}{a.shape}, {b.dtype}{b.shape}"
            equal = a.dtype.kind != "O" and a.tobytes() == b.tobytes()
            equal = equal or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
            assert equal or (not exact and np.allclose(a, b, rtol=1e-4, atol=1e-6)), f"{what}: values differ"
        else:
            assert a == b, what


def rounded(path):
    return ROUNDED & {n.op_type for n in onnx.load(str(path)).graph.node}


def stored_inputs(folder, graph):
    """The tensors of a test's first data set, by input name; None if one is no tensor."""
    initial = {i.name for i in graph.initializer}
    names = [i.name for i in graph.input if i.name not in initial]
    values = {}
    for i, name in enumerate(names):
        path = folder / "test_data_set_0" / f"input_{i}.pb"
        tensor = TensorProto()
        try:
            tensor.ParseFromString(path.read_bytes())
            values[name] = numpy_helper.to_array(tensor)
        except Exception:  # pylint: disable=broad-except # a sequence or optional, or no file
            return None
    return values


def run_somewhere(path, values):
    """By ONNX Runtime, or by the reference where it has no kernel; None if neither can."""
    try:
        return "runtime", session(path).run(None, values)
    except Exception:  # pylint: disable=broad-except
        pass
    try:
        return "reference", ReferenceEvaluator(str(path)).run(None, values)
    except Exception:  # pylint: disable=broad-except
        return None, None


# What needs another random seed, or a training domain, is not comparable.
RANDOM = ("test_bernoulli", "test_training_dropout", "test_dropout_random")


def compare(source, raised):
    """True if both ran and agreed, False if the original does not run here."""
    before = onnx.load(str(source))
    values = stored_inputs(source.parent, before.graph)
    if values is None or source.parent.name.startswith(RANDOM):
        return False
    by, expected = run_somewhere(source, values)
    if by is None:
        return False
    now_by, got = run_somewhere(raised, values)
    assert now_by, f"{source}: runs before and not after"
    if by != now_by:
        by, expected = "reference", ReferenceEvaluator(str(source)).run(None, values)
        got = ReferenceEvaluator(str(raised)).run(None, values)
    same(got, expected, f"{source} by {by}", not rounded(source))
    return True


def check(source, raised):
    """The checker accepts the raised model if it accepted the original."""
    try:
        onnx.checker.check_model(str(source), full_check=True)
    except Exception:  # pylint: disable=broad-except
        return
    onnx.checker.check_model(str(raised), full_check=True)


def testdata_case(opset, box):
    files = sorted(TESTDATA.rglob("*.onnx"))
    if not files:
        raise Skip("the package libonnx-testdata is not installed")
    ran, wrong = 0, []
    for source, raised in upgrade(box, files, opset).items():
        if isinstance(raised, str):
            assert any(reason in raised for reason in CANNOT), f"{source}: {raised}"
            continue
        try:
            check(source, raised)
            ran += compare(source, raised)
        except Exception as error:  # pylint: disable=broad-except
            wrong.append(f"{source.parent.name}: {error}")
    assert not wrong, f"{len(wrong)} wrong: " + "; ".join(wrong[:20])
    assert ran >= 700, f"only {ran} models ran before and after"


for _opset in (21, 25):
    add_case(f"upgrade/libonnx-testdata to {_opset}", functools.partial(testdata_case, _opset))


@case("upgrade/real models")
def real_models(box):
    files = sorted(MODELS.glob("ppocr/*.onnx")) + sorted(MODELS.glob("silero/*.onnx"))
    assert len(files) >= 6
    for opset in (21, 23):
        (box.dir / str(opset)).mkdir()
        inner = type("Inner", (), {"dir": box.dir / str(opset)})
        for source, raised in upgrade(inner, files, opset).items():
            assert not isinstance(raised, str), raised
            opened = session(source)
            values = inputs_for(source, opened)
            expected, got = opened.run(None, values), session(raised).run(None, values)
            same(got, expected, f"{source} at {opset}", not rounded(source))
            check(source, raised)


@case("upgrade/ops.list is what onnx says")
def ops_list(_box):
    tool = ROOT / "tests" / "tools" / "make_ops.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- one model per adapter: op, opset, inputs (arrays; None: left out), attributes, outputs

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
F = np.float32
ADAPTERS = [
    ("BatchNormalization", 8, [X, *(RNG.random(3).astype(F) for _ in range(4))], {"spatial": 1}, 1),
    ("BatchNormalization", 9, [X, *(RNG.random(3).astype(F) for _ in range(4))], {}, 1),
    ("Clip", 7, [X], {"min": -0.5}, 1),
    ("Clip", 10, [X], {"min": -0.5, "max": 0.25}, 1),
    ("Clip", 10, [X.astype(np.float16)], {"max": 0.25}, 1),
    ("DFT", 17, [X[..., :2]], {"onesided": 0}, 1),
    ("DFT", 17, [X[..., :1]], {"axis": 2}, 1),
    ("Dropout", 7, [X], {"ratio": 0.3}, 1),
    ("Dropout", 11, [X], {"ratio": 0.3}, 1),
    ("Erf", 9, [X], {}, 1),
    ("GridSample", 16, [X, RNG.random((2, 3, 3, 2)).astype(F)], {"mode": "bilinear"}, 1),
    ("GridSample", 16, [X, RNG.random((2, 3, 3, 2)).astype(F)], {"mode": "bicubic"}, 1),
    ("GroupNormalization", 18, [RNG.random((2, 6, 4)).astype(F), *(RNG.random(3).astype(F) for _ in range(2))],
     {"num_groups": 3}, 1),
    ("LogSoftmax", 12, [X], {}, 1),
    ("Softmax", 11, [X], {"axis": 2}, 1),
    ("Softmax", 11, [X], {"axis": 3}, 1),
    ("Softmax", 11, [X], {"axis": -1}, 1),
    ("Softmax", 11, [X], {"axis": -2}, 1),
    ("Softmax", 8, [X], {"axis": 0}, 1),
    ("Hardmax", 12, [X], {"axis": 2}, 1),
    ("Pad", 10, [X], {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 1.5}, 1),
    ("Pad", 10, [X], {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "mode": "reflect"}, 1),
    *((f"Reduce{kind}", 12, [np.abs(X)], attributes, 1)
      for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
      for attributes in ({"axes": [1, -1]}, {"keepdims": 0}, {"axes": [2], "keepdims": 0})),
    ("Resize", 10, [X, np.array([1, 1, 2, 3], F)], {"mode": "nearest"}, 1),
    ("Resize", 10, [X, np.array([1, 1, 1.5, 2.5], F)], {"mode": "linear"}, 1),
    ("Resize", 10, [X, np.array([1, 1, 0.5, 0.6], F)], {"mode": "linear"}, 1),
    ("Resize", 11, [X, np.array([], F), np.array([], F), np.array([2, 3, 7, 9], np.int64)],
     {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}, 1),
    ("RoiAlign", 10, [X, np.array([[0, 0, 2, 3]], F), np.array([1], np.int64)],
     {"output_height": 2, "output_width": 2, "sampling_ratio": 2}, 1),
    ("Scatter", 10, [X[0, 0], np.array([[0, 1, 2, 3, 0]], np.int64), X[1, 0, :1]], {}, 1),
    ("Slice", 9, [X], {"starts": [1, -3], "ends": [9, -1], "axes": [2, 3]}, 1),
    ("Slice", 9, [X], {"starts": [1, 1], "ends": [2, 2]}, 1),
    ("Split", 12, [X], {"axis": 3, "split": [2, 3]}, 2),
    ("Split", 12, [X], {"axis": 2}, 2),
    ("Squeeze", 12, [X[:, :1, :, :1]], {"axes": [1, 3]}, 1),
    ("Squeeze", 12, [X[:, :1, :, :1]], {}, 1),
    ("TopK", 9, [X], {"k": 2, "axis": 2}, 2),
    ("Unsqueeze", 12, [X], {"axes": [0, 3]}, 1),
    ("Upsample", 8, [X], {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}, 1),
    ("Upsample", 9, [X, np.array([1, 1, 1.5, 2], F)], {"mode": "linear"}, 1),
]


def small_model(op, opset, arrays, attributes, outputs, typed=True):
    """A graph of one node; arrays after the first one of 1 dimension become initializers."""
    inputs, weights, names = [], [], []
    for i, array in enumerate(arrays):
        name = f"x{i}"
        names.append(name)
        if i > 0 and op not in ("GridSample", "RoiAlign", "Scatter"):
            weights.append(numpy_helper.from_array(array, name))
        if i == 0 or op in ("GridSample", "RoiAlign", "Scatter") or opset < 9:
            inputs.append(helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape if typed else None))
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, **attributes)
    kinds = [TensorProto.INT64 if op == "TopK" and i else helper.np_dtype_to_tensor_dtype(arrays[0].dtype)
             for i in range(outputs)]
    shape = arrays[0].shape if op == "GroupNormalization" else None  # has no inference at opset 18
    kept = [helper.make_tensor_value_info(name, kind, shape) for name, kind in zip(made, kinds)]
    graph = helper.make_graph([node], "g", inputs, kept, weights)
    ir = 3 if opset < 9 else 8
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    return onnx.shape_inference.infer_shapes(model)


def in_function(op, opset, arrays, attributes, outputs):
    """The same node in the body of a local function, whose input has no known type."""
    names = [f"x{i}" for i in range(len(arrays))]
    made = [f"y{i}" for i in range(outputs)]
    ids = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    function = helper.make_function("local", "F", names, made, [helper.make_node(op, names, made, **attributes)],
                                    ids[:1])
    plain = small_model(op, opset, arrays, attributes, outputs)
    graph = helper.make_graph([helper.make_node("F", names, made, domain="local")], "g", plain.graph.input,
                              plain.graph.output, plain.graph.initializer)
    return helper.make_model(graph, opset_imports=ids, functions=[function], ir_version=8)


def adapter_case(form, box):
    files = []
    for i, row in enumerate(ADAPTERS):
        if form == "function" and row[1] < 10:
            continue
        path = box.dir / f"{i}.in.onnx"
        onnx.save(small_model(*row) if form == "graph" else in_function(*row), path)
        files.append(path)
    for opset in (21, 25):
        inner = type("Inner", (), {"dir": box.dir / str(opset)})
        inner.dir.mkdir()
        for source, raised in upgrade(inner, files, opset).items():
            row = ADAPTERS[int(source.name.split(".")[0])]
            what = f"{row[0]} {row[1]} -> {opset} {row[3]}"
            if form == "function" and row[0] in ("GroupNormalization", "Resize"):
                continue  # refused for want of shapes, or not
            assert not isinstance(raised, str), f"{what}: {raised}"
            onnx.checker.check_model(str(raised), full_check=True)
            if row[0] == "GroupNormalization":
                by_group(source, raised, row, what)
                continue
            names = [i.name for i in session(source).get_inputs()]
            values = {name: row[2][int(name[1:])] for name in names}
            by, expected = run_somewhere(source, values)
            now_by, got = run_somewhere(raised, {k: v for k, v in values.items() if k in needed(raised)})
            assert by and now_by, f"{what}: ran by {by}, now by {now_by}"
            if by == now_by:
                same(got, expected, what)
            else:  # RoiAlign: ONNX Runtime has no kernel from 22 on
                assert all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(got, expected, strict=True)), what


def needed(path):
    return {i.name for i in onnx.load(str(path)).graph.input}


def by_group(_source, raised, row, what):
    """No engine here runs GroupNormalization 18 as it was written: compute it."""
    x, scale, bias = row[2]
    groups = row[3]["num_groups"]
    parts = x.reshape(x.shape[0], groups, -1).astype(np.float64)
    normal = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + 1e-5)
    expected = (normal * scale[:, None] + bias[:, None]).reshape(x.shape)
    got = run_somewhere(raised, {"x0": x})[1][0]
    assert np.allclose(got, expected, atol=1e-5), what


for _form in ("graph", "function"):
    add_case(f"upgrade/adapters in a {_form}", functools.partial(adapter_case, _form))
onnxruntime.set_default_logger_severity(4)
