"""The GPU path without a GPU: every recipe on the driver for tests (tests/fake) gives the host's
bytes, whatever fails; every kernel of every recipe compiles for every architecture that NVRTC
knows, within its registers; and the emitted text holds nothing but what it may."""
import functools
import glob
import os
import re
import signal
import subprocess
import time

from harness import MODELS, ROOT, SETTINGS, Skip, add_case, case

# On weights alone; those with data make their kernels of the same formats (gpu/bytes with data).
RECIPES = [p for p in sorted((ROOT / "recipes").glob("*.mor")) if "calibrate" not in p.read_text(encoding="utf-8")]
LANGUAGE = MODELS / "pylm-1m/model.onnx"
# A kernel that spills a little in the shadow of its loads is faster than one with fewer warps.
MOST_REGISTERS, MOST_SPILLED = 255, 64
# What a text may hold, line by line (runtime/device/gpu_text.c).
LINES = [re.compile(p) for p in (
    r"/\* (encode|ranges|errors): (float32|float16|bfloat16)(, [a-z0-9 ]+)* \*/",
    r'#include "kernels/format/(u?int[248]|e[0-9]m[0-9])\.h"',
    r'#include "kernels/gpu/(rows|row|columns|plain|survey)\.h"',
    r"#define (SOURCE|SCALE) K_(FLOAT|FLOAT16|BFLOAT16|E4M3|E8M0)",
    r"#define ELEMENT (u?int[248]|e[0-9]m[0-9])",
    r"#define (THREADS|RESIDENT|SEARCH|METRICS|KEEP|GROUP|BLOCK|BLOCKS|UNITS|ALIGN|TEAM|GIVEN|FLAT"
    r"|NBITS|RATIO|COLUMNS) [0-9]+",
    r"// kernel [0-9]+ of [0-9]+: [a-z]+, run by [0-9]+ tensors?",
    r"")]


def fake(**variables):
    """An environment in which libcuda and NVRTC are those for tests."""
    return {"LD_LIBRARY_PATH": str(SETTINGS.morc.parent / "fake"), **variables}


def nvrtc():
    found = glob.glob(str(ROOT / "build/venv/lib/python3*/site-packages/nvidia/cu*/lib"))
    if not found:
        raise Skip("NVRTC is not in build/venv")
    return {"LD_LIBRARY_PATH": found[0]}


def same_bytes(box, recipe, model, env, *flags, data=()):
    box.morc(recipe, model, "-q", "-f", "-o", box.dir / "host.onnx", "--device", "host", *data)
    box.morc(recipe, model, "-q", "-f", "-o", box.dir / "gpu.onnx", "--cache-dir", box.dir / "cache",
             *flags, *data, env=env)
    assert (box.dir / "host.onnx").read_bytes() == (box.dir / "gpu.onnx").read_bytes()


def recipe_case(recipe, box):
    same_bytes(box, recipe, LANGUAGE, fake(), "--device", "cuda")


def text_case(recipe, box):
    for model in (LANGUAGE, MODELS / "ppocr/ch_PP-OCRv4_rec_infer.onnx"):
        text = box.morc("-d", "cuda", recipe, model, status=(0, 1)).stdout.decode()
        assert text or model != LANGUAGE  # E0501: some blocks do not divide there
        for line in text.splitlines():
            assert any(pattern.fullmatch(line) for pattern in LINES), line


def architectures(box):
    said = box.morc("doctor", "--cache-dir", box.dir / "cache", env=nvrtc()).stdout.decode()
    assert "sm_75 to sm_121" in said, said
    return [75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121]


def compile_case(recipe, box):
    compiled = 0
    for arch in architectures(box):
        target = f"sm_{arch}"
        said = box.morc("plan", "--kernels", recipe, LANGUAGE, "--target", target, env=nvrtc(),
                        timeout=300, status=(0, 1)).stdout.decode()
        if not said:  # E0503: the recipe has no sense there
            continue
        assert f"compiled for {target}" in said, said
        rows = re.findall(r": (\d+) registers, \d+ bytes shared, (\d+) spilled", said)
        assert rows, said
        for registers, spilled in rows:
            assert int(registers) <= MOST_REGISTERS and int(spilled) <= MOST_SPILLED, said
        compiled += len(rows)
    assert compiled >= 8


for _recipe in RECIPES:
    add_case(f"gpu/bytes {_recipe.stem}", functools.partial(recipe_case, _recipe))
    add_case(f"gpu/text {_recipe.stem}", functools.partial(text_case, _recipe))
    add_case(f"gpu/compile {_recipe.stem}", functools.partial(compile_case, _recipe))


@case("gpu/bytes with data")
def with_data(box):
    """Scales of inputs do not ask where weights are encoded; what awq changes is no kernel's."""
    for recipe in ("fp8_static", "int8_static", "int4_awq"):
        same_bytes(box, ROOT / f"recipes/{recipe}.mor", LANGUAGE, fake(), "--device", "cuda", "--stats",
                   box.dir / "host.morstat", data=("--data", f"calib={MODELS / 'pylm-1m/calib.npz'}"))


@case("gpu/an engine without CUDA is named")
def engine_on_host(box):
    """The compile child was forked before the engine's threads began: the kernels are the GPU's all the same."""
    said = box.morc(ROOT / "recipes/fp8_static.mor", LANGUAGE, "-o", box.dir / "out.onnx", "--device", "cuda",
                    "--cache-dir", box.dir / "cache", "--data", f"calib={MODELS / 'pylm-1m/calib.npz'}", env=fake())
    said = (said.stdout + said.stderr).decode()
    assert "the engine does not use the GPU: ONNX Runtime" in said and "is built without CUDA" in said, said
    assert "device cuda:0" in said, said


@case("gpu/convolutions")
def convolutions(box):
    """Many shapes, most of them odd."""
    recipe = box.write("r.mor", "mor 1\non conv { quantize(weight = int8 per channel) }\n")
    same_bytes(box, recipe, MODELS / "ppocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", fake(), "--device", "cuda")


@case("gpu/half precision")
def half_precision(box):
    recipe = box.write("r.mor", "mor 1\non (linear | conv)? { quantize(weight = fp8 per channel) }\n")
    same_bytes(box, recipe, MODELS / "silero/silero_vad_half.onnx", fake(), "--device", "cuda")


@case("gpu/least memory")
def least_memory(box):
    """256 MiB of the GPU's memory, and then nearly none: lanes go, bytes stay."""
    for memory in (256 << 20, 34 << 20, 1 << 20):
        same_bytes(box, ROOT / "recipes/int4.mor", LANGUAGE, fake(FAKE_CUDA_MEMORY=str(memory)),
                   "--device", "cuda")


@case("gpu/late streams")
def late_streams(box):
    """Streams that do their work as late as they may, threads in another order."""
    same_bytes(box, ROOT / "recipes/nvfp4.mor", LANGUAGE,
               fake(FAKE_CUDA_DEFER="1", FAKE_CUDA_SEED="5"), "--device", "cuda")


@case("gpu/auto")
def auto(box):
    """A small model is the host's; a large one too where there is no GPU; each says why."""
    recipe = ROOT / "recipes/int8.mor"
    out = box.dir / "out.onnx"
    said = box.morc(recipe, LANGUAGE, "-f", "-o", out, env=fake()).stderr.decode()
    assert re.search(r"device host: .* take less time than a GPU takes to start", said), said
    said = box.morc(recipe, LANGUAGE, "-f", "-o", out, "--device", "cuda", "--cache-dir", box.dir / "c",
                    env=fake()).stderr.decode()
    assert re.search(r"device cuda:0: Fake GPU \(sm_90\), 2 kernels compiled", said), said
    said = box.morc(recipe, LANGUAGE, "-f", "-o", out, "--device", "cuda", "--cache-dir", box.dir / "c",
                    env=fake()).stderr.decode()
    assert "2 kernels from the cache" in said, said


@case("gpu/missing pieces")
def missing_pieces(box):
    """No driver, too old a driver, no NVRTC, an unknown GPU: --device cuda is exit 4 and says which."""
    recipe, out = ROOT / "recipes/int8.mor", box.dir / "out.onnx"
    folder = box.dir / "lib"
    folder.mkdir()
    (folder / "libcuda.so.1").symlink_to(SETTINGS.morc.parent / "fake/libcuda.so.1")
    for env, expected in (
            ({"LD_LIBRARY_PATH": ""}, "libcuda.so.1"),
            ({"LD_LIBRARY_PATH": str(SETTINGS.morc.parent / "fake/old")}, "CUDA"),
            (fake(FAKE_CUDA_VERSION="11040"), "11.4"),
            (fake(FAKE_CUDA_DEVICES="0"), "no CUDA-capable device"),
            (fake(FAKE_CUDA_CAPABILITY="6.1"), "sm_61")):
        said = box.morc(recipe, LANGUAGE, "-o", out, "--device", "cuda", "--cache-dir", box.dir / "c",
                        status=4, env=env).stderr.decode()
        assert "E1106" in said and expected in said, said
        assert not out.exists()


def temporaries(box):
    return [name for name in box.files() if ".mor-" in name]


@case("gpu/killed")
def killed(box):
    """kill -9 and Ctrl-C in the middle of a run: old output or new, no child, no lock in the cache."""
    recipe, out, cache = ROOT / "recipes/int4.mor", box.dir / "out.onnx", box.dir / "cache"
    env = {**os.environ, **fake()}
    box.morc(recipe, LANGUAGE, "-q", "-o", out, "--device", "cuda", "--cache-dir", cache, env=fake())
    whole = out.read_bytes()
    for i in range(12):
        number = signal.SIGKILL if i % 2 else signal.SIGINT
        command = [SETTINGS.morc, recipe, LANGUAGE, "-q", "-f", "-o", out, "--device", "cuda",
                   "--cache-dir", cache]
        run = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
        time.sleep(0.02 + 0.03 * i)
        run.send_signal(number)
        run.wait(timeout=60)
        assert out.read_bytes() == whole
        deadline = time.monotonic() + 10
        while alive(run.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(run.pid), "a child outlived its parent"
    same_bytes(box, recipe, LANGUAGE, fake(), "--device", "cuda")
    assert not temporaries(box)


def alive(session):
    """Whether any process of the session is left."""
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat, encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


@case("gpu/bench")
def bench(box):
    """morc bench keeps nothing and names each part of the time."""
    said = box.morc("bench", ROOT / "recipes/int4.mor", LANGUAGE, "--device", "cuda", "--cache-dir",
                    box.dir / "cache", env=fake()).stdout.decode()
    for part in ("read", "to the GPU", "kernels", "from the GPU", "write", "sync", "before the sync"):
        assert part in said, said
    assert [name for name in box.files() if not name.startswith("cache")] == []
