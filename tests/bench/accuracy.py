#!/usr/bin/env python3
"""Perplexity of pylm-7m after weight-only recipes, beside ONNX Runtime's own quantizer.

64 sequences of eval.npz, graph optimizations 'basic'. The goals are the tests' (cases_accuracy.py).
"""
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "bench")]
from cases_accuracy import TABLE  # noqa: E402
from lm_eval import perplexity  # noqa: E402
from measure import measure  # noqa: E402

FOLDER = ROOT / "build" / "models" / "pylm-7m"


def row(name, path, seconds, goal=""):
    value, _ = perplexity(path, FOLDER / "eval.npz")
    size = sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))  # with its data file
    print(f"{name:32}{value:11.4f}{seconds:9.2f}{size / 1e6:9.1f}   {goal}", flush=True)


def main():
    model = FOLDER / "model.onnx"
    print(f"{'pylm-7m':32}{'perplexity':>11}{'seconds':>9}{'MB':>9}   goal")
    row("float", model, 0.0, "5.6149")
    with tempfile.TemporaryDirectory() as scratch:
        out, recipe = pathlib.Path(scratch) / "out.onnx", pathlib.Path(scratch) / "r.mor"
        for name, (text, least, most) in TABLE.items():
            recipe.write_text("mor 1\n" + text + "\n", encoding="ascii")
            seconds, _, _ = measure([ROOT / "build/release/morc", recipe, model, "-o", out, "-f", "-q"])
            row("morc " + name, out, seconds, f"{least} to {most}")
        out.unlink()
        seconds, _, _ = measure([sys.executable, ROOT / "tests/bench/ort_nbits.py", model, out])
        row("ORT MatMulNBits, with the head", out, seconds)


if __name__ == "__main__":
    main()
