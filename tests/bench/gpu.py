#!/usr/bin/env python3
"""The GPU of this machine: kernels, peers, starting, and whole models.

1. The emitted kernels beside a device copy (gpu_kernels.c), then PyTorch and ModelOpt in the same
   way (gpu_peers.py).
2. How long a start takes: driver, context, kernels compiled with an empty cache or found in it.
3. A float16 model of 16 GB, in the page cache, to INT4 block 128 on disk, on the GPU and on the
   host; and ONNX Runtime's and ModelOpt's quantizers on one of 1.74 GB, whose time is scaled by
   size: they would need several times 16 GB of memory.

PARTS=kernels,peers,start,model chooses. LARGE and SMALL are the models' layers (37 and 4; 0.436 GB
each), TIMES the repetitions (5), PATIENCE the seconds that a peer may take (600); MORC and KERNELS
are other builds; PEERS is the Python that has PyTorch, ModelOpt and ONNX Runtime. Models lie in
build/bench and are removed at the end, unless KEEP is set. What is missing is skipped and said.
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "build" / "bench"
HERE = ROOT / "tests" / "bench"
MORC = os.environ.get("MORC", ROOT / "build/release/morc")
KERNELS = os.environ.get("KERNELS", ROOT / "build/release/tests/bench/gpu_kernels")
PEERS = os.environ.get("PEERS", sys.executable)
RECIPE = "mor 1\n\non linear {\n  quantize(weight = int4 per block(128))\n}\n"
GOAL_SECONDS, GOAL_RATIO, GOAL_COLD, GOAL_WARM = 4.0, 10.0, 0.3, 0.02
TIMES, PATIENCE = int(os.environ.get("TIMES", "5")), float(os.environ.get("PATIENCE", "600"))


def show(title):
    print(f"\n## {title}\n", flush=True)


def run(command):
    """Shows what it prints; a peer that cannot run is skipped."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        print(f"skip {command[-1]}: exit {done.returncode}: {done.stderr.strip()[-300:]}", flush=True)


def verdict(met):
    return "met" if met else "NOT MET"


def seconds_of(report, name):
    found = re.search(rf"^ *{re.escape(name)} +([0-9.]+) s", report, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def bench(recipe, model, *flags):
    """What `morc bench` prints."""
    out = BENCH / "out" / "out.onnx"
    return measure([MORC, "bench", recipe, model, "-o", out, *flags])[2]


def start(recipe):
    show("Start")
    model = ROOT / "tests/models/pylm-1m/model.onnx"
    names = ("driver", "context", "NVRTC loaded", "longest kernel", "kernels ready", "start of the GPU")
    print(f"{'seconds, medians of ' + str(TIMES):28}" + "".join(f"{n:>18}" for n in names)
          + "   ready after driver and context")
    for label, goal in (("empty cache", GOAL_COLD), ("full cache", GOAL_WARM)):
        rows = []
        with tempfile.TemporaryDirectory() as cache:
            for _ in range(TIMES + (label == "full cache")):
                report = bench(recipe, model, "--device", "cuda", "--cache-dir", cache)
                rows.append([seconds_of(report, name) for name in names])
                if label == "empty cache":
                    shutil.rmtree(cache)
        rows = rows[-TIMES:]
        # the context is made beside the compiling: CUDA has started when both are there
        after = [max(0.0, row[4] - row[0] - row[1]) for row in rows]
        print(f"{label:28}" + "".join(f"{statistics.median(c):18.3f}" for c in zip(*rows))
              + f"   {statistics.median(after):.3f} ({min(after):.3f} to {max(after):.3f}), goal {goal}: "
              + verdict(statistics.median(after) <= goal), flush=True)


def make(layers):
    model = BENCH / f"big{layers}" / "big.onnx"
    if not model.exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, HERE / "make_big_onnx.py", str(layers), model], check=True)
    subprocess.run(["sync", "-f", model.parent], check=True)
    with open(model.with_name("big.onnx.data"), "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass
    return model, model.with_name("big.onnx.data").stat().st_size


def before_sync(report):
    return float(re.search(r"([0-9.]+) s before the sync", report).group(1))


def peer(name, script, model, factor, best):
    """One quantizer of another, once; its time, scaled, beside morc's."""
    out = BENCH / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command, begin, more = [PEERS, HERE / script, model, out / "out.onnx"], time.monotonic(), ""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                              timeout=PATIENCE)
        if done.returncode:
            print(f"skip {name}: {done.stderr.strip().splitlines()[-1][:200]}", flush=True)
            return
    except subprocess.TimeoutExpired:
        more = "more than "
    took = time.monotonic() - begin
    ratios = ", ".join(f"{took * factor / s:.0f} x {device}" for device, s in best.items())
    met = all(took * factor / s >= GOAL_RATIO for s in best.values())
    print(f"{name}: {more}{took:.1f} s for {model.parent.name}, "
          f"{took * factor:.0f} s scaled by size: {more}{ratios}; goal {GOAL_RATIO:.0f}: {verdict(met)}", flush=True)


def whole_model(recipe):
    show("Whole models")
    small, small_size = make(os.environ.get("SMALL", "4"))
    large, large_size = make(os.environ.get("LARGE", "37"))
    times = {"cuda": [], "host": []}
    shown = {}
    for _ in range(max(1, TIMES // 2)):
        for device, rows in times.items():
            report = bench(recipe, large, "--device", device)
            rows.append((before_sync(report), seconds_of(report, "sync")))
            shown[device] = report
    for device, report in shown.items():
        print(f"--- {large_size / 1e9:.2f} GB, --device {device}\n{report}")
    best = {device: statistics.median(r[0] for r in rows) for device, rows in times.items()}
    for device, rows in times.items():
        print(f"morc {device:6} {large_size / 1e9:.2f} GB: {best[device]:.2f} s before the sync, which takes "
              f"{statistics.median(r[1] for r in rows):.2f} s  (all: "
              + ", ".join(f"{a:.2f} + {b:.2f}" for a, b in rows) + ")")
    print(f"goal: {GOAL_SECONDS} s: {verdict(min(best.values()) <= GOAL_SECONDS)}", flush=True)
    for name, script in (("ONNX Runtime MatMulNBits", "ort_nbits.py"), ("ModelOpt int4", "modelopt_int4.py")):
        peer(name, script, small, large_size / small_size, best)


def main():
    parts = os.environ.get("PARTS", "kernels,peers,start,model").split(",")
    (BENCH / "out").mkdir(parents=True, exist_ok=True)
    recipe = BENCH / "int4.mor"
    recipe.write_text(RECIPE, encoding="ascii")
    print(time.strftime("%Y-%m-%d"), flush=True)
    run([MORC, "doctor"])
    if "kernels" in parts:
        show("Kernels")
        run([KERNELS])
    if "peers" in parts:
        show("Peers")
        run([PEERS, HERE / "gpu_peers.py"])
    if "start" in parts:
        start(recipe)
    if "model" in parts:
        whole_model(recipe)
    shutil.rmtree(BENCH / "out")
    if not os.environ.get("KEEP"):
        for folder in BENCH.glob("big*"):
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
