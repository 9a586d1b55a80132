"""The command line: exit codes, what is written where, same bytes under any circumstances."""
import functools
import json
import os
import shutil
import signal
import subprocess
import time

from harness import MODELS, SETTINGS, add_case, case

PYLM = MODELS / "pylm-1m" / "model.onnx"
INT4 = "mor 1\n\non linear - head {\n  quantize(weight = int4 per block(128))\n}\n"


@case("cli/a pattern that matches nothing writes nothing")
def typo(box):
    recipe = box.write("r.mor", INT4.replace("head", '"**.lm_haed"'))
    done = box.morc(recipe, PYLM, "-o", "out.onnx", status=1)
    text = done.stderr.decode()
    assert "E0301" in text and "lm_head" in text and "lm_haed" in text, text
    assert box.files() == ["r.mor"], box.files()


@case("cli/the default output lies in the current directory")
def default_output(box):
    box.morc(box.write("r.mor", INT4), PYLM)
    assert box.files() == ["model.mor.onnx", "r.mor"], box.files()


@case("cli/an existing output needs -f")
def existing(box):
    recipe, out = box.write("r.mor", INT4), box.write("out.onnx", "precious")
    box.morc(recipe, PYLM, "-o", out, status=2)
    assert out.read_text() == "precious"
    box.morc(recipe, PYLM, "-o", out, "-f")
    assert out.stat().st_size > 1000


@case("cli/the input is never the output")
def in_place(box):
    model = box.dir / "model.onnx"
    shutil.copyfile(PYLM, model)
    for flags in ([], ["-f"]):
        box.morc(box.write("r.mor", INT4), model, "-o", model, *flags, status=(2, 5))
    assert model.read_bytes() == PYLM.read_bytes()


USAGE = {  # arguments: exit status, a word of the message
    ("paln", "r.mor", "m.onnx"): (2, "plan"),
    ("r.mor",): (2, ""),
    ("--no-such-flag", "r.mor", "m.onnx"): (2, "no-such-flag"),
    ("absent.mor", str(PYLM)): (5, "absent.mor"),
    ("r.mor", "absent.onnx"): (5, "absent.onnx"),
    ("r.mor", "."): (5, ""),
    ("r.mor", str(PYLM), "-o", "no/such/dir/out.onnx"): (5, "no/such/dir"),
    ("r.mor", str(PYLM), "-p", "nothing=1"): (1, "nothing"),
    ("explain", "E9999"): ((1, 2), "E9999"),
    ("--version",): (0, ""),
    ("--help",): (0, "morc"),
    ("explain", "E0301"): (0, "E0301"),
    ("check", "r.mor"): (0, ""),
    ("inspect", str(PYLM)): (0, "lm_head"),
    ("plan", "r.mor", str(PYLM)): (0, "int4"),
    ("r.mor", str(PYLM), "-n"): (0, "int4"),
    ("repl",): (2, ""),
}


def usage_case(arguments, status, word, box):
    box.write("r.mor", INT4)
    done = box.morc(*arguments, status=status)
    assert word in (done.stdout + done.stderr).decode(), (done.stdout, done.stderr)
    assert box.files() == ["r.mor"], box.files()


for _arguments, (_status, _word) in USAGE.items():
    _shown = " ".join(a.replace(str(PYLM), "MODEL") for a in _arguments)
    add_case(f"cli/morc {_shown}", functools.partial(usage_case, _arguments, _status, _word))


@case("cli/--json is one object a line and ends with the result")
def json_lines(box):
    done = box.morc(box.write("r.mor", INT4), PYLM, "-o", "out.onnx", "--json")
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert lines[-1]["type"] == "result" and lines[-1]["ok"] is True and lines[-1]["exit"] == 0, lines[-1]
    layers = [line for line in lines if line["type"] == "layer"]
    assert len(layers) == 28, len(layers)
    failed = box.morc(box.write("t.mor", INT4.replace("head", '"x.y"')), PYLM, "--json", status=1)
    lines = [json.loads(line) for line in failed.stdout.decode().splitlines()]
    found = [line["code"] for line in lines if line["type"] == "diagnostic"]
    assert found == ["E0301"] and lines[-1]["exit"] == 1, lines


@case("cli/an expectation that fails")
def expectation(box):
    text = INT4.replace("\n}", "\n  expect .cosine >= 0.99999\n}")
    done = box.morc(box.write("r.mor", text), PYLM, "-o", "out.onnx", status=3)
    assert b"E0901" in done.stderr, done.stderr
    assert box.files() == ["out.rejected.onnx", "r.mor"], box.files()
    box.morc(box.write("s.mor", INT4 + "\nexpect bits <= 3\n"), PYLM, "-o", "s.onnx", status=3)
    assert not (box.dir / "s.onnx").exists()


@case("cli/a recipe from -e, from standard input, with a parameter")
def other_recipes(box):
    plain = box.compress(INT4.removeprefix("mor 1\n"), PYLM).read_bytes()
    box.morc("-e", "on linear - head { quantize(weight = int4 per block(128)) }", PYLM, "-o", "e.onnx")
    text = "mor 1\nparam wide: int = 64\n" + INT4.removeprefix("mor 1\n").replace("128", "wide")
    box.morc(box.write("p.mor", text), PYLM, "-o", "p.onnx", "-p", "wide=128")
    command = [SETTINGS.morc, "-", PYLM, "-o", "stdin.onnx"]
    subprocess.run(command, input=INT4.encode(), cwd=box.dir, check=True, capture_output=True, timeout=60)
    import onnx
    from weights import weights
    expected = [w.codes for w in weights(onnx.ModelProto.FromString(plain))]
    for name in ("e.onnx", "p.onnx", "stdin.onnx"):
        actual = [w.codes for w in weights(box.dir / name)]
        assert all((a is None and b is None) or (a == b).all() for a, b in zip(actual, expected, strict=True)), name


@case("cli/fmt is idempotent and --check agrees")
def formatting(box):
    ugly = box.write("u.mor", "mor   1\n\n\n\non linear-head{quantize( weight=int8 per channel )}  # why\n")
    box.morc("fmt", "--check", ugly, status=1)
    box.morc("fmt", ugly)
    once = ugly.read_bytes()
    assert b"# why" in once
    box.morc("fmt", ugly)
    assert ugly.read_bytes() == once
    box.morc("fmt", "--check", ugly)


@case("cli/a model behind a symbolic link")
def linked(box):
    """As a Hugging Face cache lays files out: the name is a link to a blob."""
    (box.dir / "blobs").mkdir()
    shutil.copyfile(PYLM, box.dir / "blobs" / "ab12")
    (box.dir / "model.onnx").symlink_to("blobs/ab12")
    box.morc(box.write("r.mor", INT4), "model.onnx", "-o", "out.onnx")
    assert (box.dir / "blobs" / "ab12").read_bytes() == PYLM.read_bytes()


MANY = "mor 1\non linear {\n  prune(2:4)\n  quantize(weight = %s)\n  expect .cosine >= 0.1\n}\n"
CIRCUMSTANCES = [
    (["--threads", "1"], {}), (["--threads", "2"], {}), (["--threads", "3"], {}), (["--threads", "8"], {}),
    (["--memory", "8MiB"], {}), (["--threads", "3"], {"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR.UTF-8"}),
    ([], {"TZ": "Pacific/Auckland", "HOME": "/nonexistent"}), ([], {"MORC_CACHE": "/nonexistent", "MORC_PATH": "/"}),
]


def same_bytes(format_text, model, box):
    recipe = box.write("r.mor", MANY % format_text)
    first = None
    for i, (flags, environment) in enumerate(CIRCUMSTANCES):
        box.morc(recipe, model, "-o", "out.onnx", "-f", *flags, env=environment)
        data = (box.dir / "out.onnx").read_bytes()
        first = first or data
        assert data == first, f"run {i} {flags} {environment} gives other bytes"


for _format in ("int8", "int4 per block(32)", "nvfp4", "uint8 per channel"):
    add_case(f"cli/same bytes: pylm-7m {_format}",
             functools.partial(same_bytes, _format, MODELS / "pylm-7m" / "model.onnx"))


@case("cli/the mode of an output follows the umask")
def umask(box):
    recipe = box.write("r.mor", INT4)
    for mask, mode in ((0o022, 0o644), (0o077, 0o600)):
        box.morc(recipe, PYLM, "-o", "out.onnx", "-f", preexec_fn=functools.partial(os.umask, mask))
        assert (box.dir / "out.onnx").stat().st_mode & 0o777 == mode, oct((box.dir / "out.onnx").stat().st_mode)
        (box.dir / "out.onnx").unlink()


@case("cli/doctor says what works on this machine, whatever it is")
def doctor(box):
    flags = ["--cache-dir", box.dir / "cache"]
    lines = box.morc("doctor", *flags).stdout.decode().splitlines()
    parts = [line[:13].rstrip() for line in lines]
    assert parts[:3] == ["morc", "processor", "driver"] and parts[-2:] == ["confinement", "engine"], lines
    assert all(len(line) > 14 and line[13] == " " != line[14] for line in lines), lines
    objects = [json.loads(line) for line in box.morc("doctor", "--json", *flags).stdout.splitlines()]
    assert [o["part"] for o in objects[:-1]] == parts, objects
    assert objects[-1]["type"] == "result" and objects[-1]["ok"], objects
    # exit 0 or 4 as this machine has a GPU or not; the host needs none
    box.morc("doctor", "--device", "cuda", *flags, status=(0, 4))
    assert box.files() == ["cache", "cache/kernels"], box.files()
    done = box.morc("doctor", "--device", "host")
    assert [line[:13].rstrip() for line in done.stdout.decode().splitlines()] == parts[:2] + ["engine"], done.stdout


@case("cli/doctor can be interrupted while a driver hangs")
def doctor_hangs(box):
    fake = {"LD_LIBRARY_PATH": str(SETTINGS.morc.parent / "fake"), "FAKE_CUDA": "cuInit:1:hang"}
    child = subprocess.Popen([SETTINGS.morc, "doctor"], cwd=box.dir, env={**os.environ, **fake},
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=5) == 128 + signal.SIGINT, child.returncode
    time.sleep(0.1)
    try:
        os.killpg(child.pid, 0)  # the process that asked the driver is gone, too
    except ProcessLookupError:
        return
    raise AssertionError("a process is left")


@case("cli/interrupts end within a second and leave nothing")
def interrupts(box):
    recipe = box.write("r.mor", INT4)
    model = MODELS / "pylm-7m" / "model.onnx"
    interrupted = 0
    for number in range(40):
        sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
        child = subprocess.Popen([SETTINGS.morc, recipe, model, "-o", "out.onnx"], cwd=box.dir,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.002 * number)
        child.send_signal(sent)
        status = child.wait(timeout=2)
        # before the handler is in place the signal itself ends the process
        assert status in (0, 128 + sent, -sent), status
        interrupted += status == 128 + sent
        left = [f for f in box.files() if f != "r.mor"]
        assert left in ([], ["out.onnx"]) and (not left or status in (0, 128 + sent)), (left, status)
        (box.dir / "out.onnx").unlink(missing_ok=True)
    assert interrupted >= 5, f"only {interrupted} of 40 runs were interrupted"
