"""Files of data as numpy, zipfile and safetensors write them, described by morc; hostile ones."""
import io
import json
import resource
import zipfile

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from harness import MODELS, case

NUMBERS = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
LM = MODELS / "pylm-1m" / "model.onnx"


def values(dtype, shape, seed=3):
    random = np.random.default_rng(seed)
    if dtype == "b1":
        return random.integers(0, 2, shape).astype(bool)
    if dtype[0] == "f":
        return random.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def described(box, *files, **options):
    done = box.morc("data", "describe", "--json", *files, **options)
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return {line["name"]: line for line in lines if line["type"] == "array"}


def agree(row, array):
    """The row of --json against numpy."""
    assert row["shape"] == list(array.shape), row
    assert row["dtype"] == array.dtype.newbyteorder("=").name, (row["dtype"], array.dtype)
    assert row["samples"] == (array.shape[0] if array.ndim else 1)
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    assert row["not_finite"] == array.size - finite.size
    if finite.size == 0:
        assert row["min"] is None and row["max"] is None and row["mean"] is None
        return
    assert row["min"] == finite.min() and row["max"] == finite.max(), row
    mean = finite.astype(np.float64).mean()
    assert abs(row["mean"] - mean) <= 1e-9 * max(1, np.abs(finite.astype(np.float64)).max()), (row, mean)


def every_array():
    arrays = {}
    for dtype in NUMBERS:
        for order in "<>":
            arrays[f"{dtype}{'le' if order == '<' else 'be'}"] = values(dtype, (7, 3, 5)).astype(
                np.dtype(dtype).newbyteorder(order))
        arrays[f"{dtype}fortran"] = np.asfortranarray(values(dtype, (7, 3, 5)))
        arrays[f"{dtype}scalar"] = values(dtype, ())
        arrays[f"{dtype}none"] = values(dtype, (0, 4))
        arrays[f"{dtype}row"] = values(dtype, (9000,))
    arrays["nan"] = np.array([1, np.nan, np.inf, -2], np.float32)
    arrays["größe/Δ"] = values("f4", (2, 2))
    return arrays


@case("data/npy")
def npy(box):
    for name, array in every_array().items():
        path = box.dir / (name.replace("/", "_") + ".npy")
        np.save(path, array)
        agree(described(box, path)[""], array)


def check_npz(box, path, arrays):
    rows = described(box, path)
    assert set(rows) == set(arrays), set(rows) ^ set(arrays)
    for name, array in arrays.items():
        agree(rows[name], array)


@case("data/npz")
def npz(box):
    arrays = every_array()
    np.savez(box.dir / "stored.npz", **arrays)
    np.savez_compressed(box.dir / "deflated.npz", **arrays)
    check_npz(box, box.dir / "stored.npz", arrays)
    check_npz(box, box.dir / "deflated.npz", arrays)
    np.savez(box.dir / "empty.npz")
    assert described(box, box.dir / "empty.npz") == {}


class Pipe(io.RawIOBase):
    """A file that cannot seek: zipfile writes data descriptors into it."""

    def __init__(self):
        super().__init__()
        self.bytes = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def zipped(members, limit=None, **options):
    old, out = zipfile.ZIP64_LIMIT, Pipe()
    zipfile.ZIP64_LIMIT = limit or old
    try:
        with zipfile.ZipFile(out, "w", **options) as archive:
            for name, array in members.items():
                data = io.BytesIO()
                np.save(data, array)
                with archive.open(name + ".npy", "w") as member:
                    member.write(data.getvalue())
    finally:
        zipfile.ZIP64_LIMIT = old
    return bytes(out.bytes)


@case("data/zip64 and descriptors")
def odd_zips(box):
    arrays = {"x": values("f4", (40, 3)), "größe": values("i8", (2, 2)), "none": values("u1", (0,))}
    for number, options in enumerate(({}, {"compression": zipfile.ZIP_DEFLATED})):
        path = box.write(f"pipe{number}.npz", zipped(arrays, **options))
        assert path.read_bytes()[6] & 8, "no data descriptor"
        check_npz(box, path, arrays)
    seekable = box.dir / "big.npz"
    old = zipfile.ZIP64_LIMIT
    zipfile.ZIP64_LIMIT = 16  # the records of 4 GiB in a file of 1 KiB
    try:
        np.savez(seekable, **arrays)
    finally:
        zipfile.ZIP64_LIMIT = old
    assert b"PK\x06\x06" in seekable.read_bytes(), "no zip64 directory"
    check_npz(box, seekable, arrays)


@case("data/safetensors")
def safetensors(box):
    arrays = {name: array for name, array in every_array().items()
              if array.dtype.isnative and not name.endswith("fortran")}
    save_file({name: np.array(array, order="C") for name, array in arrays.items()}, box.dir / "a.safetensors",
              metadata={"format": "np"})
    rows = described(box, box.dir / "a.safetensors")
    assert set(rows) == set(arrays)
    for name, array in arrays.items():
        agree(rows[name], array)
    brain = np.array([1.5, -2, 300], ml_dtypes.bfloat16)
    save_file({"b": brain}, box.dir / "b.safetensors")
    row = described(box, box.dir / "b.safetensors")["b"]
    assert (row["dtype"], row["min"], row["max"]) == ("bfloat16", -2, 300), row


def refused(box, path, code, text):
    done = box.morc("data", "describe", path, status=5)
    said = done.stderr.decode()
    assert f"error[{code}]" in said and text in said, said
    assert said.count("error[") == 1, said


@case("data/refused")
def refusals(box):
    box.write("x", "")
    for name, array, code, text in (
            ("object", np.array([1, "x", None], dtype=object), "E0705", "pickle"),
            ("complex", np.zeros(3, np.complex64), "E0704", "complex"),
            ("text", np.array(["a", "bc"]), "E0704", "strings"),
            ("dates", np.array(["2020-01-01"], "M8[D]"), "E0704", "dates"),
            ("fields", np.zeros(2, [("a", "<f4"), ("b", "<i4")]), "E0704", "structure"),
            ("brain", np.zeros(2, ml_dtypes.bfloat16), "E0704", "bfloat16"),
            ("deep", np.zeros((1,) * 40), "E0704", "32 dimensions")):
        np.save(box.dir / f"{name}.npy", array, allow_pickle=True)
        refused(box, box.dir / f"{name}.npy", code, text)
        if name != "deep":
            np.savez(box.dir / f"{name}.npz", good=np.zeros(2), bad=array)
            refused(box, box.dir / f"{name}.npz", code, "bad")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = box.write(f"method{method}.npz", zipped({"x": np.zeros(9)}, compression=method))
        refused(box, path, "E0704", f"method {method}")
    with zipfile.ZipFile(box.dir / "torch.npz", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    refused(box, box.dir / "torch.npz", "E0705", "data.pkl")
    save_file({"x": np.zeros(4, ml_dtypes.float8_e4m3fn)}, box.dir / "f8.safetensors")
    refused(box, box.dir / "f8.safetensors", "E0704", "F8_E4M3")


def small():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))


@case("data/damaged")
def damaged(box):
    """Cut and changed everywhere: refused, or read as what it is; never a crash."""
    arrays = {"x": values("f4", (40, 3)), "y": values("i4", (5,))}
    save_file(arrays, box.dir / "a.safetensors")
    np.save(box.dir / "a.npy", arrays["x"])
    np.savez_compressed(box.dir / "a.npz", **arrays)
    random = np.random.default_rng(1)
    for kind in ("safetensors", "npy", "npz"):
        whole = (box.dir / f"a.{kind}").read_bytes()
        hurt = [whole[:n] for n in random.integers(0, len(whole), 25)]
        for _ in range(60):
            copy = bytearray(whole)
            copy[random.integers(0, len(whole))] ^= 1 << random.integers(0, 8)
            hurt.append(bytes(copy))
        paths = [box.write(f"hurt{i}.{kind}", data) for i, data in enumerate(hurt)]
        done = box.morc("data", "describe", *paths, status=5, preexec_fn=small)
        assert done.stderr.count(b"error[") >= 25, done.stderr


@case("data/bomb")
def bomb(box):
    """A member that says 4 GiB and holds zeros: the disk's limit stops it, nothing is left."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 30,)})
    path = box.dir / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(64):
                member.write(bytes(1 << 20))
    refused(box, path, "E0704", "4.0 GiB")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            np.save(member, np.zeros(40 << 18, np.float32))
    scratch = box.dir / "scratch"
    scratch.mkdir()
    done = box.morc("data", "describe", path, status=5, env={"TMPDIR": str(scratch)},
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20)))
    assert b"E1102" in done.stderr and b"File too large" in done.stderr, done.stderr
    assert not list(scratch.iterdir())


@case("data/memory")
def memory(box):
    """100 MB, stored and deflated, in 48 MiB of memory of its own (mappings of files are none)."""
    big = np.zeros((25, 1 << 20), np.float32)
    big[:, 7] = np.arange(25)
    np.save(box.dir / "big.npy", big)
    np.savez_compressed(box.dir / "big.npz", x=big)
    np.save(box.dir / "fortran.npy", np.asfortranarray(big))
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (48 << 20, 48 << 20))
    for name in ("big.npy", "big.npz", "fortran.npy"):
        rows = described(box, box.dir / name, env={"TMPDIR": str(box.dir)}, preexec_fn=limit)
        assert [row["max"] for row in rows.values()] == [24]
    assert sorted(box.files()) == ["big.npy", "big.npz", "fortran.npy"]


@case("data/model")
def model(box):
    ids = np.random.default_rng(2).integers(0, 90, (6, 16)).astype(np.int32)
    np.savez(box.dir / "good.npz", input_ids=ids, labels=ids[:, 0])
    done = box.morc("data", "describe", box.dir / "good.npz", LM)
    assert b"fits input_ids" in done.stdout and b"converted exactly" in done.stdout, done.stdout
    np.savez(box.dir / "bad.npz", input_idz=ids)
    done = box.morc("data", "describe", box.dir / "bad.npz", LM, status=1)
    assert b"did you mean `input_ids`" in done.stderr, done.stderr
    np.savez(box.dir / "counts.npz", input_ids=ids, labels=ids[:3, 0])
    done = box.morc("data", "describe", box.dir / "counts.npz", LM, status=1)
    assert b"input_ids has 6 samples, labels has 3" in done.stderr, done.stderr
