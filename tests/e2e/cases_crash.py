"""Kills and full disks: the old output is intact or the new one complete, and the next run finds
nothing in its way. `KILLS` in the environment changes how many moments are tried."""
import functools
import hashlib
import os
import random
import resource
import signal
import subprocess
import time

from harness import MODELS, SETTINGS, Skip, add_case, case

MODEL = MODELS / "pylm-7m" / "model.onnx"
RECIPE = "mor 1\nemit qdq{}\non linear - head {{ quantize(weight = int8 per channel) }}\n"
KILLS = int(os.environ.get("KILLS", "300"))
SHARES = 3


def start(box, recipe):
    return subprocess.Popen([SETTINGS.morc, recipe, MODEL, "-o", "out.onnx", "-f"], cwd=box.dir,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def kill_case(share, external, box):
    recipe = box.write("r.mor", RECIPE.format(external))
    begin = time.monotonic()
    box.morc(recipe, MODEL, "-o", "out.onnx")
    duration = time.monotonic() - begin
    new = {p.name: digest(p) for p in box.dir.iterdir() if p.name != "r.mor"}
    assert "out.onnx" in new
    moments = random.Random(share)
    killed = replaced = 0
    for _ in range(KILLS // SHARES):
        old = box.write("out.onnx", moments.randbytes(2000))
        before = digest(old)
        child = start(box, recipe)
        time.sleep(moments.random() * duration * 1.1)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        after = digest(old)
        assert after in (before, new["out.onnx"]), "the output is torn"
        if after == new["out.onnx"]:
            replaced += 1
            for name, wanted in new.items():
                assert digest(box.dir / name) == wanted, f"{name} is torn"
    assert killed > KILLS // SHARES // 4, f"only {killed} runs were killed in time"
    box.morc(recipe, MODEL, "-o", "out.onnx", "-f")
    left = {p.name for p in box.dir.iterdir()}
    assert left == {"r.mor", *new}, f"left over: {left - set(new)}"
    print(f"   {killed} killed, {replaced} of {KILLS // SHARES} had replaced the output", flush=True)


for _share in range(SHARES - 1):
    add_case(f"crash/kill -9 at {KILLS // SHARES} moments, {_share + 1}", functools.partial(kill_case, _share, ""))
add_case(f"crash/kill -9 at {KILLS // SHARES} moments, with a data file",
         functools.partial(kill_case, SHARES, "(external = true)"))


@case("crash/a file size limit, as a stand-in for a full disk")
def size_limit(box):
    recipe = box.write("r.mor", RECIPE.format(""))
    old = box.write("out.onnx", "precious")
    for size in (0, 1, 4096, 1 << 20, 7 << 20):
        done = box.morc(recipe, MODEL, "-o", "out.onnx", "-f", status=5,
                        preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)))
        assert b"E1102" in done.stderr, done.stderr
        assert old.read_text() == "precious" and box.files() == ["out.onnx", "r.mor"], box.files()


@case("crash/a full disk")
def full_disk(box):
    recipe = box.write("r.mor", RECIPE.format(""))
    (box.dir / "disk").mkdir()
    script = ('mount -t tmpfs -o size=3m tmpfs disk && echo mounted && echo precious >disk/out.onnx && '
              '{ "$@"; echo "exit $?"; cat disk/out.onnx; ls -A disk; df --output=used disk; }')
    for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
        done = subprocess.run([*unshare, "sh", "-c", script, "sh", SETTINGS.morc, recipe, MODEL, "-o",
                               "disk/out.onnx", "-f"], cwd=box.dir, capture_output=True, timeout=60, check=False)
        if done.stdout.startswith(b"mounted"):
            break
    else:
        raise Skip("no tmpfs can be mounted here")
    lines = done.stdout.decode().split("\n")
    assert lines[1:4] == ["exit 5", "precious", "out.onnx"], (lines, done.stderr)
    assert int(lines[5]) <= 4, f"space is still taken: {lines}"
    assert b"E1102" in done.stderr, done.stderr


@case("crash/temporaries of dead runs are removed, those of live ones stay")
def stale(box):
    recipe = box.write("r.mor", RECIPE.format("(external = true)"))
    dead = subprocess.Popen(["true"])
    dead.wait()
    stems = (".out.onnx", ".out.data-" + "#" * 16)
    gone = [box.write(f"{stem}.mor-{dead.pid}-1.tmp", "left by a killed run") for stem in stems]
    kept = [box.write(f"{stem}.mor-{os.getpid()}-1.tmp", "in use") for stem in stems]
    kept.append(box.write(f".other.onnx.mor-{dead.pid}-1.tmp", "of another output"))
    box.morc(recipe, MODEL, "-o", "out.onnx")
    assert not [p for p in gone if p.exists()] and all(p.exists() for p in kept), box.files()
