#!/usr/bin/env python3
"""On a GPU, what the tests without one cannot show: gpu_test.py MORC GPU_BITS_TEST [PART...]

recipes: every recipe gives the host's bytes; memory: with 256 MiB of device memory left, too;
sanitizer: compute-sanitizer finds no bad access and no race in random kernels.
"""
import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEFT, SLACK = 256 << 20, 16 << 20  # contexts differ by a few MiB
INT4 = "mor 1\n\non linear {\n  quantize(weight = int4 per block(128))\n}\n"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def tell(name, problem=None):
    counts["failed" if problem else "passed"] += 1
    print(f"{'FAIL' if problem else 'ok'} {name}{': ' + problem if problem else ''}", flush=True)


def skip(name, why):
    counts["skipped"] += 1
    print(f"skip {name}: {why}", flush=True)


def morc(*words):
    done = subprocess.run([str(w) for w in (MORC, *words)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def outputs(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def same_bytes(recipe, model, *flags):
    """A problem, or None."""
    found = []
    for device in ("host", "cuda"):
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
            status, said = morc(recipe, model, "-o", pathlib.Path(folder) / "out.onnx", "--device", device, *flags)
            if status not in (0, 1):  # 1: a result that the recipe expects is missed
                return f"{device}: exit {status}: {said}"
            if "there is nothing to compute" in said and flags:
                pass  # every weight was solved, on the host
            elif device == "cuda" and ("W1107" in said or "device cuda" not in said):
                return f"the GPU did not do it: {said}"
            found.append(outputs(pathlib.Path(folder)))
    if len(found[0]) < 1 or found[0] != found[1]:
        return f"{found[0]} on the host, {found[1]} on the GPU"
    return None


def same_with_data(recipe, model, data):
    """The engine's own device would change the statistics: the GPU takes those of the host's run."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        return same_bytes(recipe, model, "--data", f"calib={data}", "--stats", pathlib.Path(folder) / "kept.morstat")


def of_pictures(names, has_engine):
    """Recipes of convolutional nets and diffusion models, on a small UNet and a small transformer."""
    sys.path.insert(0, str(ROOT / "tests/tools"))
    import make_diffusion
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        made = pathlib.Path(folder)
        make_diffusion.write(made)
        for name in names:
            for stem in ("unet",) if name.startswith("conv_") else ("unet", "dit"):
                if has_engine:
                    recipe = ROOT / "recipes" / f"{name}.mor"
                    tell(f"recipe/{stem}/{name}", same_with_data(recipe, made / f"{stem}.onnx", made / f"{stem}.npz"))
                else:
                    skip(f"recipe/{stem}/{name}", "it needs an engine, and there is none")


def recipes():
    has_engine = "ONNX Runtime is not installed" not in morc("doctor")[1]
    names = [recipe.stem for recipe in sorted((ROOT / "recipes").glob("*.mor"))]
    pictures = [name for name in names if name.startswith(("conv_", "diffusion_"))]
    of_pictures(pictures, has_engine)
    for model in ("pylm-1m", "pylm-7m"):
        path = next((p for p in (ROOT / "tests/models" / model / "model.onnx",
                                 ROOT / "build/models" / model / "model.onnx") if p.exists()), None)
        for stem in (name for name in names if name not in pictures):
            name, recipe = f"recipe/{model}/{stem}", ROOT / "recipes" / f"{stem}.mor"
            with_data = "calibrate" in recipe.read_text(encoding="utf-8")
            if path is None:
                skip(name, "the model is not unpacked: ./dev setup")
            elif with_data and not has_engine:
                skip(name, "it needs an engine, and there is none")
            elif with_data:
                tell(name, same_with_data(recipe, path, path.with_name("calib.npz")))
            else:
                tell(name, same_bytes(recipe, path))


def hog():
    """Takes all but LEFT and what another context needs, says so, and waits to be told to end."""
    cuda, context, address = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_uint64()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    smi = "nvidia-smi --query-gpu=memory.free --format=csv,noheader,nounits -i 0".split()
    before = int(subprocess.run(smi, capture_output=True, text=True, check=True).stdout) << 20
    status = cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
    status = status or cuda.cuCtxSetCurrent(context)
    status = status or cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    if status:
        sys.exit(f"CUDA error {status}")
    left = LEFT - SLACK + before - free.value
    for size in (1 << 30, 64 << 20, 2 << 20):
        while free.value > left + size and cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size)) == 0:
            cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    print(free.value >> 20, flush=True)
    sys.stdin.read()


def memory():
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        recipe, model = pathlib.Path(folder) / "int4.mor", pathlib.Path(folder) / "big.onnx"
        recipe.write_text(INT4, encoding="ascii")
        subprocess.run([sys.executable, ROOT / "tests/bench/make_big_onnx.py", "1", model], check=True,
                       stdout=subprocess.DEVNULL)
        child = subprocess.Popen([sys.executable, __file__, "hog"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        if not child.stdout.readline():
            tell("memory", "the device's memory could not be taken")
            return
        free = re.search(r"([0-9.]+) (MiB|GiB) free", morc("doctor")[1])
        least = float(free.group(1)) if free and free.group(2) == "MiB" else 1e9
        problem = same_bytes(recipe, model)
        child.communicate("")
        tell(f"memory ({least:.0f} MiB free)", problem or (None if least <= LEFT >> 20 else "that is too much"))


def sanitizer():
    tool = shutil.which("compute-sanitizer")
    for check in ("memcheck", "racecheck"):
        if tool is None:
            skip(f"sanitizer/{check}", "compute-sanitizer is not installed")
            continue
        done = subprocess.run([tool, "--tool", check, "--error-exitcode", "9", "--target-processes",
                               "application-only", BITS, "random_kernels"], capture_output=True, text=True,
                              check=False, env={**os.environ, "GPU_KERNELS": "60"})
        clean = done.returncode == 0 and "acts on the GPU equal" in done.stdout + done.stderr
        tell(f"sanitizer/{check}", None if clean else (done.stdout + done.stderr)[-2000:])


if __name__ == "__main__":
    if sys.argv[1:] == ["hog"]:
        hog()
        sys.exit(0)
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    MORC, BITS = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    for part in sys.argv[3:] or ("recipes", "memory", "sanitizer"):
        {"recipes": recipes, "memory": memory, "sanitizer": sanitizer}[part]()
    print("cases: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    sys.exit(counts["failed"] > 0)
