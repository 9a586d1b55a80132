"""Real models: every format of the matrix, dense and 2:4, passes the checker, runs in ONNX Runtime
near the original, and holds exactly the codes and scales of the oracle."""
import functools

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

import oracle
import recipes
import running
from harness import MODELS, add_case, case
from weights import weights

# Least cosine of any output. SAME: to a float model that holds the decoded weights, whatever these
# are. NEAR: to the float model; what 4 bits and 2:4 without training leave of small convolutional
# models is no measure of morc, so these are held to SAME only.
SAME = 0.99999
NEAR = {"int8": 0.98, "fp8": 0.90}
NEAR_LANGUAGE = {**NEAR, "int4": 0.97}


def decoded_model(path, after):
    """The float model with every weight replaced by what a reader of `after` decodes."""
    plain = onnx.load(path)
    for old, new in zip(weights(plain), after, strict=True):
        value = new.value.astype(old.value.dtype)
        old.tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), old.tensor.name))
    return plain.SerializeToString()


def matrix_case(path, name, pruned, box):
    text = (recipes.PRUNE if pruned else "") + recipes.QUANTIZE[name]
    out = box.compress(text, path)
    running.check(out)
    before, after = weights(path), weights(out)
    assert len(before) == len(after) > 0
    for old, new in zip(before, after):
        fits = old.value.shape[old.reduce_axis] % 4 == 0
        recipes.assert_encoded(new, old.value, recipes.spec_of(name, new), pruned and fits)
    actual = running.run(out, path)
    cosine = running.compare(actual, running.run(decoded_model(path, after), path))
    assert cosine >= SAME, f"cosine {cosine:.6f} to the float model with the decoded weights"
    cosine = running.compare(actual, running.run(path, path))
    near = NEAR_LANGUAGE if path.parent.name.startswith("pylm") else NEAR
    assert pruned or cosine >= near.get(name, -1), f"cosine {cosine:.4f} to the float model"


for _path in running.real_models():
    for _name in recipes.QUANTIZE:
        for _pruned in (False, True):
            add_case(f"models/{running.model_name(_path)} {_name}{' 2:4' * _pruned}",
                     functools.partial(matrix_case, _path, _name, _pruned))


BLOCKED = {"nvfp4": ("e2m1", 16, "e4m3"), "mxfp4": ("e2m1", 32, "e8m0"), "mxfp8": ("e4m3", 32, "e8m0")}


def reference_case(name, opset, box):
    """nvfp4, mxfp4, mxfp8: ONNX's own evaluator gives what it gives for the decoded weights."""
    path = MODELS / "pylm-1m" / "model.onnx"
    out = box.compress(recipes.rule("linear", f"quantize(weight = {name})"), path)
    running.check(out)
    made = onnx.load(out)
    assert made.opset_import[0].version >= opset, made.opset_import
    element, block, scale = BLOCKED[name]
    plain = onnx.load(path)
    initializers = {t.name: t for t in plain.graph.initializer}
    names = [n.input[1] for n in plain.graph.node if n.op_type == "MatMul" and n.input[1] in initializers]
    for old, new, key in zip(weights(path), weights(made), names, strict=True):
        expected = oracle.Spec(element, "block", old.reduce_axis, block, scale)
        recipes.assert_encoded(new, old.value, expected)
        decoded = oracle.encode(old.value, expected).decoded
        initializers[key].CopyFrom(onnx.numpy_helper.from_array(decoded, key))
    ids = {"input_ids": np.load(path.parent / "eval.npz")["input_ids"][:1, :12]}
    actual, wanted = ReferenceEvaluator(made).run(None, ids), ReferenceEvaluator(plain).run(None, ids)
    assert all(np.array_equal(a, b) for a, b in zip(actual, wanted)), "the evaluator's outputs differ"


for _name, _opset in (("nvfp4", 23), ("mxfp4", 24), ("mxfp8", 24)):
    add_case(f"models/reference {_name}", functools.partial(reference_case, _name, _opset))


@case("models/searched scales are the best of the grid")
def searched(box):
    path = MODELS / "pylm-1m" / "model.onnx"
    text = recipes.rule("linear", "quantize(weight = int4 per block(32), method = mse)")
    for old, new in zip(weights(path), weights(box.compress(text, path)), strict=True):
        spec = oracle.Spec("int4", "block", old.reduce_axis, 32)
        groups = oracle.granules(old.value, spec)
        losses, scales = oracle.candidate_losses(
            groups, np.abs(groups).max(axis=2, keepdims=True), spec, np.float32)
        chosen = (scales == new.scales.reshape(scales.shape[1:])).argmax(axis=0)[None]
        assert (np.take_along_axis(scales, chosen, axis=0) == new.scales.reshape(scales.shape[1:])).all()
        # errors are added in fixed point: a candidate as good to 5 digits may win
        loss = np.take_along_axis(losses, chosen, axis=0)
        assert (loss <= losses.min(axis=0) * (1 + 1e-5)).all(), "a better scale was passed over"
        divisor = oracle.ungroup(np.broadcast_to(new.scales.reshape(scales.shape[1:]), groups.shape),
                                 old.value.shape, spec)
        recipes.equal_bits(new.codes, oracle.to_codes(old.value / divisor, "int4"), old.name)
