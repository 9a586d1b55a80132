"""Runs models: seeded inputs for each test model, ONNX Runtime, the checker, comparison."""
import numpy as np
import onnx
import onnxruntime

from harness import MODELS

onnxruntime.set_default_logger_severity(4)
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
         "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
# model: shapes of its inputs where the model leaves them open
SHAPES = {
    "ch_PP-OCRv4_det_infer": {"x": (1, 3, 160, 160)},
    "ch_PP-OCRv4_rec_infer": {"x": (1, 3, 48, 96)},
    "ch_ppocr_mobile_v2.0_cls_infer": {"x": (1, 3, 48, 192)},
    "silero_vad": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "silero_vad_16k_op15": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "silero_vad_half": {"input": (1, 576), "state": (2, 1, 128)},
    "silero_vad_op18_ifless": {"input": (1, 576), "state": (2, 1, 128), "sr": ()},
    "silero_vad_16k_sequence": {"input": (3, 576)},
}


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    held = path if isinstance(path, bytes) else str(path)
    return onnxruntime.InferenceSession(held, options, providers=["CPUExecutionProvider"])


def page(shape, random):
    """An image as text recognizers take it, in -1..1: dark strokes in lines on a light page."""
    image = np.full(shape, 0.8, np.float32)
    for top in range(8, shape[2] - 20, 32):
        left = 8
        while left < shape[3] - 16:
            width = int(random.integers(2, 6))
            height = int(random.integers(8, 18))
            image[:, :, top:top + height, left:left + width] = -0.9
            left += width + int(random.integers(2, 6))
    return image + 0.02 * random.standard_normal(shape).astype(np.float32)


def voice(shape, random):
    """A vowel at 16 kHz: harmonics of 120 Hz under two formants, and a little noise."""
    time = np.arange(int(np.prod(shape))) / 16000
    sound = sum(np.sin(2 * np.pi * 120 * n * time) / (1 + abs(120 * n - 600) / 200) for n in range(1, 25))
    return (0.05 * sound + 0.002 * random.standard_normal(time.size)).astype(np.float32).reshape(shape)


def inputs_for(path, opened):
    """The same values for a model and for what morc made of it: `path` is the original's."""
    random = np.random.default_rng(7)
    if path.parent.name.startswith("pylm"):
        return {"input_ids": np.load(path.parent / "eval.npz")["input_ids"][:2, :48]}
    shapes = SHAPES.get(path.stem, {})
    values = {}
    for info in opened.get_inputs():
        shape = shapes.get(info.name, [n if isinstance(n, int) else 5 for n in info.shape])
        dtype = TYPES[info.type]
        if info.name == "sr":
            values[info.name] = np.array(16000, np.int64)
        elif info.name == "x" and path.parent.name == "ppocr":
            values[info.name] = page(shape, random)
        elif info.name == "input" and path.parent.name == "silero":
            values[info.name] = voice(shape, random)
        elif dtype == np.bool_:
            values[info.name] = np.asarray(random.random(shape) < 0.5)
        elif dtype == np.int64:
            values[info.name] = random.integers(0, 90, shape)
        else:
            values[info.name] = random.standard_normal(shape).astype(dtype)
    return values


def run(path, original):
    """The outputs of the model at `path` (or given as a message's bytes), by name and in order."""
    opened = session(path)
    return opened.run(None, inputs_for(original, opened))


def check(path):
    onnx.checker.check_model(str(path), full_check=True)


def compare(actual, expected):
    """The least cosine of any output; asserts shapes and finiteness."""
    assert len(actual) == len(expected)
    least = 1.0
    for a, b in zip(actual, expected):
        assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape)
        if a.dtype.kind != "f" or not a.size:
            continue
        a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
        assert np.isfinite(a).all() or not np.isfinite(b).all(), "not finite"
        length = np.linalg.norm(a) * np.linalg.norm(b)
        if length > 0:
            least = min(least, float(a @ b / length))
    return least


def real_models():
    return [MODELS / "pylm-1m" / "model.onnx", MODELS / "pylm-7m" / "model.onnx",
            *sorted((MODELS / "ppocr").glob("*.onnx")), *sorted((MODELS / "silero").glob("*.onnx"))]


def model_name(path):
    return path.parent.name if path.stem == "model" else path.stem
