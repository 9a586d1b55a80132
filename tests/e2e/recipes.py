"""Recipe texts and what they must give, layer by layer."""
import numpy as np

import oracle

# The side condition under which blocks of `size` input channels fit a layer (D16.3: blocks and
# N:M groups of a convolution run along its input channels).
FITS = ("linear[.k % {0} == 0]?", "conv[.rank == 3 and .k % ({0} * .kernel) == 0]?",
        "conv[.rank >= 4 and .k % ({0} * .kernel * .kernel) == 0]?")
ALL = "(linear | conv)"


def fits(size):
    return "(" + " | ".join(part.format(size) for part in FITS) + ")"


def rule(selector, *steps):
    return f"on {selector}? {{\n  " + "\n  ".join(steps) + "\n}\n"


PRUNE = rule(fits(4), "prune(2:4)")
QUANTIZE = {
    "int8": rule(ALL, "quantize(weight = int8 per channel)"),
    "int4": rule(fits(16), "quantize(weight = int4 per block(max = 128))") +
    rule(f"({ALL} - {fits(16)})", "quantize(weight = int8 per channel)"),
    "fp8": rule(ALL, "quantize(weight = fp8)"),
}


def block_of(length, largest=128):
    """per block(max = N): the largest power of two from N down to 16 that divides."""
    size = largest
    while size >= 16:
        if length % size == 0:
            return size
        size //= 2
    return 0


def spec_of(name, layer):
    """How the recipe QUANTIZE[name] treats a layer (weights.Weight) that it encodes."""
    if name == "fp8":
        return oracle.Spec("e4m3", "tensor")
    if name == "int4" and layer.codes.dtype.name == "int4":
        block = block_of(layer.value.shape[layer.reduce_axis])
        return oracle.Spec("int4", "block", layer.reduce_axis, block)
    return oracle.Spec("int8", "channel", layer.channel_axis)


def assert_encoded(actual, original, spec, pruned=False):
    """`actual` must hold the bits that the oracle gives for the float weights `original`."""
    where = f"{actual.op} {actual.name} {original.shape} {spec}"
    assert actual.codes is not None, f"{where}: still float"
    source = original
    if pruned and original.shape[actual.reduce_axis] % 4 == 0:
        source = np.where(oracle.mask_nm(original, actual.reduce_axis), original, original.dtype.type(0))
    expected = oracle.encode(source, spec)
    assert actual.codes.dtype == expected.codes.dtype, (where, actual.codes.dtype)
    assert actual.scales.dtype == expected.scales.dtype, (where, actual.scales.dtype)
    if spec.granularity == "block":
        assert (actual.axis, actual.block) == (spec.axis, spec.block), (where, actual.axis, actual.block)
    equal_bits(actual.scales.reshape(expected.scales.shape), expected.scales, where + " scales")
    equal_bits(actual.codes, expected.codes, where + " codes")
    if expected.zeros is not None:
        equal_bits(actual.zeros.reshape(expected.zeros.shape), expected.zeros, where + " zero points")
    if expected.over is not None:
        equal_bits(actual.over.reshape(()), expected.over.reshape(()), where + " upper scale")


def equal_bits(actual, expected, what):
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    differ = np.argwhere((a != b) | (np.signbit(a) != np.signbit(b)))
    assert not len(differ), (f"{what}: {len(differ)} of {a.size} differ, first at {differ[0]}: "
                             f"{a[tuple(differ[0])]} is not {b[tuple(differ[0])]}")
