"""The whole model judged by morc, against numpy over the outputs that ONNX Runtime gives for the same
files and data."""
import json
import os
import subprocess
import sys

import numpy as np
import onnx

import running
from harness import MODELS, ROOT, SETTINGS, case

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from lm_eval import perplexity  # noqa: E402

LM = MODELS / "pylm-1m"
CLASSES = MODELS / "ppocr" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
INT8 = "on (linear | conv)? {\n  quantize(weight = int8 per tensor)\n}\n"


def judged(box, recipe, model, *flags, output="out.onnx", status=0, **options):
    """The line about the model in --json."""
    path = box.write("recipe.mor", "mor 1\n" + recipe)
    done = box.morc("--json", path, model, "-o", box.dir / output, *flags, status=status, **options)
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    found = [line for line in lines if line["type"] == "model"]
    assert len(found) == 1, lines
    return found[0]


def softmax_logs(rows):
    rows = rows - rows.max(axis=-1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True))


def figures(float_outputs, new_outputs, labels=None):
    """What the metrics say they are, over batches of lists of outputs."""
    a = np.concatenate([o.astype(np.float64).ravel() for batch in float_outputs for o in batch])
    b = np.concatenate([o.astype(np.float64).ravel() for batch in new_outputs for o in batch])
    error = b - a
    first = [np.concatenate([batch[0].reshape(-1, batch[0].shape[-1]) for batch in outputs])
             .astype(np.float64) for outputs in (float_outputs, new_outputs)]
    p, q = softmax_logs(first[0]), softmax_logs(first[1])
    tops = [rows.argmax(axis=-1) for rows in first]
    said = {"cosine": a @ b / (np.linalg.norm(a) * np.linalg.norm(b)),
            "sqnr": 10 * np.log10((a @ a) / (error @ error)), "mse": np.mean(error ** 2),
            "max_error": np.abs(error).max(), "kl": (np.exp(p) * (p - q)).sum(axis=-1).mean(),
            "agreement": np.mean(tops[0] == tops[1])}
    if labels is not None:
        known = labels.ravel() >= 0
        for name, top in (("accuracy_float", tops[0]), ("accuracy", tops[1])):
            said[name] = np.mean(top[known] == labels.ravel()[known])
    return said


def agree(line, expected):
    for name, value in expected.items():
        assert np.isclose(line[name], value, rtol=1e-6, atol=1e-9), (name, line[name], value)


def outputs(path, feeds):
    opened = running.session(path)
    return [opened.run(None, feed) for feed in feeds]


def batches(arrays, size):
    count = len(next(iter(arrays.values())))
    return [{k: v[i:i + size] for k, v in arrays.items()} for i in range(0, count, size)]


@case("evaluate/perplexity")
def perplexities(box):
    line = judged(box, f'data eval = npz("{LM}/eval.npz", samples = 20, batch = 8)\n'
                  "evaluate(data = eval)\non linear { quantize(weight = int4 per block(32)) }\n",
                  LM / "model.onnx")
    assert (line["samples"], line["data"], line["held_out"]) == (20, "eval", False), line
    for name, path in (("perplexity_float", LM / "model.onnx"), ("perplexity", box.dir / "out.onnx")):
        value, count = perplexity(path, LM / "eval.npz", sequences=20, threads=1)
        assert count == 20 and f"{value:.4f}" == f"{line[name]:.4f}", (name, value, line[name])
    ids = np.load(LM / "eval.npz")["input_ids"][:20]
    feeds = batches({"input_ids": ids}, 8)
    agree(line, figures(outputs(LM / "model.onnx", feeds), outputs(box.dir / "out.onnx", feeds)))


@case("evaluate/labels")
def labelled(box):
    """A model of images: two classes, a fixed answer for some, none for others."""
    random = np.random.default_rng(5)
    x = np.stack([running.page((1, 3, 48, 192), random)[0] for _ in range(9)])
    x[::2] = x[::2, :, ::-1, ::-1]
    labels = np.array([1, 0, 1, 0, -1, 0, 1, 1, -1], np.int32)
    np.savez(box.dir / "eval.npz", x=x, labels=labels)
    line = judged(box, 'data eval = npz("eval.npz", batch = 4)\nevaluate(data = eval)\n' + INT8 +
                  "expect accuracy >= 0 and agreement >= 0\n", CLASSES)
    feeds = batches({"x": x}, 4)
    agree(line, figures(outputs(CLASSES, feeds), outputs(box.dir / "out.onnx", feeds), labels))
    assert "perplexity" not in line


@case("evaluate/several outputs")
def several(box):
    """All outputs of floats count, the state that a model hands on, too."""
    path = MODELS / "silero" / "silero_vad.onnx"
    random = np.random.default_rng(6)
    x = {"input": 0.1 * random.standard_normal((3, 1, 576)).astype(np.float32),
         "state": 0.1 * random.standard_normal((3, 2, 1, 128)).astype(np.float32),
         "sr": np.full((), 16000, np.int64)}
    np.savez(box.dir / "eval.npz", **x)
    line = judged(box, 'data eval = npz("eval.npz")\nevaluate(data = eval)\n' + INT8, path)
    feeds = [{"input": x["input"][i], "state": x["state"][i], "sr": x["sr"]} for i in range(3)]
    expected = figures(outputs(path, feeds), outputs(box.dir / "out.onnx", feeds))
    agree(line, expected)


@case("evaluate/held out")
def held_out(box):
    """Without `evaluate` it is as if the last tenth had been another file."""
    ids = np.load(LM / "calib.npz")["input_ids"][:33]
    np.savez(box.dir / "all.npz", input_ids=ids)
    np.savez(box.dir / "first.npz", input_ids=ids[:30])
    np.savez(box.dir / "last.npz", input_ids=ids[30:])
    work = "on linear { quantize(weight = int8 per channel, input = int8) }\nexpect kl < 5\n"
    one = judged(box, f'data d = npz("all.npz", batch = 4)\ncalibrate(data = d)\n{work}',
                 LM / "model.onnx", output="one.onnx")
    two = judged(box, 'data d = npz("first.npz", batch = 4)\ndata e = npz("last.npz", batch = 4)\n'
                 f"calibrate(data = d)\nevaluate(data = e)\n{work}", LM / "model.onnx",
                 output="two.onnx")
    assert one.pop("held_out") and not two.pop("held_out")
    assert (one.pop("data"), two.pop("data")) == ("d", "e")
    assert one == two and one["samples"] == 3, (one, two)
    feeds = [{"input_ids": ids[:2]}]
    a, b = outputs(box.dir / "one.onnx", feeds), outputs(box.dir / "two.onnx", feeds)
    assert all(np.array_equal(x, y) for x, y in zip(a[0], b[0]))
    told = box.morc(box.dir / "recipe.mor", LM / "model.onnx", "-f", "-o", box.dir / "two.onnx").stderr
    assert b"held out to judge" not in told, told
    box.write("recipe.mor", f'data d = npz("all.npz")\ncalibrate(data = d)\n{work}')
    done = box.morc("recipe.mor", LM / "model.onnx", "-o", "three.onnx")
    assert b"the last 3 samples of `d` are held out" in done.stderr, done.stderr
    assert b"calibrated on 30 samples" in done.stderr, done.stderr
    assert b"model  perplexity " in done.stdout and b" (float " in done.stdout, done.stdout


@case("evaluate/external data")
def external(box):
    """Weights in a file beside the model, on either side, change nothing. (ONNX Runtime itself looks
    for them beside a link to the model; morc, where the link leads to.)"""
    work = (f'data e = npz("{LM}/eval.npz", samples = 3)\nevaluate(data = e)\n'
            "on linear - head { quantize(weight = int4 per block(32)) }\n")
    plain = judged(box, work, LM / "model.onnx")
    assert judged(box, "emit qdq(external = true)\n" + work, LM / "model.onnx",
                  output="beside.onnx") == plain
    assert [name for name in box.files() if name.startswith("beside.data-")], box.files()
    (box.dir / "there").mkdir()
    onnx.save(onnx.load(LM / "model.onnx"), box.dir / "there" / "model.onnx",
              save_as_external_data=True, location="weights.bin", size_threshold=64)
    (box.dir / "link.onnx").symlink_to("there/model.onnx")
    for number, path in enumerate((box.dir / "there" / "model.onnx", box.dir / "link.onnx")):
        assert judged(box, work, path, output=f"moved{number}.onnx") == plain


@case("evaluate/rejected")
def rejected(box):
    line = judged(box, f'data e = npz("{LM}/eval.npz", samples = 2)\nevaluate(data = e)\n'
                  "on linear { quantize(weight = int2 per tensor) }\nexpect perplexity <= 20\n",
                  LM / "model.onnx", status=3)
    assert line["perplexity"] > 20 > line["perplexity_float"], line
    assert sorted(box.files()) == ["out.rejected.onnx", "recipe.mor"], box.files()
    said = box.morc("recipe.mor", LM / "model.onnx", "-o", "out.onnx", status=3).stderr
    for part in (b"expectation failed: perplexity is ", b", expected <= 20", b"measured on 2 samples of `e`",
                 b"perplexity of the float model is ", b"was written to out.rejected.onnx"):
        assert part in said, (part, said)
    assert judged(box, (box.dir / "recipe.mor").read_text()[6:], LM / "model.onnx", "--keep-going",
                  status=3)["samples"] == 2
    assert "out.onnx" in box.files()


@case("evaluate/refused before work")
def refused(box):
    recipe = (f'data e = npz("{LM}/eval.npz", samples = 2)\nevaluate(data = e)\n'
              "on linear { quantize(weight = int8) }\n")
    path = box.write("recipe.mor", recipe)
    done = box.morc(path, LM / "model.onnx", "-o", "out.onnx", status=4, env={"MORC_ORT": str(box.dir)})
    assert b"error[E1108]" in done.stderr and b"evaluate(data = e)" in done.stderr, done.stderr
    assert box.files() == ["recipe.mor"]
    box.morc("bench", path, LM / "model.onnx", env={"MORC_ORT": str(box.dir)})  # judges nothing
    ids = np.load(LM / "eval.npz")["input_ids"][:2].copy()
    ids[1, 3] = 5000
    np.savez(box.dir / "high.npz", input_ids=ids)
    done = box.morc(path, LM / "model.onnx", "-o", "out.onnx", "--data", "e=high.npz", status=5)
    assert b"error[E0707]" in done.stderr and b"the float model" in done.stderr, done.stderr
    assert sorted(box.files()) == ["high.npz", "recipe.mor"], box.files()


def peak(command, box):
    """Kilobytes that a run of morc had at most."""
    with open(box.dir / "said", "wb") as said:
        started = subprocess.Popen([SETTINGS.morc, *command], cwd=box.dir, stdout=said, stderr=said)
        _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    assert started.returncode == 0, (box.dir / "said").read_text()
    return usage.ru_maxrss


@case("evaluate/memory")
def memory(box):
    """Sixteen times the data, the same memory, but for what the allocators keep."""
    ids = np.load(LM / "calib.npz")["input_ids"]
    used = []
    for number, count in enumerate((4, 64)):
        np.savez(box.dir / "e.npz", input_ids=np.resize(ids, (count, ids.shape[1])))
        box.write("recipe.mor", 'data e = npz("e.npz", batch = 2)\nevaluate(data = e)\n'
                  "on linear { quantize(weight = int8) }\n")
        used.append(peak(["-q", "recipe.mor", LM / "model.onnx", "-o", f"out{number}.onnx"], box))
    assert used[1] < used[0] + 24 * 1024, f"{used[0]} kB for 4 samples, {used[1]} for 64"
