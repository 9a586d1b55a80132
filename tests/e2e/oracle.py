"""What every format must give, written from the rules of docs/language.md in numpy alone.

`encode(w, spec)` takes float weights (any float type) and returns the codes, the scales as stored,
the zero points and the float32 values that a reader decodes. Shapes: granularity "tensor" has one
scale, "channel" one for each index of `axis`, "block" one for `block` neighbours along `axis`.
"""
import dataclasses

import ml_dtypes
import numpy as np

F32 = np.float32
ELEMENTS = {  # name: (numpy type of the codes, divisor of amax, largest code)
    "int8": (np.int8, 127, 127), "int4": (ml_dtypes.int4, 7, 7), "int2": (ml_dtypes.int2, 1, 1),
    "uint8": (np.uint8, 255, 255), "uint4": (ml_dtypes.uint4, 15, 15),
    "e4m3": (ml_dtypes.float8_e4m3fn, 448, 448), "e5m2": (ml_dtypes.float8_e5m2, 57344, 57344),
    "e2m1": (ml_dtypes.float4_e2m1fn, 6, 6),
}


@dataclasses.dataclass
class Spec:
    element: str = "int8"
    granularity: str = "tensor"   # tensor, channel, block
    axis: int = 0
    block: int = 0
    scale: str = "float"          # float (the weights' own type), e4m3 (two levels), e8m0
    method: str = "max"


@dataclasses.dataclass
class Encoded:
    codes: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray | None
    decoded: np.ndarray
    over: np.ndarray | None = None  # the float32 scale above e4m3 scales


def granules(w, spec):
    """w as [outer, count, size, inner] with one scale for each (outer, count, inner) or (count)."""
    if spec.granularity == "tensor":
        return w.reshape(1, 1, w.size, 1)
    outer, inner = int(np.prod(w.shape[:spec.axis])), int(np.prod(w.shape[spec.axis + 1:]))
    length = w.shape[spec.axis]
    if spec.granularity == "channel":
        moved = np.moveaxis(w, spec.axis, 0).reshape(length, -1)
        return moved[None, :, :, None]
    short = -length % spec.block
    padded = np.pad(w.reshape(outer, length, inner), ((0, 0), (0, short), (0, 0)))
    return padded.reshape(outer, -1, spec.block, inner)


def ungroup(groups, shape, spec):
    if spec.granularity == "tensor":
        return groups.reshape(shape)
    length = shape[spec.axis]
    if spec.granularity == "channel":
        others = [n for i, n in enumerate(shape) if i != spec.axis]
        return np.moveaxis(groups.reshape([length, *others]), 0, spec.axis)
    outer = int(np.prod(shape[:spec.axis]))
    flat = groups.reshape(outer, groups.shape[1] * spec.block, groups.shape[3])
    return flat[:, :length].reshape(shape)


def scale_shape(shape, spec):
    """As DequantizeLinear wants it."""
    if spec.granularity == "tensor":
        return ()
    if spec.granularity == "channel":
        return (shape[spec.axis],)
    return tuple(-(-n // spec.block) if i == spec.axis else n for i, n in enumerate(shape))


def store(scale, dtype):
    """A float32 scale in its stored type: finite, normal, above 0; 0 gives 1."""
    info = ml_dtypes.finfo(dtype)
    with np.errstate(over="ignore"):
        stored = scale.astype(dtype)
    tiny, huge = dtype(info.smallest_normal), dtype(info.max)
    stored = np.where(stored.astype(F32) < F32(tiny), tiny, stored)
    stored = np.where(np.isfinite(stored.astype(F32)), stored, huge)
    return np.where(scale == 0, dtype(1), stored).astype(dtype)


def exponent_up(x):
    """The exponent of the least power of two not below x, kept to normal floats."""
    mantissa, exponent = np.frexp(x)
    exponent = np.where(mantissa == 0.5, exponent - 1, exponent)
    return np.clip(exponent, -126, 127)


def to_codes(ratio, element):
    dtype, _, top = ELEMENTS[element]
    if element.startswith("int"):
        return np.clip(np.rint(ratio), -top - 1, top).astype(dtype)
    return np.clip(ratio, -top, top).astype(dtype)


def encode(w, spec):
    stored_type = w.dtype.type if w.dtype != np.float64 else F32
    flat = w.astype(F32)
    groups = granules(flat, spec)
    if spec.element.startswith("uint"):
        return encode_unsigned(flat, groups, spec, stored_type)
    amax = np.abs(groups).max(axis=2, keepdims=True)
    over = None
    if spec.scale == "e4m3":
        scales, divisor, over = two_level(amax, spec)
    elif spec.scale == "e8m0":
        exponent = exponent_up(amax / F32(ELEMENTS[spec.element][1]))
        scales = np.where(amax == 0, 1, np.ldexp(F32(1), exponent)).astype(ml_dtypes.float8_e8m0fnu)
        divisor = scales.astype(F32)
    else:
        scales = store(amax / F32(ELEMENTS[spec.element][1]), stored_type)
        divisor = scales.astype(F32)
    if spec.method == "mse":
        scales = search(groups, amax, spec, stored_type)
        divisor = scales.astype(F32)
    with np.errstate(over="ignore"):
        codes = to_codes(groups / divisor, spec.element)
        decoded = codes.astype(F32) * divisor
    return Encoded(ungroup(codes, w.shape, spec), scales.reshape(scale_shape(w.shape, spec)), None,
                   ungroup(decoded, w.shape, spec), over)


def encode_unsigned(flat, groups, spec, stored_type):
    dtype, levels, _ = ELEMENTS[spec.element]
    # padding is 0, and the range is widened to hold 0 in any case
    low = np.minimum(groups.min(axis=2, keepdims=True), F32(0))
    high = np.maximum(groups.max(axis=2, keepdims=True), F32(0))
    scales = store((high - low) / F32(levels), stored_type)
    divisor = scales.astype(F32)
    zeros = np.clip(np.rint(-low / divisor), 0, levels)
    codes = np.clip(np.rint(groups / divisor) + zeros, 0, levels)
    decoded = (codes - zeros).astype(F32) * divisor
    shape = scale_shape(flat.shape, spec)
    return Encoded(ungroup(codes, flat.shape, spec).astype(dtype), scales.reshape(shape),
                   zeros.reshape(shape).astype(dtype), ungroup(decoded, flat.shape, spec))


def two_level(amax, spec):
    over = store(np.asarray(amax.max() / F32(ELEMENTS[spec.element][1] * 448), F32), F32)
    ratio = amax / (F32(ELEMENTS[spec.element][1]) * over)
    scales = np.clip(ratio, F32(2.0 ** -9), F32(448)).astype(ml_dtypes.float8_e4m3fn)
    scales = np.where(amax == 0, ml_dtypes.float8_e4m3fn(1), scales)
    return scales, scales.astype(F32) * over, over


def candidate_losses(groups, amax, spec, stored_type):
    """[26, ...granules] of sum |w - w'|^2.4 for the searched scales, and the scales."""
    losses, scales = [], []
    for step in range(26):
        ratio = F32(60 + 2 * step) / F32(100)
        scale = store(amax / F32(ELEMENTS[spec.element][1]) * ratio, stored_type)
        divisor = scale.astype(F32)
        decoded = to_codes(groups / divisor, spec.element).astype(F32) * divisor
        error = np.abs(groups.astype(np.float64) - decoded)
        losses.append((error ** 2.4).sum(axis=2, keepdims=True))
        scales.append(scale)
    return np.stack(losses), np.stack(scales)


def search(groups, amax, spec, stored_type):
    losses, scales = candidate_losses(groups, amax, spec, stored_type)
    best = losses.argmin(axis=0)[None]
    return np.take_along_axis(scales, best, axis=0)[0]


def mask_nm(w, axis, keep=2, group=4):
    """Of each `group` neighbours along axis the `keep` largest magnitudes; ties: the lower index."""
    moved = np.moveaxis(np.abs(w.astype(F32)), axis, -1)
    parts = moved.reshape(*moved.shape[:-1], -1, group)
    order = np.argsort(-parts, axis=-1, kind="stable")
    mask = np.zeros(parts.shape, bool)
    np.put_along_axis(mask, order[..., :keep], True, axis=-1)
    return np.moveaxis(mask.reshape(moved.shape), -1, axis)


def mask_ratio(w, fraction):
    """Zeroes round(fraction * n) smallest magnitudes of the tensor; ties keep the lower index."""
    flat = np.abs(w.astype(F32)).ravel()
    zeros = int(np.rint(fraction * flat.size))
    order = np.lexsort((-np.arange(flat.size), flat))
    mask = np.ones(flat.size, bool)
    mask[order[:zeros]] = False
    return mask.reshape(w.shape)


@dataclasses.dataclass
class Dynamic:
    codes: np.ndarray    # as floats
    scale: np.ndarray    # [..., 1] for rows, else of no dimension
    decoded: np.ndarray


def dynamic(x, element, token):
    """What `input = ELEMENT per token (or tensor) dynamic` makes of values, in their own float type."""
    own = x.dtype.type
    dtype, top, _ = ELEMENTS[element]
    rows = {"axis": -1, "keepdims": True} if token else {}
    least = own(np.finfo(own).smallest_normal)
    with np.errstate(over="ignore"):
        if element == "uint8":
            low, high = np.minimum(x.min(**rows), own(0)), np.maximum(x.max(**rows), own(0))
            scale = np.maximum(high / own(top) - low / own(top), least)
            zero = np.rint(-low / scale)
            codes = np.clip(np.rint(x / scale) + zero, 0, top)
            return Dynamic(codes, scale, (codes - zero) * scale)
        scale = np.maximum(np.abs(x).max(**rows) / own(top), least)
        codes = to_codes((x / scale).astype(own), element).astype(own)
        return Dynamic(codes, scale, codes * scale)
