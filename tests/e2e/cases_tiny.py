"""Generated models: weights in every store and layout, each through every format; the bits are the
oracle's. What is peculiar to a model is checked beside it."""
import functools
import json

import numpy as np
import onnx

import oracle
import recipes
import running
from harness import MODELS, add_case
from weights import weights

TINY = sorted((MODELS / "tiny").glob("*.onnx"))
# formats with the specification that the oracle takes; axes are filled in for each layer
FORMATS = {
    "int8": ("int8", "tensor"), "int8 per channel": ("int8", "channel"), "uint8 per channel": ("uint8", "channel"),
    "int4 per block(16)": ("int4", "block", 16), "uint4 per block(32)": ("uint4", "block", 32),
    "int2 per channel": ("int2", "channel"), "e4m3 per channel": ("e4m3", "channel"),
    "e5m2": ("e5m2", "tensor"), "e2m1 per block(16)": ("e2m1", "block", 16),
    "nvfp4": ("e2m1", "block", 16, "e4m3"), "mxfp4": ("e2m1", "block", 32, "e8m0"),
    "mxfp8": ("e4m3", "block", 32, "e8m0"),
}
NOT_IN_ORT = {"e2m1 per block(16)", "nvfp4", "mxfp4", "mxfp8"}


def spec_for(name, layer):
    element, granularity, *rest = FORMATS[name]
    axis = layer.reduce_axis if granularity == "block" else layer.channel_axis
    return oracle.Spec(element, granularity, axis, *rest[:1], *rest[1:]) if rest else oracle.Spec(
        element, granularity, axis)


def tiny_case(path, name, box):
    size = FORMATS[name][2] if len(FORMATS[name]) > 2 else 1
    selector = recipes.fits(size) if size > 1 else recipes.ALL
    out = box.compress(recipes.rule(selector, f"quantize(weight = {name})"), path)
    running.check(out)
    before, after = weights(path), weights(out)
    assert len(before) == len(after)
    encoded = 0
    for old, new in zip(before, after):
        if new.codes is None:
            assert size > 1 or old.value.ndim < 2, f"{old.op} {old.name} was left in float"
            continue
        recipes.assert_encoded(new, old.value, spec_for(name, new))
        encoded += 1
    if name not in NOT_IN_ORT and path.stem != "raw_bf16":
        running.compare(running.run(out, path), running.run(path, path))
    assert encoded or size > 1 or all(w.value.ndim < 2 for w in before)


for _path in TINY:
    for _name in FORMATS:
        add_case(f"tiny/{_path.stem} {_name}", functools.partial(tiny_case, _path, _name))


# pruning the layer would change who else reads the same float tensor: refused
SHARED = {"tied_weights", "weight_is_output"}


def prune_case(path, box):
    """prune alone: stays float, keeps the type, 2 of 4 along the input width."""
    if path.stem in SHARED:
        recipe = box.write("r.mor", "mor 1\non linear { prune(2:4) }\n")
        assert b"E0408" in box.morc(recipe, path, status=1).stderr
        return
    out = box.compress(recipes.rule(recipes.fits(4), "prune(2:4)"), path)
    running.check(out)
    for old, new in zip(weights(path), weights(out), strict=True):
        assert new.codes is None and new.value.dtype == old.value.dtype
        if (new.value != old.value).any():
            mask = oracle.mask_nm(old.value, old.reduce_axis)
            recipes.equal_bits(new.value, np.where(mask, old.value, old.value.dtype.type(0)), old.name)
    if path.stem != "raw_bf16":
        running.compare(running.run(out, path), running.run(path, path))


for _path in TINY:
    add_case(f"tiny/{_path.stem} prune 2:4", functools.partial(prune_case, _path))


STAGES = "stage a {{ {0} }}\nstage b {{ {1} }}\n"


def stages_case(path, box):
    """prune in one stage and quantize in the next: the bytes of one rule that does both."""
    prune, quantize = "prune(2:4)", "quantize(weight = int8 per channel)"
    where = recipes.fits(4)
    both = box.compress(recipes.rule(where, prune, quantize), path)
    staged = box.compress(STAGES.format(recipes.rule(where, prune), recipes.rule(where, quantize)),
                          path, "staged.onnx")
    models = [onnx.load(p) for p in (both, staged)]
    receipt = json.loads(next(p.value for p in models[1].metadata_props if p.key == "mor.receipt"))
    for layer in receipt["layers"]:
        assert (layer["prune_stage"], layer["weight_stage"]) == ("a", "b"), layer
    for model in models:
        del model.metadata_props[:]
    assert models[0].SerializeToString(deterministic=True) == models[1].SerializeToString(deterministic=True)
    assert receipt["layers"] or not any(w.codes is not None for w in weights(both))


for _path in TINY:
    add_case(f"tiny/{_path.stem} stages", functools.partial(stages_case, _path))
