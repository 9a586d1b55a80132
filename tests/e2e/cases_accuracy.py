"""Perplexity of pylm-7m after each weight-only recipe, and after those of recipes/ that take data: the
figures this project stands for."""
import functools
import sys

from harness import MODELS, ROOT, add_case

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from lm_eval import perplexity  # noqa: E402

# recipe: (text, least, most); float is 5.6149
TABLE = {
    "fp8": ("on linear { quantize(weight = fp8) }", 5.60, 5.66),
    "fp8 per channel": ("on linear { quantize(weight = fp8 per channel) }", 5.60, 5.66),
    "int8 per channel": ("on linear { quantize(weight = int8 per channel) }", 5.60, 5.63),
    "int4 block 128": ("on linear - head { quantize(weight = int4 per block(128)) }", 6.289, 6.295),
    "int4 block 128 mse": ("on linear - head { quantize(weight = int4 per block(128), method = mse) }", 5.9, 6.12),
    "int4 block 128 as MatMulNBits": (
        "emit ort\non linear - head { quantize(weight = int4 per block(128)) }", 6.289, 6.295),
}


def check(text, least, most, box):
    folder = MODELS / "pylm-7m"
    out = box.compress(text + "\n", folder / "model.onnx")
    value, count = perplexity(out, folder / "eval.npz", threads=1)
    assert count == 64 and least <= value <= most, f"perplexity {value:.4f}, not {least} to {most}"


for _name, _row in TABLE.items():
    add_case(f"accuracy/pylm-7m {_name}", functools.partial(check, *_row))

# recipes/NAME.mor that takes no data: least, most
FREE_TABLE = {"int8_dynamic": (5.615, 5.640), "fp8_dynamic": (5.62, 5.68)}

# recipes/NAME.mor on 128 sequences of calib.npz: least, most
DATA_TABLE = {
    "fp8_static": (5.60, 5.67),
    "int8_static": (5.62, 5.85),
    "int8_smooth": (5.61, 5.66),
    "int8_smooth_dynamic": (5.60, 5.63),
    "int4_awq": (5.80, 6.09),
    "int4_gptq": (5.80, 5.96),
    "w4a8": (5.80, 6.00),
}


def check_recipe(name, least, most, box):
    folder = MODELS / "pylm-7m"
    data = ["--data", f"calib={folder / 'calib.npz'}"] if name in DATA_TABLE else []
    box.morc(ROOT / "recipes" / f"{name}.mor", folder / "model.onnx", "-o", "out.onnx", "-q", *data, timeout=600)
    value, count = perplexity(box.dir / "out.onnx", folder / "eval.npz", threads=1)
    assert count == 64 and least <= value <= most, f"perplexity {value:.4f}, not {least} to {most}"


for _name, _row in {**FREE_TABLE, **DATA_TABLE}.items():
    add_case(f"accuracy/pylm-7m recipes {_name}", functools.partial(check_recipe, _name, *_row))
