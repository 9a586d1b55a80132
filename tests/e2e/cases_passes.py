"""Several passes over the data: memory for Gram matrices, and observe = encoded.

However the passes are cut, by how many threads, and in how many runs: the same bytes. Behind encoded
layers, what decides a scale is what the new model itself shows.
"""
import functools
import os
import re
import signal
import subprocess
import time

import numpy as np
import onnx
from onnx import helper, numpy_helper

from cases_calibrate import PYLM, float_perplexity, perplexity, prepare, text_of
from harness import MODELS, SETTINGS, add_case, case
from running import session

STACK = "awq\nquantize(weight = int4 per block(128), input = int8, round = gptq)"
ENCODED = ", observe = encoded"


def morstats(box, stem):
    return sorted(f for f in box.files() if f.startswith(stem + ".") and f.endswith(".morstat"))


def run(box, out, *flags):
    """What morc says of a run of the recipe at hand."""
    done = box.morc(box.dir / "recipe.mor", PYLM / "model.onnx", "-o", box.dir / out, "-f", *flags, timeout=300)
    return done.stdout + done.stderr


@case("passes/cuts and threads change no byte")
def same_bytes(box):
    prepare(box)
    recipe = text_of(STACK, ", method = entropy")
    whole = box.compress(recipe, PYLM / "model.onnx", "whole.onnx").read_bytes()
    assert morstats(box, "whole") == ["whole.morstat"], box.files()
    for memory, files in (("2MiB", (2, 7)), ("1KiB", (8, 60))):
        for threads in "12":
            name = f"m{memory}t{threads}"
            said = run(box, name + ".onnx", "--stats-memory", memory, "--threads", threads)
            assert (box.dir / f"{name}.onnx").read_bytes() == whole, name
            count = len(morstats(box, name))
            assert files[0] <= count <= files[1], (name, count)
            assert f"in {count} passes".encode() in said, said


@case("passes/what was kept serves other cuts")
def kept(box):
    prepare(box)
    whole = box.compress(text_of(STACK), PYLM / "model.onnx", "whole.onnx").read_bytes()
    said = run(box, "whole.onnx", "--stats-memory", "1KiB")  # from the file of one pass
    assert b"calibrated" not in said and (box.dir / "whole.onnx").read_bytes() == whole, said
    assert morstats(box, "whole") == ["whole.morstat"], box.files()
    run(box, "cut.onnx", "--stats-memory", "1MiB")
    count = len(morstats(box, "cut"))
    said = run(box, "cut.onnx")  # and the other way round
    assert b"calibrated" not in said and (box.dir / "cut.onnx").read_bytes() == whole, said
    (box.dir / "cut.2.morstat").unlink()  # one pass is lost: it, and those behind it, are measured
    said = run(box, "cut.onnx", "--stats-memory", "1MiB")
    assert b"statistics of 1 of " in said and (box.dir / "cut.onnx").read_bytes() == whole, said
    assert len(morstats(box, "cut")) == count, box.files()
    first = (box.dir / "cut.morstat").read_bytes()
    (box.dir / "cut.2.morstat").write_bytes(b"mine")  # and nothing but statistics is replaced
    said = box.morc(box.dir / "recipe.mor", PYLM / "model.onnx", "-o", box.dir / "cut.onnx", "-f", status=2)
    assert b"E1103" in said.stderr and b"cut.2.morstat" in said.stderr, said.stderr
    assert (box.dir / "cut.2.morstat").read_bytes() == b"mine"
    assert (box.dir / "cut.morstat").read_bytes() == first


def stop_behind(box, file, *flags):
    """Runs the recipe until it has written `file`, and stops it a little later."""
    command = [str(SETTINGS.morc), "recipe.mor", str(PYLM / "model.onnx"), "-o", "out.onnx", *flags]
    child = subprocess.Popen(command, cwd=box.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env={**os.environ, "NO_COLOR": "1"})
    while file not in box.files() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[0]
    assert child.returncode == 130, said
    assert b"the same command goes on from there" in said, said


@case("passes/stopped in a later pass")
def stopped(box):
    tokens = np.load(PYLM / "calib.npz")["input_ids"]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    for name, arguments, flags in (("float", "", ("--stats-memory", "1MiB")), ("encoded", ENCODED, ())):
        box.write("recipe.mor", "mor 1\n" + text_of(STACK, arguments, 40, 1))
        stop_behind(box, "out.2.morstat", *flags)
        assert "out.onnx" not in box.files(), box.files()
        times = [(box.dir / f).stat().st_mtime_ns for f in ("out.morstat", "out.2.morstat")]
        said = run(box, "out.onnx", *flags)
        found = re.search(rb"statistics of (\d+) of \d+ passes", said)
        assert found and int(found.group(1)) >= 2, said
        assert times == [(box.dir / f).stat().st_mtime_ns for f in ("out.morstat", "out.2.morstat")]
        run(box, f"{name}.onnx", *flags, "--stats", "none")
        assert (box.dir / "out.onnx").read_bytes() == (box.dir / f"{name}.onnx").read_bytes()
        for file in ["out.onnx", *morstats(box, "out")]:
            (box.dir / file).unlink()


@case("passes/stopped while weights are solved")
def stopped_solving(box):
    prepare(box)
    rule = "on linear - head { quantize(weight = int4 per block(128), round = adaround(steps = 20000)) }\n"
    box.write("recipe.mor", f'mor 1\ndata calib = npz("calib.npz", samples = 4)\ncalibrate(data = calib)\n{rule}')
    stop_behind(box, "out.morstat")
    assert box.files() == ["calib.npz", "out.morstat", "recipe.mor"], box.files()


@case("passes/merging")
def merged(box):
    tokens = prepare(box)
    flags = ("--stats-memory", "1MiB")
    for i in range(2):
        np.savez(box.dir / "calib.npz", input_ids=tokens[8 * i:8 * i + 8])
        box.compress(text_of(STACK, samples=8), PYLM / "model.onnx", f"part{i}.onnx", *flags)
    count = len(morstats(box, "part0"))
    for k in range(count):  # pass by pass
        end = f".{k + 1}.morstat" if k else ".morstat"
        box.morc("stats", "merge", "part0" + end, "part1" + end, "-o", "all" + end)
    said = run(box, "merged.onnx", *flags, "--stats", "all.morstat")
    assert f"statistics of {count} of {count} passes".encode() in said, said
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    box.compress(text_of(STACK, samples=16), PYLM / "model.onnx", "whole.onnx", *flags)
    weights = [{t.name: t for t in onnx.load(box.dir / f).graph.initializer} for f in ("merged.onnx", "whole.onnx")]
    assert weights[0].keys() == weights[1].keys()
    said = box.morc("stats", "merge", "part0.morstat", "part1.2.morstat", "-o", "x.morstat", status=1).stderr
    assert b"another pass" in said, said
    for i in range(2):
        np.savez(box.dir / "calib.npz", input_ids=tokens[8 * i:8 * i + 8])
        box.compress(text_of(STACK, ENCODED, samples=8), PYLM / "model.onnx", f"behind{i}.onnx")
    said = box.morc("stats", "merge", "behind0.morstat", "behind1.morstat", "-o", "x.morstat", status=1).stderr
    assert b"E0708" in said and b"observe = encoded" in said, said


def decode_weights(model, constants):
    """Weights become the constants that their DequantizeLinear makes: then ONNX Runtime fuses and multiplies as in
    the copies that were measured, and the last bits are the same. (Where they are not, a value near the middle of
    two codes gets the other one, and what is behind it moves.)"""
    for node in [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]:
        single = helper.make_graph([node], "w", [], [helper.make_empty_tensor_value_info(node.output[0])],
                                   [t for t in model.graph.initializer if t.name in node.input])
        weight = session(helper.make_model(single, opset_imports=model.opset_import, ir_version=model.ir_version)
                         .SerializeToString()).run(None, {})[0]
        model.graph.node.remove(node)
        model.graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))


def shown_scales(path, data, feed="input_ids"):
    """Of each QuantizeLinear: its scale, and what the model itself puts into it."""
    model = onnx.load(path)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    decode_weights(model, constants)
    nodes = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    for name in dict.fromkeys(n.input[0] for n in nodes):
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    names = [o.name for o in model.graph.output][1:]
    runs, largest = session(model.SerializeToString()), dict.fromkeys(names, 0.0)
    for i in range(0, len(data), 4):  # the batches of the recipe
        for name, value in zip(names, runs.run(names, {feed: data[i:i + 4]})):
            largest[name] = max(largest[name], float(np.abs(value).max()))
    return [(float(constants[n.input[1]]), largest[n.input[0]]) for n in nodes]


def expect_near(scales, most, near, share=0.9):
    """An observer may keep ONNX Runtime from fusing two nodes, so a few values differ in last bits and then in codes."""
    off = [abs(scale * most - shown) / shown for scale, shown in scales]
    assert len(off) >= 8 and max(off) < 0.05, off
    assert sum(x <= near for x in off) >= share * len(off), off


# steps, largest code, how near the scales are
BEHIND = {
    "int8": ("quantize(weight = int8 per channel, input = int8)", 127, 1e-6),
    "fp8": ("quantize(weight = fp8 per channel, input = fp8)", 448, 1e-6),
    "gptq": ("quantize(weight = int4 per block(128), input = int8, round = gptq)", 127, 1e-6),
    "smooth": ("smooth\nquantize(weight = int8 per channel, input = int8)", 127, 1e-5),
    "awq by Mul": ("awq(fold = never)\nquantize(weight = int4 per block(128), input = fp8, round = gptq)", 448, 1e-5),
    "prune": ("prune(2:4)\nquantize(weight = int8 per channel, input = int8)", 127, 1e-6),
}


def check_behind(steps, most, near, box):
    tokens = prepare(box)
    out = box.compress(text_of(steps, ENCODED), PYLM / "model.onnx")
    onnx.checker.check_model(str(out))
    scales = shown_scales(out, tokens)
    expect_near(scales, most, near)
    plain = shown_scales(box.compress(text_of(steps), PYLM / "model.onnx", "float.onnx"), tokens)
    off = [abs(scale * most - shown) / shown for scale, shown in plain]
    assert sum(x <= near for x in off) <= 0.25 * len(off), off  # but for the first: it is another model


for _name, _row in BEHIND.items():
    add_case(f"passes/scales behind encoded layers: {_name}", functools.partial(check_behind, *_row))


@case("passes/behind encoded layers, any cut and threads")
def encoded_bytes(box):
    prepare(box)
    recipe = text_of(STACK, ENCODED)
    whole = box.compress(recipe, PYLM / "model.onnx", "whole.onnx").read_bytes()
    passes = len(morstats(box, "whole"))
    assert passes >= 8, box.files()
    run(box, "cut.onnx", "--stats-memory", "1KiB", "--threads", "1")
    assert (box.dir / "cut.onnx").read_bytes() == whole
    said = run(box, "whole.onnx", "--threads", "2")  # all kept
    assert f"statistics of {passes} of {passes} passes".encode() in said, said
    assert (box.dir / "whole.onnx").read_bytes() == whole
    value, _ = perplexity(box.dir / "whole.onnx", PYLM / "eval.npz", sequences=32, threads=1)
    assert value <= 1.25 * float_perplexity(), value
    box.write("recipe.mor", "mor 1\n" + recipe.replace("awq", "awq(grid = 5)"))
    said = run(box, "whole.onnx")  # other weights: only the first pass is as it was
    assert f"statistics of 1 of {passes} passes".encode() in said, said


@case("passes/convolutions behind encoded layers")
def convolutions(box):
    """Im2col matrices, BatchNormalizations that convolutions take in, biases, layers side by side."""
    images = np.random.default_rng(5).standard_normal((8, 3, 48, 96), dtype=np.float32)
    np.savez(box.dir / "calib.npz", x=images)
    model = MODELS / "ppocr" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
    recipe = ('data calib = npz("calib.npz", batch = 4)\ncalibrate(data = calib{})\n'
              "on conv[.groups == 1] {{ quantize(weight = int8 per channel, input = int8, round = gptq) }}\n")
    behind = box.compress(recipe.format(ENCODED), model, "behind.onnx")
    onnx.checker.check_model(str(behind))
    expect_near(shown_scales(behind, images, "x"), 127, 1e-6, 0.6)
    plain = box.compress(recipe.format(""), model, "plain.onnx").read_bytes()
    assert plain != behind.read_bytes()
    cut = box.compress(recipe.format(""), model, "cut.onnx", "--stats-memory", "64KiB").read_bytes()
    assert plain == cut and len(morstats(box, "cut")) > 2
