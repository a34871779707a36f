"""Every document that the tests got from the program is valid; one with a field removed, renamed or added is not.

Usage: main.py SCHEMAS DOCUMENTS
"""

import copy
import json
import re
import sys
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

TREE = Path(__file__).resolve().parent.parent.parent
SCHEMAS, DOCUMENTS = map(Path, sys.argv[1:])
# Not every run of the tests has these.
UNUSUAL = ("role-check", "guard-install", "guard-remove", "guard-status", "guard-prove")
passed = failed = 0


def case(name, faults):
    """Prints one line; `faults` is why it failed, or empty."""
    global passed, failed
    passed, failed = passed + (not faults), failed + bool(faults)
    print(f"FAILED {name}: {'; '.join(faults[:5])}" if faults else f"ok {name}", flush=True)


def strict(schema):
    """The same without further fields: a field that is new needs its row in the manual."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    below = {name: value if name == "if" else strict(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        below["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        below.setdefault("additionalProperties", False)
    return below


def kind(document):
    """Which schema is the document's."""
    # A command that did not come to its own result prints a report of its failure.
    own = {"doctor": ("doctor", "checks"), "role check": ("role-check", "not_seen")}
    if command := document.get("command"):
        name, field = own.get(command, ("report", "command"))
        return name if field in document else "report"
    # The others are told by a field that no other has.
    tell = {"findings": "lint", "trust_policy": "role-print", "last_proof": "guard-status", "at": "guard-prove",
            "guards": "guard-install", "changed": "guard-remove"}
    return next((name for field, name in tell.items() if field in document), None)


def objects(document, schema, path=()):
    """The path of each object in a document that has required fields, with the schema of it."""
    if isinstance(document, list):
        for index, item in enumerate(document):
            yield from objects(item, schema.get("items", {}), (*path, index))
    if isinstance(document, dict):
        if schema.get("required"):
            # What is required of a command that did not fail.
            then = schema.get("then", {}) if document.get("error") is None else {}
            yield path, {**schema, "required": [*schema["required"], *then.get("required", [])]}
        for name, value in document.items():
            further = schema.get("additionalProperties") or {}
            yield from objects(value, schema.get("properties", {}).get(name, further), (*path, name))


def at(document, path):
    for step in path:
        document = document[step]
    return document


def survivors(validator, document):
    """The fields that can be removed, renamed or added without a fault."""
    for path, schema in objects(document, validator.schema):
        for name in schema["required"]:
            removed = copy.deepcopy(document)
            value = at(removed, path).pop(name)
            if validator.is_valid(removed):
                yield f"{path} without {name}"
            at(removed, path)[f"{name}_renamed"] = value
            if validator.is_valid(removed):
                yield f"{path} with {name} renamed"
        added = copy.deepcopy(document)
        at(added, path)["further"] = 1
        if validator.is_valid(added):
            yield f"{path} with one more"


def documents():
    by_kind = {"unknown": []} | {path.name.removesuffix(".schema.json"): [] for path in sorted(SCHEMAS.glob("*.schema.json"))}
    del by_kind["ecs-bootstrap.toml"]
    for path in sorted(DOCUMENTS.glob("*.json")):
        document = json.loads(path.read_text())
        if isinstance(document, dict):
            by_kind[kind(document) or "unknown"].append((path.name, document))
    unknown = by_kind.pop("unknown")
    case("every document has a schema", [f"{name}: {json.dumps(document)[:300]}" for name, document in unknown])
    return by_kind


def check_documents():
    for name, found in documents().items():
        # `role check` is in the administrators' build, and guard needs a network namespace.
        if not found and name in UNUSUAL:
            continue
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        Draft202012Validator.check_schema(schema)
        open_, closed = Draft202012Validator(schema), Draft202012Validator(strict(schema))
        wrong = [f"{file}: {error.json_path}: {error.message[:200]}" for file, one in found for error in closed.iter_errors(one)]
        case(f"{len(found)} documents are what {name}.schema.json says, and no more", wrong if found else ["there are none"])
        richest = sorted((one for _, one in found), key=lambda one: -len(json.dumps(one)))[:3]
        left = [fault for one in richest for fault in survivors(closed, one)]
        case(f"a field of {name} that is removed, renamed or added is a fault", left if found else ["there are none"])
        further = [one for one in richest if not open_.is_valid({**one, "further": 1})]
        case(f"{name}.schema.json lets readers accept further fields", ["it does not"] if further else [])


def check_settings():
    schema = json.loads((SCHEMAS / "ecs-bootstrap.toml.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    shipped = re.sub(r"^#(?=[a-z_]+ = )", "", (TREE / "packaging/ecs-bootstrap.toml").read_text(), flags=re.MULTILINE)
    texts = [shipped]
    for page in (TREE / "packaging/man").glob("*.md"):
        texts += re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    wrong = [f"{text!r}: {error.message}" for text in texts for error in validator.iter_errors(tomllib.loads(text))]
    case(f"{len(texts)} settings files of the packages and the manual are valid", wrong)
    bad = ["confg = []", "block_imds = \"yes\"", "stale = \"never\"", "timeout = 90", "expect_account = \"12\"", "set = 1", "config = \"a\""]
    taken = [text for text in bad if validator.is_valid(tomllib.loads(text))]
    case(f"{len(bad)} wrong settings files are not", taken)
    listed = re.findall(r'^    (?:key\(\(|switch\(\()"([a-z_]+)"', (TREE / "src/settings/keys.rs").read_text(), re.MULTILINE)
    case("the settings of the schema are the program's", sorted(set(listed) ^ set(schema["properties"])) if listed else ["no list"])


check_documents()
check_settings()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
