"""Evaluates a CloudFormation template: parameters, conditions and intrinsic functions.

Raises where it meets a function that packaging/cloudformation does not use. Attributes that only AWS knows are the text
`<Role.Arn>`.
"""

import re
from pathlib import Path

import yaml

NO_VALUE = object()


class _Loader(yaml.SafeLoader):
    """`!Sub x` is read as `Fn::Sub: x`, as CloudFormation does."""


def _tagged(loader, tag, node):
    construct = {"scalar": loader.construct_scalar, "sequence": loader.construct_sequence, "mapping": loader.construct_mapping}[node.id]
    value = construct(node) if node.id == "scalar" else construct(node, deep=True)
    if tag == "GetAtt":
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def load(path):
    return yaml.load(Path(path).read_text(), _Loader)


class Stack:
    """A template with its parameters set; `pseudo` are the pseudo parameters, without `AWS::`."""

    def __init__(self, path, parameters, pseudo):
        self.template = load(path)
        declared = self.template["Parameters"]
        unknown = set(parameters) - set(declared)
        assert not unknown, f"no parameters of the template: {unknown}"
        self.values = {f"AWS::{name}": value for name, value in pseudo.items()} | {"AWS::NoValue": NO_VALUE}
        for name, parameter in declared.items():
            value = str(parameters.get(name, parameter.get("Default", "")))
            assert re.search(parameter.get("AllowedPattern", ""), value), f"{name} may not be {value}"
            assert value in parameter.get("AllowedValues", [value]), f"{name} may not be {value}"
            self.values[name] = value.split(",") if "List" in parameter["Type"] else value

    def resources(self):
        """The properties of every resource that would exist, by logical id."""
        return {
            name: self._value(resource.get("Properties", {}))
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self._condition(resource["Condition"])
        }

    def _condition(self, name):
        return self._value(self.template["Conditions"][name])

    def _value(self, tree):
        if isinstance(tree, list):
            return [value for value in map(self._value, tree) if value is not NO_VALUE]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1:
            [(name, argument)] = tree.items()
            if name in ("Ref", "Condition") and isinstance(argument, str):
                return self._ref(argument) if name == "Ref" else self._condition(argument)
            if name.startswith("Fn::"):
                return getattr(self, name[4:].lower() + "_")(argument)
        values = {name: self._value(value) for name, value in tree.items()}
        return {name: value for name, value in values.items() if value is not NO_VALUE}

    def _ref(self, name):
        return self.values[name] if name in self.values else f"<{name}>"

    def getatt_(self, names):
        return f"<{'.'.join(names)}>"

    def sub_(self, argument):
        text, extra = argument if isinstance(argument, list) else (argument, {})
        extra = {name: self._value(value) for name, value in extra.items()}
        return re.sub(r"\$\{([^}]+)\}", lambda found: extra.get(found[1]) or self._ref(found[1]), text)

    def select_(self, argument):
        index, items = argument
        return self._value(items)[index]

    def split_(self, argument):
        separator, text = argument
        return self._value(text).split(separator)

    def join_(self, argument):
        separator, items = argument
        return separator.join(self._value(items))

    def if_(self, argument):
        condition, yes, no = argument
        return self._value(yes if self._condition(condition) else no)

    def equals_(self, argument):
        first, second = self._value(argument)
        return str(first) == str(second)

    def not_(self, argument):
        return not self._value(argument[0])

    def and_(self, argument):
        return all(self._value(argument))

    def or_(self, argument):
        return any(self._value(argument))
