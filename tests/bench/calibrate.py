#!/usr/bin/env python3
"""What calibration costs: pylm-7m, INT8 static (32 x 128 tokens) and INT4 AWQ, beside one forward pass
of the same data by ONNX Runtime, in turns, and the peak memory for 32 and for 512 samples.

Two threads on both sides, nothing kept between runs. Seconds are medians of ROUNDS (3); memory is the
largest RssAnon + RssShmem. Then GPTQ, whose Gram matrices are 48 MiB, in one pass over the data and in
passes of at most 16 and 4 MiB: memory that goes down with them. The forward pass is timed inside its process, without loading Python or the
model; morc's seconds are those of the whole command. Goals: INT8 2 x the forward pass + 0.5 s, AWQ 4 s,
memory that grows by less than 10 %.
"""
import os
import pathlib
import statistics
import sys
import tempfile

import numpy as np

from measure import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "models" / "pylm-7m"
FORWARD = """
import sys, time
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
tokens = np.load(sys.argv[2])["input_ids"]
begin = time.monotonic()
for start in range(0, len(tokens), 8):
    session.run(None, {"input_ids": tokens[start:start + 8]})
print(time.monotonic() - begin)
"""
RECIPES = {
    "INT8 static": "on linear - head { quantize(weight = int8 per channel, input = int8) }",
    "INT4 GPTQ": "on linear - head { quantize(weight = int4 per block(128), round = gptq) }",
    "INT4 AWQ": "on linear - head { awq; quantize(weight = int4 per block(128), method = mse) }",
}
GOALS = ("INT8 static", "INT4 AWQ")


def tokens_of(count):
    """Sequences of calib.npz; more than it has are their tokens in another order."""
    tokens = np.load(FOLDER / "calib.npz")["input_ids"]
    random = np.random.default_rng(1)
    more = [random.permuted(tokens, axis=1) for _ in range(-(-count // len(tokens)) - 1)]
    return np.concatenate([tokens, *more])[:count]


def write(folder, count):
    path = folder / f"calib{count}.npz"
    np.savez(path, input_ids=tokens_of(count))
    for name, rule in RECIPES.items():
        text = f'mor 1\ndata calib = npz("{path.name}", batch = 8)\ncalibrate(data = calib)\n{rule}\n'
        (folder / f"{name}{count}.mor").write_text(text, encoding="ascii")
    return path


def run_morc(folder, name, count, *flags):
    """Seconds and peak bytes, with nothing kept from earlier runs."""
    return measure([ROOT / "build/release/morc", folder / f"{name}{count}.mor", FOLDER / "model.onnx",
                    "-o", folder / "out.onnx", "-f", "-q", "--threads", "2", "--stats", "none", *flags])[:2]


def run_forward(data):
    return float(measure([sys.executable, "-c", FORWARD, FOLDER / "model.onnx", data])[2])


def passes(folder):
    print(f"\n{'GPTQ, 32':14}{'seconds':>9}{'MB':>9}")
    peaks = []
    for name, memory in (("one pass", "1GiB"), ("16 MiB", "16MiB"), ("4 MiB", "4MiB")):
        seconds, peak = run_morc(folder, "INT4 GPTQ", 32, "--stats-memory", memory)
        peaks.append(peak)
        print(f"{name:14}{seconds:9.2f}{peak / 1e6:9.1f}", flush=True)
    print(f"{'':14}{'goal: goes down':>18}   {'met' if peaks[0] > peaks[1] > peaks[2] else 'NOT MET'}")


def main():
    rounds = int(os.environ.get("ROUNDS", "3"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        data = write(folder, 32)
        write(folder, 512)
        forward, rows = [], {name: [] for name in GOALS}
        for _ in range(rounds):
            forward.append(run_forward(data))
            for name in GOALS:
                rows[name].append(run_morc(folder, name, 32))
        base = statistics.median(forward)
        print(f"pylm-7m, 32 x 128 tokens, medians of {rounds}; a forward pass by ONNX Runtime takes {base:.2f} s")
        print(f"{'':14}{'seconds':>9}{'of forward':>12}{'goal, s':>9}{'MB, 32':>9}{'MB, 512':>9}{'growth':>9}   goal")
        for name in GOALS:
            seconds = statistics.median(row[0] for row in rows[name])
            least = max(row[1] for row in rows[name])
            most = run_morc(folder, name, 512)[1]
            goal = 2 * base + 0.5 if name == "INT8 static" else 4.0
            met = seconds <= goal and most <= 1.1 * least
            print(f"{name:14}{seconds:9.2f}{seconds / base:12.2f}{goal:9.2f}{least / 1e6:9.1f}{most / 1e6:9.1f}"
                  f"{most / least - 1:9.1%}   {'met' if met else 'NOT MET'}", flush=True)
        passes(folder)


if __name__ == "__main__":
    main()
