#!/usr/bin/env python3
"""The engine on a GPU beside the engine on the CPU, and on the CPU with more and more threads.

pylm-7m with the 128 sequences of calib.npz, through the same recipes with --device host and --device
cuda, by the engine that MORC_ORT names (or that morc finds): whether both write the same graph, the largest
difference of a scale, perplexity on 64 sequences of eval.npz (by ONNX Runtime on the CPU), and the seconds
of the whole command, medians of ROUNDS (3). Goal: perplexities within 0.5 %. MORC is another build. Without a CUDA
engine that part is skipped and said.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / "tests" / "bench")]
from lm_eval import perplexity  # noqa: E402
from measure import measure  # noqa: E402

FOLDER = ROOT / "build" / "models" / "pylm-7m"
MORC = os.environ.get("MORC", ROOT / "build/release/morc")
ROUNDS = int(os.environ.get("ROUNDS", "3"))
RECIPES = ("fp8_static", "int8_static", "int8_smooth", "int4_awq", "int4_gptq", "w4a8")
THREADS = ("int8_static", "int4_awq", "int4_gptq")
GOAL = 0.005


def quantize(name, out, *flags):
    """Seconds of the command."""
    return measure([MORC, ROOT / "recipes" / f"{name}.mor", FOLDER / "model.onnx", "-o", out, "-f", "-q", "--data",
                    f"calib={FOLDER / 'calib.npz'}", "--stats", "none", *flags])[0]


def graph_of(path):
    """Nodes, and initializers by name, without those names that a run makes up: there are none."""
    model = onnx.load(path)
    nodes = [(n.op_type, list(n.input), list(n.output)) for n in model.graph.node]
    return nodes, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def largest_difference(one, other):
    """Of float vectors and scalars (scales, factors), relative."""
    worst = 0.0
    for name, a in one.items():
        b = other[name]
        if a.dtype.kind == "f" and a.ndim < 2 and a.size and np.abs(a).max() > 0:
            worst = max(worst, float((np.abs(a - b) / np.abs(a).max()).max()))
    return worst


def has_cuda():
    done = subprocess.run([MORC, "doctor", "--json"], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        part = json.loads(line)
        if part.get("part") == "engine" or "providers" in part:
            print(f"engine: ONNX Runtime {part.get('version')}, {part.get('providers')}")
            return "CUDA" in part.get("providers", "")
    return False


def on_both(folder):
    print(f"{'128 x 128 tokens':16}{'host':>10}{'cuda':>10}{'apart':>9}{'scales apart':>14}{'host, s':>9}{'cuda, s':>9}"
          "   goal: within 0.5 %")
    for name in RECIPES:
        out = {device: folder / f"{device}.onnx" for device in ("host", "cuda")}
        seconds = {device: statistics.median(quantize(name, path, "--device", device) for _ in range(ROUNDS))
                   for device, path in out.items()}
        graphs = {device: graph_of(path) for device, path in out.items()}
        same = graphs["host"][0] == graphs["cuda"][0]
        value = {device: perplexity(path, FOLDER / "eval.npz")[0] for device, path in out.items()}
        apart = value["cuda"] / value["host"] - 1
        differ = f"{largest_difference(graphs['host'][1], graphs['cuda'][1]):14.1e}" if same else f"{'-':>14}"
        met = same and abs(apart) <= GOAL
        print(f"{name:16}{value['host']:10.4f}{value['cuda']:10.4f}{apart:9.3%}{differ}{seconds['host']:9.2f}"
              f"{seconds['cuda']:9.2f}   {'same' if same else 'ANOTHER'} graph, {'met' if met else 'NOT MET'}", flush=True)


def with_threads(folder):
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= (os.cpu_count() or 1)]
    print(f"\n{'--device host, s':16}" + "".join(f"{n:>9}" for n in counts) + "   threads")
    for name in THREADS:
        row, bytes_of = [], set()
        for n in counts:
            out = folder / "t.onnx"
            row.append(statistics.median(quantize(name, out, "--device", "host", "--threads", n)
                                         for _ in range(ROUNDS)))
            bytes_of.add(out.read_bytes())
        word = "same bytes" if len(bytes_of) == 1 else f"{len(bytes_of)} DIFFERENT FILES"
        print(f"{name:16}" + "".join(f"{s:9.2f}" for s in row) + f"   {word}", flush=True)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if has_cuda():
            on_both(folder)
        else:
            print("skip cuda: this engine has no CUDA")
        with_threads(folder)


if __name__ == "__main__":
    main()
