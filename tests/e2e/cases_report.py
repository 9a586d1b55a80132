"""The report of a run: one HTML page that needs nothing else and says what --json says."""
import html.parser
import json
import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import MODELS, case

PYLM = MODELS / "pylm-1m"
EMPTY = {"meta"}  # elements that have no end
REACHES_OUT = {"link", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "source"}
STACK = """
data calib = npz("calib.npz", samples = 16, batch = 4)
calibrate(data = calib, method = entropy)
on linear - head {
  quantize(weight = int8 per channel, input = int8)
}
override on "**.{gate,up}_proj" {
  awq
  quantize(weight = int4 per block(32))
}
override on "**.down_proj" {
  quantize(weight = int4 per block(32), input = uint8, round = gptq)
}
"""


class Page(html.parser.HTMLParser):
    """Checks the nesting of a page and gathers its rows, sections and texts."""

    def __init__(self, path):
        super().__init__()
        self.open, self.count, self.rows, self.sections, self.script = [], {}, [], [], ""
        self.text = path.read_text()
        self.feed(self.text)
        self.close()
        assert self.open == [], self.open
        assert self.text.startswith("<!DOCTYPE html>\n<html"), self.text[:80]
        assert "http" not in self.text and "url(" not in self.text and "@import" not in self.text

    def handle_starttag(self, tag, attrs):
        assert tag not in REACHES_OUT, tag
        for name, value in attrs:
            assert name not in ("src", "srcset", "style") and not name.startswith("on"), (tag, name)
            assert name != "href" or value.startswith("#"), value
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif tag == "section":
            self.sections.append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data):
        if "td" in self.open:
            self.rows[-1][-1] += data
        if "section" in self.open:
            self.sections[-1] += data
        if "script" in self.open:
            self.script += data


def layers_of(done):
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return lines[-1], [line for line in lines if line["type"] == "layer"]


def run(box, recipe, model, *flags, status=0):
    path = box.write("recipe.mor", "mor 1\n" + recipe)
    return box.morc(path, model, "-o", box.dir / "out.onnx", "--report", "r.html", "--json", *flags,
                    status=status)


@case("report/calibrated")
def calibrated(box):
    tokens = np.load(PYLM / "calib.npz")["input_ids"][:16]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    result, layers = layers_of(run(box, STACK, PYLM / "model.onnx"))
    assert result["ok"] and result["report"] == "r.html", result
    page = Page(box.dir / "r.html")
    assert page.count["script"] == 1 and page.count["style"] == 1
    rows = [row for row in page.rows if row]
    assert [row[1] for row in rows] == [layer["path"] for layer in layers] and len(rows) == 28
    for row, layer in zip(rows, layers):
        assert row[5] == layer["weight"] and row[7] == f"{layer['bits']:.2f}", (row, layer)
        assert row[-1] == f"{layer['sqnr']:.1f} dB" and row[-2] == f"{layer['cosine']:.6f}"
        if "range" in layer:
            assert f" to {layer['range']['high']:.4g}" in row[6], (row, layer)
    kinds = {key: [one for one in layers if key in one] for key in ("range", "awq", "gptq")}
    assert {key: len(found) for key, found in kinds.items()} == {"range": 20, "awq": 8, "gptq": 4}
    for layer in kinds["gptq"]:
        assert 0 < layer["gptq"]["error"] < layer["gptq"]["error_nearest"], layer
    for layer in kinds["awq"]:
        assert layer["awq"]["error_after"] <= layer["awq"]["error_before"], layer
    # 4 blocks: what q, k and v read, what o reads, what gate and up read, what down reads
    assert len(page.sections) == 16, len(page.sections)
    assert page.count["details"] == 4
    assert page.count["svg"] == 2 + 12  # errors twice; histograms, of which awq's inputs have none
    assert all("range by" in one or "awq" in one for one in page.sections)


@case("report/scales are those of the model")
def scales(box):
    tokens = np.load(PYLM / "calib.npz")["input_ids"][:16]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    _, layers = layers_of(run(box, STACK, PYLM / "model.onnx"))
    model = onnx.load(box.dir / "out.onnx")
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    quantized = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            zero = values[node.input[2]] if len(node.input) > 2 else 0
            quantized[node.input[0]] = float(values[node.input[1]]), int(zero)
    seen = 0
    for layer in layers:
        if "range" in layer:
            found = layer["range"]
            scale, zero = quantized[found["tensor"]]
            assert abs(scale - found["scale"]) <= 1e-6 * scale and zero == found["zero_point"], layer
            steps = (found["high"] - found["low"]) / scale
            assert abs(steps - (255 if "uint8" in layer["input"] else 254)) < 0.01, (steps, layer)
            assert found["min"] <= 0 <= found["max"] and found["amax"] > 0
            seen += 1
    assert seen == 20, seen


@case("report/without data, any kind of run")
def weights_only(box):
    result, layers = layers_of(
        run(box, "on linear - head {\n  quantize(weight = int4 per block(128))\n}\n", PYLM / "model.onnx"))
    page = Page(box.dir / "r.html")
    assert len([row for row in page.rows if row]) == len(layers) == 28
    assert "details" not in page.count and page.count["svg"] == 2
    assert all("range" not in layer for layer in layers) and result["ok"]
    # a quiet run with a report measures what it reports
    box.morc("recipe.mor", PYLM / "model.onnx", "-o", "out.onnx", "--report", "r.html", "-q", "-f")
    assert Page(box.dir / "r.html").rows == page.rows


@case("report/a rejected model is reported, too")
def rejected(box):
    recipe = "on linear {\n  quantize(weight = int2)\n  expect .cosine >= 0.99999\n}\n"
    result, _ = layers_of(run(box, recipe, PYLM / "model.onnx", status=3))
    page = Page(box.dir / "r.html")
    assert "An expectation failed" in page.text and "error[E0901]" in page.text
    assert "out.rejected.onnx" in page.text and result["exit"] == 3
    assert box.files() == ["out.rejected.onnx", "r.html", "recipe.mor"], box.files()


@case("report/hostile names")
def hostile(box):
    names = ['</title><script src="x">', '"><img src=x onerror=alert(1)>', "a&b;&lt;'", "\u202eevil\x1b[31m",
             "]]></style><style>*{}", "https://"]
    inputs, nodes, tensors = names[0] + "in", [], []
    value = inputs
    for i, name in enumerate(names):
        weight = np.random.default_rng(i).standard_normal((32, 32)).astype(np.float32)
        tensors.append(numpy_helper.from_array(weight, f"w{i}{name}"))
        nodes.append(helper.make_node("MatMul", [value, f"w{i}{name}"], [f"v{i}{name}"], f"n{i}{name}"))
        value = f"v{i}{name}"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(inputs, TensorProto.FLOAT, [4, 32])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [4, 32])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    box.write("m<b>.onnx", model.SerializeToString())
    np.save(box.dir / "x.npy", np.random.default_rng(1).standard_normal((64, 32)).astype(np.float32))
    recipe = ('# </pre><script src="y">\ndata calib = npy("x.npy", batch = 4)\n'
              "calibrate(data = calib, method = percentile(99.9))\n"
              "on linear {\n  quantize(weight = int8, input = int8)\n}\n")
    run(box, recipe, "m<b>.onnx")
    text = (box.dir / "r.html").read_text()
    assert "https:" in text
    (box.dir / "r.html").write_text(text.replace("https:", ""))  # the name above, as text
    page = Page(box.dir / "r.html")
    assert page.count["script"] == 1 and page.count["style"] == 1 and "b" in page.count
    assert len(page.sections) == 6 and len([row for row in page.rows if row]) == 6
    shown = "".join(page.sections)
    for name in (names[0], names[1], names[2]):
        assert name in shown, name
    assert "\\u{202e}evil\\x1b[31m" in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page.text)
