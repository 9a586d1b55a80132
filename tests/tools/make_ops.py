"""Prints runtime/model/ops.list from the schemas of the installed onnx package: every op of the
default domain, the versions it changed at, and where a change asks for an adapter. With --check,
compares instead and exits 1 when the list is out of date (tests/e2e does)."""
import pathlib
import sys

from onnx import defs, helper

LIST = pathlib.Path(__file__).resolve().parents[2] / "runtime" / "model" / "ops.list"
OLDEST = 7  # morc raises from here

# Changes of meaning that the form of the schema does not show.
MEANING = {
    ("GroupNormalization", 21),  # scale and bias: per group -> per channel
    ("Resize", 13),              # tf_half_pixel_for_nn was taken out
    ("RoiAlign", 16),            # a new default that is not the old behaviour
    ("Split", 18),               # without `split`, num_outputs has to be given
    ("Dropout", 10),             # type of the mask
}

HEAD = """\
/* OP(name, versions): every op of ONNX's default domain and the opsets at which it changed, up to
 * {newest}. A change marked * alters form or meaning for what was valid before and needs a row in
 * upgrade.c; - marks the opset that took the op away (also a row, or it is refused). The others
 * only add types, optional inputs or attributes whose default is the old behaviour.
 * Printed by tests/tools/make_ops.py from the schemas of the onnx package; sorted by name. */
"""


def default_of(attribute):
    return helper.get_attribute_value(attribute.default_value) if attribute.default_value.type else None


def breaks(old, new):
    """Whether a node that is valid at `old` may be invalid or mean something else at `new`."""
    single = defs.OpSchema.FormalParameterOption.Single
    if (new.name, new.since_version) in MEANING or len(new.inputs) < len(old.inputs):
        return True
    if any(p.option == single for p in new.inputs[len(old.inputs):]) or len(new.outputs) < len(old.outputs):
        return True
    for was, now in zip(list(old.inputs) + list(old.outputs), list(new.inputs)[:len(old.inputs)] + list(new.outputs)):
        if not set(was.types) <= set(now.types) or (was.option != now.option and was.option != single):
            return True
    for name, was in old.attributes.items():
        now = new.attributes.get(name)
        if now is None or now.type != was.type or default_of(now) != default_of(was):
            return True
    return any(a.required for n, a in new.attributes.items() if n not in old.attributes)


def rows():
    history = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            history.setdefault(schema.name, []).append(schema)
    for name in sorted(history):
        schemas = sorted(history[name], key=lambda s: s.since_version)
        versions = []
        for old, schema in zip([None, *schemas], schemas):
            if old and schema.since_version <= OLDEST:
                versions = []
            mark = ""
            if old and schema.since_version > OLDEST:
                mark = "-" if schema.deprecated else "*" if breaks(old, schema) else ""
            versions.append(f"{schema.since_version}{mark}")
        yield f'OP({name}, "{" ".join(versions)}")'


def main():
    text = HEAD.format(newest=defs.onnx_opset_version()) + "\n".join(rows()) + "\n"
    if "--check" not in sys.argv[1:]:
        print(text, end="")
    elif LIST.read_text(encoding="utf-8") != text:
        sys.exit(f"{LIST} differs from the schemas of onnx: run make_ops.py again")


if __name__ == "__main__":
    main()
