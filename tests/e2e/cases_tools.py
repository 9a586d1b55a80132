"""The yardsticks themselves: what the float models measure before morc touches anything."""
import sys

from harness import MODELS, ROOT, add_case

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from lm_eval import perplexity  # noqa: E402


def float_perplexity(name, expected):
    def check(_):
        value, count = perplexity(MODELS / name / "model.onnx", MODELS / name / "eval.npz", threads=1)
        assert count == 64 and f"{value:.4f}" == expected, value
    add_case(f"tools/perplexity of {name}", check)


float_perplexity("pylm-1m", "7.6768")
float_perplexity("pylm-7m", "5.6149")
