#!/usr/bin/env python3
"""Histograms and calibrators of morc against numpy: calibrators.py CALIB_DUMP [FORMAT...]

The reference is written from the definitions of NVIDIA ModelOpt's HistogramCalibrator, the plain
way: a histogram of magnitudes that grows by batches, then each candidate judged on its own. Counts,
widths and choices must be equal, for distributions of many shapes, for symmetric formats and for
asymmetric ones. Where two candidates are as good to nine digits (entropy: to 1e-11), either is right.
"""
import subprocess
import sys

import ml_dtypes
import numpy as np

F32 = np.float32
FORMATS = ["int8", "e4m3", "uint8", "int4", "e5m2", "e2m1"]
FLOATS = {"e4m3": (ml_dtypes.float8_e4m3fn, 448), "e5m2": (ml_dtypes.float8_e5m2, 57344),
          "e2m1": (ml_dtypes.float4_e2m1fn, 6)}
BITS = {"int8": 8, "uint8": 8, "int4": 4}
START = 128


def run(tool, name, percentile, batch, x):
    """(width, above, below, {calibrator: (lo, hi, amax)}) of the tool."""
    out = subprocess.run([str(tool), name, repr(percentile), str(batch)], input=x.tobytes(),
                         stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    _, width, bins = out[0].split()
    bins = int(bins)
    counts = np.array([line.split() for line in out[1:bins + 1]], np.int64).reshape(bins, 2)
    ranges = {w[0]: [float.fromhex(v) for v in w[1:]] for w in map(str.split, out[bins + 1:])}
    return float.fromhex(width), counts[:, 0], counts[:, 1], ranges


def histogram(x, batch):
    """(width, counts of magnitudes of values >= 0, of values < 0)"""
    counts, width, top, zeros = None, None, None, 0
    for first in range(0, len(x), batch):
        part = x[first:first + batch]
        a = np.abs(part)
        amax = a.max()
        if counts is None and amax == 0:
            zeros += len(part)
            continue
        if counts is None:
            counts, width, top = np.zeros((2, 2048), np.int64), F32(amax / F32(2048)), amax
            counts[0, 0] = zeros
        elif amax > top:
            bins = int(np.ceil(F32(amax / width)))
            counts = np.pad(counts, ((0, 0), (0, bins - counts.shape[1])))
            top = F32(bins * float(width))
        bins = counts.shape[1]
        at = np.minimum((a * F32(bins) / top).astype(np.int64), bins - 1)
        for sign in range(2):
            counts[sign] += np.bincount(at[(part < 0) == sign], minlength=bins)
    return width, counts[0], counts[1]


def edges_of(width, bins):
    return (np.arange(bins + 1) * float(width)).astype(F32)


def quantized(name, x, lo, hi):
    """What codes of a format make of x, where they cover lo to hi; float32 as ModelOpt has it."""
    if name in FLOATS:
        dtype, most = FLOATS[name]
        scale = F32(F32(most) / hi)
        codes = np.clip(x * scale, -most, most).astype(dtype).astype(F32)
        return codes * F32(F32(1) / scale)
    if name == "uint8":
        scale = F32(F32(255) / F32(hi - lo))
        zero = np.rint(-lo * scale)
        return (np.clip(np.rint(x * scale), -zero, 255 - zero) / scale).astype(F32)
    bound = F32(2 ** (BITS[name] - 1) - 1)
    scale = F32(bound / hi)
    return np.clip(np.rint(x * scale), -bound, bound) / scale


def mse(name, edges, above, below, span):
    """The error of every candidate, and the candidates."""
    centers = (edges[1:] + edges[:-1]) / F32(2)
    x, weight = centers, above + below
    if name == "uint8":
        x, weight = np.concatenate([-centers[::-1], centers]), np.concatenate([below[::-1], above])
    errors = []
    for cut in centers[START:]:
        lo, hi = (max(span[0], -cut), min(span[1], cut)) if name == "uint8" else (-cut, cut)
        d = (quantized(name, x, F32(lo), F32(hi)) - x).astype(F32).astype(np.float64)
        errors.append(float(np.sum(d * d * weight)))
    return np.array(errors), centers[START:], False, 1e-9 * min(errors)


def level_of_bins(name, n):
    """Which level each bin of a cut of n bins belongs to."""
    if name in FLOATS:
        dtype, most = FLOATS[name]
        values = np.arange(0, 2 ** 7, dtype=np.uint8) if name != "e2m1" else np.arange(8, dtype=np.uint8)
        values = values.view(dtype).astype(np.float64)
        values = values[np.isfinite(values)]
        middles = (values[1:] + values[:-1]) / 2
        at = (np.arange(n) * 2 + 1) * most
        level = np.searchsorted(middles * 2 * n, at, side="left")  # on a middle: the lower value
        tie = (np.append(middles, 0)[level] * 2 * n == at) & (level % 2 == 1)
        return level + tie
    levels = 256 if name == "uint8" else 2 ** (BITS[name] - 1)
    return np.digitize(np.arange(n), np.linspace(0, n, levels + 1)) - 1


def entropy(name, edges, above, below, span):
    bins = len(above)
    above, below = above.copy(), below.copy()
    if name == "uint8":
        above[0], below[0] = above[1], below[1]
        nb = np.flatnonzero(below)[-1] + 1 if below.any() else 0
        na = np.flatnonzero(above)[-1] + 1 if above.any() else 0
        density, zero = np.concatenate([below[:nb][::-1], above[:na]]), nb
    else:
        density, zero = above + below, 0
        density[0] = density[1]
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(START, bins + 1):
            first, end = max(0, zero - i), min(len(density), zero + i)
            part = density[first:end].astype(np.float64)
            level = level_of_bins(name, end - first)
            filled = part > 0
            sums = np.bincount(level[filled], part[filled], minlength=level.max() + 1)
            numbers = np.bincount(level[filled], minlength=level.max() + 1)
            q = np.where(filled, sums[level] / np.maximum(numbers[level], 1), 0.0)
            p = part.copy()
            p[0] += density[:first].sum()
            p[-1] += density[end:].sum()
            if not filled.any():
                found.append(np.inf)  # nothing but what was cut off
                continue
            p, q = p / p.sum(), q / q.sum()
            terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0.0)
            found.append(float(np.sum(terms)))
    return np.array(found), edges[START:], True, 1e-11


def percentile(edges, counts, share):
    at = int(np.searchsorted(np.cumsum(counts / counts.sum()), share))
    return edges[max(at, 1)]


def span_of(name, span, cut_lo, cut_hi=None):
    """lo, hi of a format that is cut there."""
    cut_hi = cut_lo if cut_hi is None else cut_hi
    if name != "uint8":
        return -cut_hi, cut_hi
    return max(span[0], -cut_lo) if span[0] < 0 else 0, min(span[1], cut_hi) if span[1] > 0 else 0


def check_percentile(name, edges, above, below, span, p, found):
    share = p / 100
    if name != "uint8" or span[0] >= 0 or span[1] <= 0:
        want = span_of(name, span, percentile(edges, above + below, share))
    else:
        total = (above + below).sum()
        cuts = [percentile(edges, c, max(0, 1 - (1 - share) / 2 * total / c.sum())) for c in (below, above)]
        want = span_of(name, span, *cuts)
    assert (found[0], found[1]) == (float(want[0]), float(want[1])), (name, p, want, found)


def check_search(label, name, result, span, found):
    """True if the choice is that of the reference, False if one as good."""
    values, cuts, last, near = result
    at = len(values) - 1 - int(np.argmin(values[::-1])) if last else int(np.argmin(values))
    want = [float(v) for v in span_of(name, span, cuts[at])]
    if found[:2] == want:
        return True
    chosen = [i for i, cut in enumerate(cuts)
              if [float(v) for v in span_of(name, span, cut)] == found[:2]]
    assert chosen, (label, name, "no candidate", found)
    least = min(values[i] for i in chosen)
    assert least <= values[at] + near, (label, name, want, found, least, values[at])
    return False


def samples(rng):
    """(label, values, batch): batches of several ranges, shapes, signs."""
    n = 20000
    yield "normal", rng.normal(size=n), n
    yield "normal, batches", rng.normal(size=n), 1000
    yield "growing", rng.normal(size=n) * np.linspace(0.8, 2, n), 2000
    yield "laplace", rng.laplace(size=n), 5000
    yield "student", np.clip(rng.standard_t(3, size=n), -60, 60), n
    yield "uniform", rng.uniform(-1, 1, n), n
    yield "outliers", np.where(rng.uniform(size=n) < 1e-3, 20, 1) * rng.normal(size=n), n
    yield "relu", np.maximum(rng.normal(size=n), 0), 7000
    yield "gelu", (lambda v: v / (1 + np.exp(-1.7 * v)))(rng.normal(size=n) * 2), n
    yield "softmax", rng.dirichlet(np.full(200, 0.05), 100), n
    yield "negative", -rng.exponential(size=n), n
    yield "shifted", rng.normal(size=n) + 2, n
    yield "lognormal", rng.lognormal(0, 1, n), n
    yield "few", np.round(rng.normal(size=n) * 3), n
    yield "two", rng.choice([0.25, -1.0], n), n
    yield "small", rng.normal(size=n) * 1e-20, 3000
    yield "large", rng.normal(size=n) * 1e20, 3000
    yield "zeros first", np.concatenate([np.zeros(3000), rng.normal(size=9000)]), 3000
    yield "short", rng.normal(size=40), 40


def check(tool, name, seeds=(1,)):
    """(choices compared, those where another was as good)"""
    compared = others = 0
    for seed in seeds:
        for label, x, batch in samples(np.random.default_rng(seed)):
            x = np.asarray(x).ravel().astype(F32)
            p = [99.99, 99.9, 100.0, 50.0][compared // 3 % 4]
            width, above, below, ranges = run(tool, name, p, batch, x)
            expected = histogram(x, batch)
            assert width == float(expected[0]), (label, width, expected[0])
            assert np.array_equal(above, expected[1]) and np.array_equal(below, expected[2]), label
            edges, span = edges_of(width, len(above)), (x.min(), x.max())
            want = span_of(name, span, np.abs(x).max())
            assert ranges["max"][:2] == [float(v) for v in want], (label, ranges["max"], want)
            check_percentile(name, edges, above, below, span, p, ranges["percentile"])
            for method in (mse, entropy):
                same = check_search(label, name, method(name, edges, above, below, span), span,
                                    ranges[method.__name__])
                others += not same
            compared += 3
    return compared, others


if __name__ == "__main__":
    for format_name in sys.argv[2:] or FORMATS:
        print(format_name, *check(sys.argv[1], format_name, seeds=(1, 2)))
