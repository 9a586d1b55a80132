#!/usr/bin/env python3
"""The formats of morc against ml_dtypes: formats_vs_ml_dtypes.py ENCODE_DUMP [FORMAT...]

Codes must be equal for every float16 and bfloat16, for 16 M random float32 bit patterns, and for
every value of the format, every midpoint of two neighbours and the floats next to those; decoded
values must be equal for every code. Differences that are ours by choice are taken out first: we
saturate (so ml_dtypes gets clipped values), NaN has a code in e4m3 and e5m2 only, and e8m0, which
rounds up here, is compared with a power of two computed by frexp.
"""
import subprocess
import sys

import ml_dtypes
import numpy as np

FLOATS = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2,
          "e2m1": ml_dtypes.float4_e2m1fn, "e3m2": ml_dtypes.float6_e3m2fn,
          "e2m3": ml_dtypes.float6_e2m3fn}
INTEGERS = {"int8": np.int8, "uint8": np.uint8, "int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4,
            "int2": ml_dtypes.int2, "uint2": ml_dtypes.uint2}
FORMATS = [*INTEGERS, *FLOATS, "e8m0"]


def run(tool, *arguments, data=b""):
    return subprocess.run([str(tool), *arguments], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def bits_of(name):
    return int(name[-1]) if name in INTEGERS else {"e2m1": 4, "e3m2": 6, "e2m3": 6}.get(name, 8)


def expected_values(name):
    """What each code stands for."""
    codes = np.arange(2 ** bits_of(name), dtype=np.uint8)
    if name in INTEGERS:
        high = 2 ** (bits_of(name) - 1)
        signed = codes.astype(np.float32)
        return signed - (2 * high * (codes >= high) if name.startswith("i") else 0)
    dtype = ml_dtypes.float8_e8m0fnu if name == "e8m0" else FLOATS[name]
    return codes.view(dtype).astype(np.float32)


def expected_codes(name, x):
    if name == "e8m0":
        mantissa, exponent = np.frexp(x.astype(np.float64))
        exponent = np.where(mantissa == 0.5, exponent - 1, exponent)
        return np.where(x == 0, 0, np.clip(exponent + 127, 0, 254)).astype(np.uint8)
    finite = expected_values(name)
    finite = finite[np.isfinite(finite)]
    clipped = np.clip(x, finite.min(), finite.max())  # a NaN stays one
    if name in INTEGERS:
        return (np.rint(clipped).astype(np.int16) & (2 ** bits_of(name) - 1)).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        return clipped.astype(FLOATS[name]).view(np.uint8)


def integers_agree(name):
    """ml_dtypes stores the integers as we do: the code is the low bits."""
    values = expected_values(name)
    stored = values.astype(np.int8 if name[0] == "i" else np.uint8).astype(INTEGERS[name])
    mask = 2 ** bits_of(name) - 1
    return np.array_equal(stored.view(np.uint8) & mask, np.arange(mask + 1))


def inputs(name):
    values = expected_values(name)
    values = np.unique(values[np.isfinite(values)])
    edges = np.concatenate([values, (values[1:] + values[:-1]) / 2]).astype(np.float32)
    near = [np.nextafter(edges, np.float32(end)) for end in (np.inf, -np.inf)]
    every16 = np.arange(2 ** 16, dtype=np.uint16)
    random = np.random.default_rng(1).integers(0, 2 ** 32, 2 ** 24, dtype=np.uint32)
    x = np.concatenate([edges, *near, every16.view(np.float16).astype(np.float32),
                        every16.view(ml_dtypes.bfloat16).astype(np.float32),
                        random.view(np.float32)])
    x = x if name in ("e4m3", "e5m2") else x[~np.isnan(x)]
    return x[(x >= 0) & np.isfinite(x)] if name == "e8m0" else x


def check(tool, name):
    """The number of floats compared; raises on a difference."""
    values = np.frombuffer(run(tool, "-d", name), np.float32)
    assert np.array_equal(values, expected_values(name), equal_nan=True), f"{name}: decode"
    zeros = values == 0
    assert np.array_equal(np.signbit(values[zeros]), np.signbit(expected_values(name)[zeros]))
    assert name not in INTEGERS or integers_agree(name), name
    x = inputs(name)
    codes = np.frombuffer(run(tool, name, data=x.tobytes()), np.uint8)
    nan = np.isnan(x)
    assert np.all(np.isnan(values[codes[nan]])), f"{name}: NaN"
    wrong = np.flatnonzero((codes != expected_codes(name, x)) & ~nan)
    assert wrong.size == 0, (f"{name}: {wrong.size} differ, first {x[wrong[0]]!r}: "
                             f"{codes[wrong[0]]}, not {expected_codes(name, x[wrong[:1]])[0]}")
    return x.size


if __name__ == "__main__":
    for chosen in sys.argv[2:] or FORMATS:
        print(f"{chosen:6} {check(sys.argv[1], chosen):>9} floats equal")
