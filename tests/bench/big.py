#!/usr/bin/env python3
"""A 1.74 GB float16 model to INT4, block 128, on two threads, against `cp` of the same file.

Both sides end synced to disk, with the input in the page cache; they take turns, three rounds, and
medians are compared. Memory is the largest RssAnon + RssShmem (what is mapped from files does not
count). ONNX Runtime's quantizer does the same work once. Goals: 0.6 x cp, 300 MB. The models lie in
build/bench and are removed at the end, unless KEEP is set. ROUNDS and LAYERS change the amount.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from measure import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "build" / "bench"
RECIPE = "mor 1\n\non linear {\n  quantize(weight = int4 per block(128))\n}\n"
GOAL_RATIO, GOAL_BYTES = 0.6, 300e6


def sizes(folder):
    return sum(p.stat().st_size for p in folder.iterdir())


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["sync", "-f", folder.parent], check=True)


def warm(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def main():
    rounds, layers = int(os.environ.get("ROUNDS", "3")), os.environ.get("LAYERS", "4")
    source, out = BENCH / "big" / "big.onnx", BENCH / "out"
    data = source.with_name("big.onnx.data")
    if not source.exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / "tests/bench/make_big_onnx.py", layers, source], check=True)
    recipe = BENCH / "int4.mor"
    recipe.write_text(RECIPE, encoding="ascii")
    copy = ["sh", "-c", 'cp "$1" "$2" && sync -f "$2"', "sh", data, out / "copy"]
    morc = [ROOT / "build/release/morc", recipe, source, "-o", out / "out.onnx", "--threads", "2", "-q"]
    peer = [sys.executable, ROOT / "tests/bench/ort_nbits.py", source, out / "out.onnx"]
    rows = {"cp + sync": [], "morc": []}
    for _ in range(rounds):
        for name, command in (("cp + sync", copy), ("morc", morc)):
            warm(data)
            fresh(out)
            seconds, peak, _ = measure(command)
            rows[name].append((seconds, peak, sizes(out)))
    fresh(out)
    if os.environ.get("PEER", "1") == "1":
        seconds, peak, _ = measure(peer)
        rows["ORT MatMulNBits"] = [(seconds, peak, sizes(out))]
    report(rows)
    shutil.rmtree(out)
    if not os.environ.get("KEEP"):
        shutil.rmtree(source.parent)


def report(rows):
    base = statistics.median(row[0] for row in rows["cp + sync"])
    print(f"{'':18}{'seconds':>9}{'of cp':>8}{'peak MB':>10}{'written GB':>12}   all rounds")
    for name, runs in rows.items():
        seconds = statistics.median(row[0] for row in runs)
        print(f"{name:18}{seconds:9.2f}{seconds / base:8.2f}{max(r[1] for r in runs) / 1e6:10.1f}"
              f"{runs[0][2] / 1e9:12.2f}   {' '.join(f'{r[0]:.2f}' for r in runs)}")
    ratio = statistics.median(row[0] for row in rows["morc"]) / base
    peak = max(row[1] for row in rows["morc"])
    met = ratio <= GOAL_RATIO and peak <= GOAL_BYTES
    print(f"goal: {GOAL_RATIO} x cp, {GOAL_BYTES / 1e6:.0f} MB: {'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
