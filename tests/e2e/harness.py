"""A small test runner: cases, a way to run morc, and the checks that hold for every run of it.

A case is a function marked `@case("name")`, or added with `add_case`; it gets a `Box` and fails by
any exception, is skipped by `raise Skip(reason)`. Cases run in processes of their own, several at
a time. Whatever a case does: morc never dies by a signal of its own making, never prints a control
character, and the test models stay as they are (compared at the end of the run).
"""
import argparse
import hashlib
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "build" / "models"
CASES = {}
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
SETTINGS = argparse.Namespace(morc=ROOT / "build/release/morc", scratch=ROOT / "build/test/e2e")


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


def add_case(name, function):
    assert name not in CASES, name
    CASES[name] = function


def case(name):
    def add(function):
        add_case(name, function)
        return function
    return add


class Box:
    """The scratch directory of one case and the commands it runs there."""

    def __init__(self, name):
        self.dir = SETTINGS.scratch / name.replace("/", "_")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)

    def write(self, name, text):
        path = self.dir / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def morc(self, *arguments, status=0, timeout=120, **options):
        """Runs morc; its exit status must be `status` (a number or several)."""
        command = [str(SETTINGS.morc), *map(str, arguments)]
        environment = {**os.environ, "NO_COLOR": "1", "LC_ALL": "C", **options.pop("env", {})}
        done = subprocess.run(command, cwd=options.pop("cwd", self.dir), env=environment,
                              capture_output=True, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, **options)
        said = (done.stdout + done.stderr).decode(errors="replace")
        allowed = status if isinstance(status, tuple) else (status,)
        assert done.returncode in allowed, f"exit {done.returncode}, not {status}: {said[-2000:]}"
        found = CONTROL.search(done.stdout + done.stderr)
        assert not found, f"a control character was printed: {found.group()!r} in {said[-2000:]!r}"
        return done

    def compress(self, recipe, model, output="out.onnx", *flags, **options):
        """Runs a recipe given as text; the path of the model written."""
        path = self.write("recipe.mor", "mor 1\n" + recipe)
        self.morc(path, model, "-o", self.dir / output, *flags, **options)
        return self.dir / output

    def files(self):
        return sorted(str(p.relative_to(self.dir)) for p in self.dir.rglob("*"))


def run_case(name):
    begin = time.monotonic()
    try:
        box = Box(name)
        CASES[name](box)
        shutil.rmtree(box.dir)
        verdict, text = "ok", ""
    except Skip as reason:
        verdict, text = "skip", str(reason)
    except Exception:  # pylint: disable=broad-except
        verdict, text = "FAIL", traceback.format_exc(limit=-3)
    return name, verdict, text, time.monotonic() - begin


def fingerprint(path):
    """sha256, mode and modification time of a file; None when it is gone."""
    if not path.exists():
        return None
    info = path.stat()
    return hashlib.sha256(path.read_bytes()).digest(), info.st_mode, info.st_mtime_ns


def main():
    parser = argparse.ArgumentParser(description="runs morc from outside, against ONNX Runtime")
    parser.add_argument("-j", type=int, default=2, help="cases at a time")
    parser.add_argument("--morc", type=pathlib.Path, default=SETTINGS.morc)
    parser.add_argument("--log", type=pathlib.Path, help="write the results here too")
    parser.add_argument("-k", default="", help="only cases whose name matches this regex")
    parser.add_argument("--slowest", type=int, default=0, help="name so many slow cases")
    options = parser.parse_args()
    SETTINGS.morc = options.morc.resolve()
    if not SETTINGS.morc.exists():
        sys.exit(f"no {options.morc}: ./dev build")
    before = {path: fingerprint(path) for path in MODELS.rglob("*") if path.is_file()}
    chosen = [name for name in CASES if re.search(options.k, name)]
    with multiprocessing.get_context("fork").Pool(options.j, maxtasksperchild=20) as pool:
        results = []
        for result in pool.imap_unordered(run_case, chosen):
            results.append(result)
            name, verdict, text, seconds = result
            print(f"{verdict} {name}" + (f": {text}" if text else f" ({seconds:.1f} s)"), flush=True)
    changed = [path for path, old in before.items() if fingerprint(path) != old]
    results.append(("inputs unchanged", "FAIL" if changed else "ok", f"{changed}" * bool(changed), 0.0))
    report(results, options)


def report(results, options):
    count = {v: sum(r[1] == v for r in results) for v in ("ok", "FAIL", "skip")}
    lines = [f"{verdict} {name}: {text}" for name, verdict, text, _ in results if verdict != "ok"]
    lines.append(f"cases: {count['ok']} passed, {count['FAIL']} failed, {count['skip']} skipped")
    if options.log:
        options.log.parent.mkdir(parents=True, exist_ok=True)
        options.log.write_text("\n".join(lines) + "\n")
    for name, _, _, seconds in sorted(results, key=lambda r: -r[3])[:options.slowest]:
        print(f"{seconds:6.1f} s  {name}")
    print(lines[-1], flush=True)
    sys.exit(1 if count["FAIL"] or not count["ok"] else 0)
