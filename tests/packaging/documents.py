"""Checks that a document has the keys that its service requires, and no other: `documents.py ssm|component|bill FILE`."""

import sys

import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

SHAPES = {
    "ssm": {
        "top": {"schemaVersion", "description", "parameters", "mainSteps"},
        "steps": lambda document: document["mainSteps"],
        "step": {"action", "name", "precondition", "inputs"},
        "actions": {"aws:runShellScript"},
        "version": "2.2",
    },
    "component": {
        "top": {"name", "description", "schemaVersion", "parameters", "phases"},
        "steps": lambda document: [step for phase in document["phases"] for step in phase["steps"]],
        "step": {"name", "action", "maxAttempts", "inputs"},
        "actions": {"WebDownload", "ExecuteBash"},
        "version": 1.0,
    },
}

if sys.argv[1] == "bill":
    sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[2]).read()))
shape, document = SHAPES[sys.argv[1]], yaml.safe_load(open(sys.argv[2]))
assert set(document) == shape["top"], set(document) ^ shape["top"]
assert document["schemaVersion"] == shape["version"], document["schemaVersion"]
for step in shape["steps"](document):
    assert set(step) <= shape["step"], step
    assert step["action"] in shape["actions"], step["action"]
