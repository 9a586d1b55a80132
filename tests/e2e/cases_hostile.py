"""Hostile models: refused with exit 5 and one clear line, or accepted where that is right; never a
crash, never much time or memory, never an output."""
import functools
import re
import resource

from harness import MODELS, add_case

RECIPE = "mor 1\non linear { quantize(weight = int8 per channel) }\n"
SECONDS, BYTES = 10, 1 << 30


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 18, 1 << 18))


def hostile_case(path, box):
    recipe = box.write("r.mor", RECIPE)
    allowed = (0, 1, 5) if path.stem.startswith("any_") else 5
    done = box.morc(recipe, path, "-o", "out.onnx", status=allowed, timeout=SECONDS, preexec_fn=limits)
    left = box.files()
    if done.returncode == 0:
        assert left == ["out.onnx", "r.mor"], left
        return
    assert left == ["r.mor"], f"left behind: {left}"
    text = done.stderr.decode()
    errors = re.findall(r"^error\[(E\d{4})\]: (.+)$", text, re.M)
    assert len(errors) == 1, f"one diagnostic, not {len(errors)}: {text}"
    if done.returncode == 5:
        assert errors[0][0].startswith(("E10", "E11")), errors
        assert path.name in text or "`w`" in text, f"neither file nor tensor is named: {text}"


for _path in sorted((MODELS / "hostile").glob("*.onnx")):
    add_case(f"hostile/{_path.stem}", functools.partial(hostile_case, _path))


def inspect_case(path, box):
    """The other commands read models too."""
    allowed = (0, 5)
    for command in (["inspect", path], ["plan", box.write("r.mor", RECIPE), path]):
        box.morc(*command, status=(*allowed, 1), timeout=SECONDS, preexec_fn=limits)


for _path in sorted((MODELS / "hostile").glob("*.onnx")):
    add_case(f"hostile/inspect {_path.stem}", functools.partial(inspect_case, _path))
