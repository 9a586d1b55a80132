"""Read -> write of the ONNX project's own 1,072 test models (Debian's libonnx-testdata), the
generated and the real ones: without edits the same bytes, with edits every field the same,
fields that onnx does not know included."""
import pathlib
import subprocess

import onnx

from harness import MODELS, SETTINGS, Skip, case
from running import real_models

TESTDATA = pathlib.Path("/usr/share/libonnx-testdata/data")
EXPECTED = 1072
BATCH = 200


def is_external(model):
    return any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)


def inlined(path):
    """The model with its external data taken in, as morc writes models that fit into one file."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")
    return model


def same_fields(touched, original):
    for tensor in touched.graph.initializer:
        if tensor.data_location == onnx.TensorProto.DEFAULT:
            tensor.ClearField("data_location")
    entries = [e for e in touched.metadata_props if e.key != "roundtrip"]
    assert len(entries) == len(touched.metadata_props) - 1, "the metadata entry is missing"
    del touched.metadata_props[:]
    touched.metadata_props.extend(entries)
    return touched.SerializeToString(deterministic=True) == original.SerializeToString(deterministic=True)


def compare(box, files):
    """Runs the tool on a batch; returns what it refused."""
    tool = SETTINGS.morc.parent / "tests" / "tools" / "roundtrip"
    if not tool.exists():
        raise Skip(f"{tool} is not built")
    refused = []
    for start in range(0, len(files), BATCH):
        batch = files[start:start + BATCH]
        done = subprocess.run([tool, box.dir, *batch], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        for path, line in zip(batch, done.stdout.splitlines(), strict=True):
            number, verdict = line.split(" ", 1)
            if verdict != "ok":
                refused.append((path, verdict))
                continue
            data = path.read_bytes()
            original = onnx.ModelProto.FromString(data)
            if is_external(original):
                original = inlined(path)
            else:
                assert (box.dir / f"{number}.same").read_bytes() == data, f"{path}: bytes differ"
            touched = onnx.ModelProto.FromString((box.dir / f"{number}.touched").read_bytes())
            assert same_fields(touched, original), f"{path}: fields differ"
    return refused


@case("roundtrip/libonnx-testdata")
def testdata(box):
    files = sorted(TESTDATA.rglob("*.onnx"))
    if not files:
        raise Skip("the package libonnx-testdata is not installed")
    assert len(files) == EXPECTED, f"{len(files)} models, not {EXPECTED}"
    refused = compare(box, files)
    assert not refused, f"{len(refused)} refused: {refused[:5]}"


@case("roundtrip/generated and real models")
def others(box):
    files = sorted((MODELS / "tiny").glob("*.onnx")) + real_models()
    assert len(files) > 40
    refused = compare(box, files)
    assert not refused, refused[:5]
