"""The forms of an output: external data, MatMulNBits, float weights behind Q and DQ, a chosen opset,
pruning by ratio and under asymmetric codes, the receipt."""
import functools
import hashlib
import json

import numpy as np
import onnx

import cases_models
import oracle
import recipes
import running
from harness import MODELS, add_case, case
from weights import weights

PYLM = MODELS / "pylm-1m" / "model.onnx"
INT4 = "on linear - head { quantize(weight = int4 per block(64)) }\n"


@case("emit/external data lies aligned in one file named after its content")
def external(box):
    inline = box.compress(INT4, PYLM, "inline.onnx")
    out = box.compress("emit qdq(external = true)\n" + INT4, PYLM)
    running.check(out)
    data = [p for p in box.dir.iterdir() if p.name.startswith("out.data-")]
    assert len(data) == 1, box.files()
    end = data[0].stat().st_size
    for tensor in onnx.load(out, load_external_data=False).graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entry = {e.key: e.value for e in tensor.external_data}
            assert set(entry) == {"location", "offset", "length"} and entry["location"] == data[0].name
            assert int(entry["offset"]) % 4096 == 0 and int(entry["offset"]) + int(entry["length"]) <= end
        else:
            assert len(tensor.raw_data) < 1024, f"{tensor.name}: {len(tensor.raw_data)} bytes in the model"
    for a, b in zip(running.run(out, PYLM), running.run(inline, PYLM), strict=True):
        assert np.array_equal(a, b)
    before = hashlib.sha256(data[0].read_bytes()).digest()
    box.morc(box.dir / "recipe.mor", PYLM, "-o", out, "-f")
    assert hashlib.sha256(data[0].read_bytes()).digest() == before and len(box.files()) == 4, box.files()


def unpack_nbits(node, initializers, bits):
    """(codes [N, K] without the offset, scales [N, blocks]) of a MatMulNBits node."""
    attribute = {a.name: a.i for a in node.attribute}
    packed = onnx.numpy_helper.to_array(initializers[node.input[1]])
    per_byte = 8 // bits
    codes = np.stack([packed >> (bits * i) & (1 << bits) - 1 for i in range(per_byte)], axis=-1)
    codes = codes.reshape(attribute["N"], -1)[:, :attribute["K"]]
    scales = onnx.numpy_helper.to_array(initializers[node.input[2]]).reshape(attribute["N"], -1)
    assert attribute.get("accuracy_level", 0) == 0 and attribute["bits"] == bits
    return codes, scales, attribute["block_size"]


def nbits_case(path, element, block, box):
    bits = int(element.lstrip("uint"))
    text = f"on linear[.k % {block} == 0] {{ quantize(weight = {element} per block({block})) }}\n"
    out = box.compress("emit ort\n" + text, path)
    running.check(out)
    plain = weights(path)
    made = onnx.load(out)
    initializers = {t.name: t for t in made.graph.initializer}
    nodes = [n for n in made.graph.node if n.op_type == "MatMulNBits"]
    assert len(nodes) == len(plain), f"{len(nodes)} of {len(plain)} layers"
    for node, old in zip(nodes, plain):
        codes, scales, size = unpack_nbits(node, initializers, bits)
        expected = oracle.encode(old.value, oracle.Spec(element, "block", old.reduce_axis, block))
        turned = (lambda a: a.T) if old.reduce_axis == 0 else (lambda a: a)
        offset = 0 if element.startswith("u") else 1 << (bits - 1)
        assert size == block
        recipes.equal_bits(codes.astype(np.int64) - offset, turned(expected.codes), node.name)
        recipes.equal_bits(scales, turned(expected.scales), node.name + " scales")
    qdq = box.compress(text, path, "qdq.onnx")
    near = running.compare(running.run(out, path), running.run(qdq, path))
    assert near >= cases_models.SAME, f"cosine {near:.6f} to the same codes as qdq"


for _name, _path in (("pylm-1m", PYLM), ("f16", MODELS / "tiny/raw_f16.onnx"),
                     ("gemm with a bias", MODELS / "tiny/gemm_linear.onnx")):
    for _element in ("int4", "uint4", "int8", "uint8"):
        add_case(f"emit/ort {_name} {_element}", functools.partial(nbits_case, _path, _element, 32))


@case("emit/ort falls back to qdq and says so")
def fallback(box):
    """A convolution, and a Gemm whose alpha is not 1."""
    recipe = box.write("r.mor", "mor 1\nemit ort\non linear | conv { quantize(weight = int8 per block(16)) }\n")
    for name in ("conv", "gemm_a0_b1"):
        path, out = MODELS / "tiny" / f"{name}.onnx", box.dir / f"{name}.onnx"
        done = box.morc(recipe, path, "-o", out)
        assert b"qdq" in done.stdout + done.stderr, (done.stdout, done.stderr)
        running.check(out)
        recipes.assert_encoded(weights(out)[0], weights(path)[0].value, oracle.Spec("int8", "block", 1, 16))


@case("emit/float weights behind Q and DQ compute the same")
def float_weights(box):
    text = "on linear { quantize(weight = int8 per channel) }\n"
    stored = running.run(box.compress(text, PYLM, "stored.onnx"), PYLM)
    out = box.compress("emit qdq(weights = float)\n" + text, PYLM)
    running.check(out)
    assert any(n.op_type == "QuantizeLinear" for n in onnx.load(out).graph.node)
    for a, b in zip(running.run(out, PYLM), stored, strict=True):
        assert np.array_equal(a, b)


@case("emit/a chosen opset")
def opset(box):
    out = box.compress("emit qdq(opset = 23)\n" + INT4, PYLM)
    running.check(out)
    assert {o.domain: o.version for o in onnx.load(out).opset_import}[""] == 23
    plain = box.compress(INT4, PYLM, "plain.onnx")
    assert running.compare(running.run(out, PYLM), running.run(plain, PYLM)) >= cases_models.SAME


def prune_case(steps, fraction, element, box):
    out = box.compress(f"on linear {{ {steps} }}\n", PYLM)
    running.check(out)
    for old, new in zip(weights(PYLM), weights(out), strict=True):
        mask = oracle.mask_ratio(old.value, fraction)
        source = np.where(mask, old.value, np.float32(0))
        if element:
            recipes.assert_encoded(new, source, oracle.Spec(element, "channel", old.channel_axis))
            assert not new.value[~mask].any(), "a pruned weight came back"
        else:
            recipes.equal_bits(new.value, source, old.name)


add_case("emit/prune a third", functools.partial(prune_case, "prune(0.333)", 0.333, None))
add_case("emit/prune a half, then uint8",
         functools.partial(prune_case, "prune(0.5); quantize(weight = uint8 per channel)", 0.5, "uint8"))
add_case("emit/prune a half, then int4",
         functools.partial(prune_case, "prune(0.5); quantize(weight = int4 per channel)", 0.5, "int4"))


@case("emit/the receipt names recipe, hashes and every layer")
def receipt(box):
    made = onnx.load(box.compress(INT4, PYLM))
    entries = {p.key: p.value for p in made.metadata_props}
    text = (box.dir / "recipe.mor").read_text()
    assert entries["mor.recipe"] == text
    held = json.loads(entries["mor.receipt"])
    assert held["recipe"] == "sha256:" + hashlib.sha256(text.encode()).hexdigest(), held
    assert len(held["layers"]) == 28, held.keys()
    assert not {"data", "samples", "engine"} & set(held), held.keys()
