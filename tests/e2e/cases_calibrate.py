"""Calibration end to end: what morc takes from data, against numpy and ONNX Runtime.

Scales of inputs are the largest magnitudes that ONNX Runtime itself shows; factors change nothing
in float; the same bytes come out of 1 and 2 threads, of a run that was stopped and resumed, and of
statistics that were kept or merged.
"""
import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from harness import MODELS, ROOT, SETTINGS, add_case, case
from running import compare, run, session

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from lm_eval import perplexity  # noqa: E402

PYLM = MODELS / "pylm-1m"
INT8 = "quantize(weight = int8 per channel, input = int8)"
# name: steps, arguments of calibrate, perplexity at most (float is 8.71)
METHODS = {
    "fp8": ("quantize(weight = fp8 per channel, input = fp8)", "", 1.02),
    "int8 max": (INT8, "", 1.30),
    "int8 percentile": (INT8, ", method = percentile(99.999)", 1.20),
    "int8 entropy": (INT8, ", method = entropy", 1.30),
    "int8 mse": (INT8, ", method = mse", 1.30),
    "uint8": ("quantize(weight = int8 per channel, input = uint8)", "", 1.30),
    "smooth": ("smooth\n" + INT8, "", 1.05),
    "smooth 0.5": ("smooth(alpha = 0.5)\n" + INT8, "", 1.10),
    "smooth by mse": ("smooth\n" + INT8, ", method = mse", 1.05),
    "smooth uint8": ("smooth\nquantize(weight = int8 per channel, input = uint8)",
                     ", method = percentile(99.999)", 1.05),
    "smooth by Mul": ("smooth(fold = never)\n" + INT8, "", 1.05),
    "awq": ("awq\nquantize(weight = int4 per block(128))", "", 1.20),
    "awq without clip": ("awq(clip = false)\nquantize(weight = int4 per block(128))", "", 1.20),
    "gptq": ("quantize(weight = int4 per block(128), round = gptq)", "", 1.20),
    "adaround": ("quantize(weight = int4 per block(128), round = adaround(steps = 100))", "", 1.22),
    "awq and gptq": ("awq\nquantize(weight = int4 per block(128), round = gptq)", "", 1.15),
    "smooth, dynamic": ("smooth\nquantize(weight = int8 per channel, input = int8 per token dynamic)", "", 1.02),
    "awq, dynamic": ("awq\nquantize(weight = int4 per block(128), input = int8 per token dynamic)", "", 1.20),
    "gptq, dynamic": ("quantize(weight = int4 per block(128), input = fp8 per token dynamic, round = gptq)", "", 1.20),
    "w4a8": ("awq\nquantize(weight = int4 per block(128), input = fp8)", "", 1.20),
}


def text_of(steps, arguments="", samples=16, batch=4, emit=""):
    return (f'{emit}data calib = npz("calib.npz", samples = {samples}, batch = {batch})\n'
            f"calibrate(data = calib{arguments})\non linear - head {{\n{steps}\n}}\n")


def receipt_of(model):
    return json.loads(next(p.value for p in model.metadata_props if p.key == "mor.receipt"))


def prepare(box, samples=16):
    tokens = np.load(PYLM / "calib.npz")["input_ids"][:samples]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    return tokens


@functools.lru_cache(maxsize=1)
def float_perplexity():
    return perplexity(PYLM / "model.onnx", PYLM / "eval.npz", sequences=32, threads=1)[0]


def check_method(steps, arguments, factor, box):
    prepare(box)
    out = box.compress(text_of(steps, arguments), PYLM / "model.onnx")
    onnx.checker.check_model(str(out))
    value, _ = perplexity(out, PYLM / "eval.npz", sequences=32, threads=1)
    most = float_perplexity() * factor
    assert value <= most, f"perplexity {value:.4f}, not {most:.4f} at most"


for _name, _row in METHODS.items():
    add_case(f"calibrate/{_name}", functools.partial(check_method, *_row))


@case("calibrate/gptq keeps a mask")
def masked(box):
    prepare(box)
    steps = "prune(2:4)\nquantize(weight = int4 per block(128), round = gptq)"
    model = onnx.load(box.compress(text_of(steps), PYLM / "model.onnx"))
    floats = {t.name: numpy_helper.to_array(t) for t in onnx.load(PYLM / "model.onnx").graph.initializer}
    codes = [t for t in model.graph.initializer if t.name.endswith("_q")]
    assert len(codes) >= 8
    for tensor in codes:  # [k, n]: two of four neighbours along k, the largest
        code = numpy_helper.to_array(tensor).astype(np.int8)
        fours = np.abs(floats[tensor.name[:-2]]).reshape(-1, 4, code.shape[1])
        small = np.argsort(-fours, axis=1, kind="stable")[:, 2:]
        gone = np.take_along_axis(code.reshape(fours.shape), small, axis=1)
        assert not gone.any(), tensor.name


def seen_by_runtime(names, tokens):
    """Values of the float model on the data, by ONNX Runtime."""
    model = onnx.load(PYLM / "model.onnx")
    for name in names:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return session(model.SerializeToString()).run(list(names), {"input_ids": tokens})


@case("calibrate/scales are those of numpy")
def scales(box):
    tokens = prepare(box)
    model = onnx.load(box.compress(text_of(INT8), PYLM / "model.onnx"))
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    found = {n.input[0]: constants[n.input[1]] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    assert len(found) >= 8, found
    for name, value in zip(found, seen_by_runtime(found, tokens)):
        want = np.float32(np.abs(value).max()) / np.float32(127)
        assert found[name] == want, (name, found[name], want)


@case("calibrate/asymmetric ranges are those of numpy")
def asymmetric(box):
    tokens = prepare(box)
    steps = INT8.replace("input = int8", "input = uint8")
    model = onnx.load(box.compress(text_of(steps), PYLM / "model.onnx"))
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    values = seen_by_runtime([n.input[0] for n in nodes], tokens)
    for node, value in zip(nodes, values):
        low, high = min(value.min(), np.float32(0)), max(value.max(), np.float32(0))
        scale = np.float32(high - low) / np.float32(255)
        assert constants[node.input[1]] == scale, (node.name, constants[node.input[1]], scale)
        zero = np.clip(np.rint(-low / scale), 0, 255)
        assert constants[node.input[2]] == zero, (node.name, constants[node.input[2]], zero)


@case("calibrate/smoothing changes nothing in float")
def smoothing(box):
    tokens = prepare(box)
    for fold in ("auto", "never"):
        emit = "emit qdq(weights = float)\n"
        steps = f"smooth(alpha = 0.7, fold = {fold})\nquantize(weight = int8 per channel)"
        out = box.compress(text_of(steps, emit=emit), PYLM / "model.onnx", f"{fold}.onnx")
        model = onnx.load(out)
        for node in model.graph.node:  # without the pairs that round
            if node.op_type == "DequantizeLinear":
                quantize = next(n for n in model.graph.node if node.input[0] in n.output)
                for reader in model.graph.node:
                    for i, name in enumerate(reader.input):
                        if name == node.output[0]:
                            reader.input[i] = quantize.input[0]
        got = session(model.SerializeToString()).run(None, {"input_ids": tokens[:2]})[0]
        want = session(PYLM / "model.onnx").run(None, {"input_ids": tokens[:2]})[0]
        assert np.abs(got - want).max() <= 2e-4 * np.abs(want).max(), np.abs(got - want).max()


@case("calibrate/threads and kept statistics change no byte")
def same_bytes(box):
    prepare(box)
    recipe = text_of("awq\nquantize(weight = int4 per block(128), input = int8, round = gptq)", ", method = entropy")
    first = box.compress(recipe, PYLM / "model.onnx", "a.onnx", "--threads", "1").read_bytes()
    assert "a.morstat" in box.files(), box.files()
    second = box.compress(recipe, PYLM / "model.onnx", "b.onnx", "--threads", "2").read_bytes()
    assert first == second
    again = box.dir / "a.onnx"
    done = box.morc(box.dir / "recipe.mor", PYLM / "model.onnx", "-o", again, "-f")
    assert b"statistics of 16 samples from" in done.stdout + done.stderr, done.stderr
    assert again.read_bytes() == first
    box.morc(box.dir / "recipe.mor", PYLM / "model.onnx", "-o", box.dir / "c.onnx", "--stats", "none")
    assert "c.morstat" not in box.files() and (box.dir / "c.onnx").read_bytes() == first


@case("calibrate/a stopped run goes on")
def resumed(box):
    tokens = np.load(PYLM / "calib.npz")["input_ids"]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    recipe = text_of(INT8, "", len(tokens), 1)
    path = box.write("recipe.mor", "mor 1\n" + recipe)
    command = [str(SETTINGS.morc), str(path), str(PYLM / "model.onnx"), "-o", "out.onnx"]
    stopped = subprocess.Popen(command, cwd=box.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**os.environ, "NO_COLOR": "1"})
    time.sleep(1.0)
    stopped.send_signal(signal.SIGINT)
    said = stopped.communicate(timeout=60)[0].decode()
    assert stopped.returncode == 130, (stopped.returncode, said)
    assert "the same command goes on from there" in said, said
    assert "out.onnx" not in box.files() and "out.morstat" in box.files(), box.files()
    done = box.morc(path, PYLM / "model.onnx", "-o", box.dir / "out.onnx", timeout=300)
    assert b"statistics of " in done.stdout + done.stderr
    box.morc(path, PYLM / "model.onnx", "-o", box.dir / "whole.onnx", "--stats", "none", timeout=300)
    assert (box.dir / "out.onnx").read_bytes() == (box.dir / "whole.onnx").read_bytes()


@case("calibrate/merged statistics are those of all data")
def merged(box):
    tokens = prepare(box)
    steps = "smooth(alpha = 0.5)\n" + INT8
    whole = onnx.load(box.compress(text_of(steps), PYLM / "model.onnx", "whole.onnx"))
    for i in range(2):
        np.savez(box.dir / "calib.npz", input_ids=tokens[8 * i:8 * i + 8])
        box.compress(text_of(steps, samples=8), PYLM / "model.onnx", f"part{i}.onnx")
    box.morc("stats", "merge", "part0.morstat", "part1.morstat", "-o", "all.morstat")
    assert (box.dir / "all.morstat").stat().st_size == (box.dir / "whole.morstat").stat().st_size
    said = box.morc("stats", "merge", "part0.morstat", "part0.morstat", "-o", "x.morstat", status=1).stderr
    assert b"E0708" in said, said
    out = box.dir / "merged.onnx"
    done = box.morc(box.dir / "recipe.mor", PYLM / "model.onnx", "-o", out, "--stats", "all.morstat")
    assert b"statistics of 16 samples from" in done.stdout + done.stderr, done.stderr
    assert onnx.load(out).graph == whole.graph  # the receipts differ: other recipes
    receipts = [receipt_of(onnx.load(out)), receipt_of(whole)]
    assert [r["samples"] for r in receipts] == [16, 16], receipts
    assert receipts[0]["engine"] == receipts[1]["engine"] == f"ONNX Runtime {onnxruntime.__version__}, CPU", receipts


@case("calibrate/nothing is done without an engine")
def no_engine(box):
    prepare(box)
    path = box.write("recipe.mor", "mor 1\n" + text_of(INT8))
    done = box.morc(path, PYLM / "model.onnx", "-o", "out.onnx", status=4, env={"MORC_ORT": "/nonexistent"})
    assert b"E1108" in done.stderr and box.files() == ["calib.npz", "recipe.mor"], (done.stderr, box.files())
    box.morc("plan", path, PYLM / "model.onnx", env={"MORC_ORT": "/nonexistent"})  # needs none


@case("calibrate/values out of bounds")
def out_of_bounds(box):
    np.savez(box.dir / "calib.npz", input_ids=np.full((4, 8), 10 ** 6, np.int64))
    path = box.write("recipe.mor", "mor 1\n" + text_of(INT8, samples=4))
    done = box.morc(path, PYLM / "model.onnx", "-o", "out.onnx", status=5)
    assert b"E0707" in done.stderr and b"out.onnx" not in os.listdir(box.dir), done.stderr


@case("calibrate/external data is read where it lies")
def external(box):
    tokens = np.load(PYLM / "calib.npz")["input_ids"][:8]
    np.savez(box.dir / "calib.npz", input_ids=tokens)
    inside = onnx.load(PYLM / "model.onnx")
    (box.dir / "model").mkdir()
    onnx.save(inside, box.dir / "model" / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=64)
    recipe = text_of("awq\nquantize(weight = int4 per block(128), input = fp8)", samples=8)
    one = onnx.load(box.compress(recipe, PYLM / "model.onnx", "one.onnx"))
    two = onnx.load(box.compress(recipe, box.dir / "model" / "m.onnx", "two.onnx"))
    ones, twos = ({t.name: numpy_helper.to_array(t).tobytes() for t in m.graph.initializer} for m in (one, two))
    assert ones == twos


@case("calibrate/external data behind a link")
def linked(box):
    """As a hub's cache has it: the model is a link, its data lies where the link leads."""
    prepare(box, 4)
    (box.dir / "blobs").mkdir()
    (box.dir / "snapshot").mkdir()
    onnx.save(onnx.load(PYLM / "model.onnx"), box.dir / "blobs" / "m.onnx", save_as_external_data=True,
              location="m.data", size_threshold=64)
    (box.dir / "snapshot" / "m.onnx").symlink_to("../blobs/m.onnx")
    recipe = text_of(INT8, samples=4) + "evaluate(data = calib)\n"
    direct = box.compress(recipe, box.dir / "blobs" / "m.onnx", "direct.onnx")
    behind = box.compress(recipe, box.dir / "snapshot" / "m.onnx", "behind.onnx")
    assert direct.read_bytes() == behind.read_bytes()
    (box.dir / "beside").mkdir()  # the data beside the link, not where it leads
    (box.dir / "beside" / "m.onnx").symlink_to("../blobs/m.onnx")
    (box.dir / "blobs" / "m.data").rename(box.dir / "beside" / "m.data")
    assert box.compress(recipe, box.dir / "beside" / "m.onnx", "beside.onnx").read_bytes() == direct.read_bytes()


# selector, steps, the least cosine of an output, where the values of weights and inputs are random
SMALL = [
    ("linear? | conv?", "quantize(weight = int8 per channel, input = int8, place = exact)", 0.99),
    ("linear?", "smooth; quantize(weight = int8 per channel, round = gptq)", 0.99),
    ("linear?", "awq; quantize(weight = int4 per channel, round = gptq)", 0.9),
    ("linear? | conv?", "quantize(weight = uint8 per channel, round = adaround(steps = 20))", 0.99),
]


def small_models(selector, steps, cosine, box):
    """What is written of the generated models is loaded, and says nearly the same; a refusal is one of
    the recipe (a step does not fit a layer) or of random data for their inputs."""
    written = 0
    for path in sorted((MODELS / "tiny").glob("*.onnx")):
        recipe = f"data c = random(seed = 0, samples = 4)\ncalibrate(data = c)\non {selector} {{ {steps} }}\n"
        out = box.dir / f"{path.stem}.onnx"
        done = box.morc("-q", box.write("recipe.mor", recipe), path, "-o", out, "--stats", "none", status=(0, 1, 5))
        if done.returncode == 0:
            if path.stem != "raw_bf16":  # ONNX Runtime has no kernels for it
                assert compare(run(out, path), run(path, path)) > cosine, path.stem
            written += 1
    assert written > 20, written


for _small in SMALL:
    add_case(f"calibrate/small models: {_small[1]}", functools.partial(small_models, *_small))
