#!/usr/bin/env python3
"""Perplexity of pylm-7m: weight-only recipes beside ONNX Runtime's own quantizer, then scales found at run
time, then recipes with data.

64 sequences of eval.npz, graph optimizations 'basic'. Data are the 128 sequences of calib.npz; the head
stays in float. The goals of weight-only recipes are the tests' (cases_accuracy.py). Peers, measured once with
nvidia-modelopt 0.47 on the same files: on ONNX (CPU) / on PyTorch (GPU); their seconds are not shown.
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


W8A8 = "quantize(weight = int8 per channel, input = int8)"
INT4 = "weight = int4 per block(128), method = mse"
# name: (calibrator, steps or a file of recipes/, goal, ModelOpt on ONNX / on PyTorch)
WITH_DATA = {
    "FP8 (fp8_static)": (None, "fp8_static", 5.662, "5.736 / 5.671"),
    "INT8, max": ("max", W8A8, 7.35, "8.692 / 7.336"),
    "INT8, entropy": ("entropy", W8A8, None, "6.758 / -"),
    "INT8, mse": ("mse", W8A8, None, ""),
    "INT8, percentile (int8_static)": (None, "int8_static", 5.85, ""),
    "INT8 SmoothQuant (int8_smooth)": (None, "int8_smooth", 5.65, "- / 5.677"),
    "INT8 SmoothQuant, per token": (None, "int8_smooth_dynamic", 5.65, "none"),
    "INT4 AWQ (int4_awq)": (None, "int4_awq", 6.09, "6.224 / 6.203"),
    "INT4 GPTQ (int4_gptq)": (None, "int4_gptq", 5.96, "none"),
    "INT4 GPTQ, natural order": ("max", f"quantize({INT4}, round = gptq(order = natural))", 5.90, "none"),
    "INT4 AWQ and GPTQ": ("max", f"awq; quantize({INT4}, round = gptq)", None, "none"),
    "... AWQ without clip": ("max", f"awq(clip = false); quantize({INT4}, round = gptq)", 5.958, "none"),
    "... and in natural order": (
        "max", f"awq(clip = false); quantize({INT4}, round = gptq(order = natural))", 5.90, "none"),
    "W4A8 AWQ": ("max", f"awq; quantize({INT4}, input = fp8)", 6.10, "- / 6.256"),
    "W4A8 GPTQ (w4a8)": (None, "w4a8", 6.10, "none"),
}
# scales found at run time, no data. name: (steps or a file of recipes/, goal, ONNX Runtime's quantize_dynamic)
DYNAMIC = {
    "INT8 per token (int8_dynamic)": ("int8_dynamic", 5.64, "none"),
    "INT8 per tensor": (W8A8.replace("input = int8", "input = int8 per tensor dynamic"), None, "none"),
    "UINT8 per tensor": (W8A8.replace("input = int8", "input = uint8 per tensor dynamic"), 6.480, "6.480"),
    "FP8 per token (fp8_dynamic)": ("fp8_dynamic", 5.671, "none; static on PyTorch 5.671"),
}


def row(name, path, seconds, goal=""):
    """goal: a text, or a number that the perplexity should not be above, and what peers have."""
    value, _ = perplexity(path, FOLDER / "eval.npz")
    size = sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))  # with its data file
    if isinstance(goal, tuple):
        most, peers = goal
        word = "" if most is None else f"{most:<7}{'met' if value <= most else 'NOT MET'}"
        goal = f"{word:17}{peers}"
    for file in path.parent.glob(path.name + "*") if path.name == "out.onnx" else ():
        file.unlink()
    print(f"{name:32}{value:11.4f}{seconds:9.2f}{size / 1e6:9.1f}   {goal}", flush=True)


def rows_with_data(scratch, model):
    data = FOLDER / "calib.npz"
    print(f"\n{'with data':32}{'perplexity':>11}{'seconds':>9}{'MB':>9}   {'goal':17}peers")
    for name, (method, steps, goal, peers) in WITH_DATA.items():
        recipe, out = scratch / "r.mor", scratch / "out.onnx"
        if method:
            recipe.write_text(f'mor 1\ndata calib = npz("c.npz", samples = 128, batch = 8)\n'
                              f"calibrate(data = calib, method = {method})\non linear - head {{ {steps} }}\n",
                              encoding="ascii")
        else:
            recipe = ROOT / "recipes" / f"{steps}.mor"
        seconds, _, _ = measure([ROOT / "build/release/morc", recipe, model, "-o", out, "-f", "-q",
                                 "--data", f"calib={data}", "--stats", "none"])
        row(name, out, seconds, (goal, peers))


def rows_dynamic(scratch, model):
    print(f"\n{'scales found at run time':32}{'perplexity':>11}{'seconds':>9}{'MB':>9}   {'goal':17}ORT")
    for name, (steps, goal, peers) in DYNAMIC.items():
        recipe, out = scratch / "r.mor", scratch / "out.onnx"
        recipe.write_text(f"mor 1\non linear - head {{ {steps} }}\n", encoding="ascii")
        if "(" not in steps:
            recipe = ROOT / "recipes" / f"{steps}.mor"
        seconds, _, _ = measure([ROOT / "build/release/morc", recipe, model, "-o", out, "-f", "-q"])
        row(name, out, seconds, (goal, peers))


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
        seconds, _, _ = measure([sys.executable, ROOT / "tests/bench/ort_nbits.py", model, out])
        row("ORT MatMulNBits, with the head", out, seconds)
        rows_dynamic(pathlib.Path(scratch), model)
        rows_with_data(pathlib.Path(scratch), model)


if __name__ == "__main__":
    main()
