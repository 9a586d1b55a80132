"""The yardsticks themselves: what the float models measure before morc touches anything, the formats'
codes against ml_dtypes, and calibrators against numpy."""
import sys

from harness import MODELS, ROOT, SETTINGS, add_case

sys.path.insert(0, str(ROOT / "tests" / "tools"))
import calibrators  # noqa: E402
import formats_vs_ml_dtypes as formats  # noqa: E402
from lm_eval import perplexity  # noqa: E402


def float_perplexity(name, expected):
    def check(_):
        value, count = perplexity(MODELS / name / "model.onnx", MODELS / name / "eval.npz", threads=1)
        assert count == 64 and f"{value:.4f}" == expected, value
    add_case(f"tools/perplexity of {name}", check)


float_perplexity("pylm-1m", "7.6768")
float_perplexity("pylm-7m", "5.6149")


def format_codes(name):
    def check(_):
        formats.check(SETTINGS.morc.parent / "tests" / "tools" / "encode_dump", name)
    add_case(f"tools/codes of {name} against ml_dtypes", check)


for name in formats.FORMATS:
    format_codes(name)


def calibrator_choices(name):
    def check(_):
        tool = SETTINGS.morc.parent / "tests" / "tools" / "calib_dump"
        compared, others = calibrators.check(tool, name)
        assert compared == 57 and others == 0, (compared, others)
    add_case(f"tools/calibrators for {name} against numpy", check)


for name in calibrators.FORMATS:
    calibrator_choices(name)
