"""Evaluates a Terraform module that needs nothing but variables, python-hcl2 being its parser.

It knows the part of the language that packaging/terraform uses, and raises where it meets another: a test then fails
instead of guessing. Attributes that only AWS knows are the text `<aws_iam_role.this[0].arn>`.
"""

import functools
import itertools
import json
import re
from pathlib import Path

import hcl2
from lark import Token, Tree

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class Invalid(Exception):
    """A condition of the module does not hold: its own message."""


class Body:
    """Attributes by name, and blocks as (labels, body) by type, in the order of the file."""

    def __init__(self, tree):
        self.attributes, self.blocks = {}, []
        for child in _trees(tree):
            if child.data == "attribute":
                name, _equals, value = child.children
                self.attributes[_name(name)] = value
            elif child.data == "block":
                *names, body = (part for part in _trees(child) if part.data != "new_line_or_comment")
                kind, *labels = map(_name, names)
                self.blocks.append((kind, labels, Body(body)))

    def of(self, kind):
        return [(labels, body) for found, labels, body in self.blocks if found == kind]


@functools.cache
def parse(path):
    """All .tf files of a folder, as one body."""
    whole = Body(Tree("body", []))
    for file in sorted(Path(path).glob("*.tf")):
        body = Body(hcl2.parses_to_tree(file.read_text()).children[0])
        whole.blocks += body.blocks
    return whole


class Module:
    """A module with its variables set. `known` has what data sources and other resources answer, by address."""

    def __init__(self, path, variables, known):
        self.path, self.body, self.known = path, parse(path), known
        self.declared = {labels[0]: body for labels, body in self.body.of("variable")}
        unknown = set(variables) - set(self.declared)
        assert not unknown, f"no variables of the module: {unknown}"
        self.variables = {}
        for name, body in self.declared.items():
            value = variables[name] if name in variables else self._value(body.attributes["default"])
            self.variables[name] = _convert(body.attributes["type"], value, self)
        self.locals = {name: value for _, body in self.body.of("locals") for name, value in body.attributes.items()}
        self.blocks = {".".join(labels): body for labels, body in self.body.of("resource")}
        self.blocks |= {"data." + ".".join(labels): body for labels, body in self.body.of("data")}
        self._cache = {}
        for body in self.declared.values():
            self._judge(body.of("validation"), {})

    def resources(self):
        """Every resource that would exist, by address: attributes and lists of blocks."""
        return {
            f"{address}{suffix}": self._block(body, scope, lifecycle=True)
            for address, body in self.blocks.items()
            if not address.startswith("data.")
            for suffix, scope in self._instances(body)
        }

    def outputs(self):
        return {labels[0]: self._value(body.attributes["value"]) for labels, body in self.body.of("output")}

    def local(self, name):
        if name not in self._cache:
            self._cache[name] = self._value(self.locals[name])
        return self._cache[name]

    def _value(self, tree, scope=None):
        return Evaluation(self, scope or {})(tree)

    def _judge(self, conditions, scope):
        for _, body in conditions:
            if not self._value(body.attributes["condition"], scope):
                raise Invalid(self._value(body.attributes["error_message"], scope))

    def _instances(self, body):
        """The suffix of the address and the scope of each instance of a resource."""
        if "count" in body.attributes:
            return [(f"[{index}]", {}) for index in range(self._value(body.attributes["count"]))]
        if "for_each" in body.attributes:
            each = self._value(body.attributes["for_each"])
            return [(f'["{key}"]', {"each": {"key": key, "value": value}}) for key, value in each.items()]
        return [("", {})]

    def _block(self, body, scope, *, lifecycle=False):
        result = {
            name: self._value(value, scope)
            for name, value in body.attributes.items()
            if name not in ("count", "for_each", "depends_on")
        }
        for kind, labels, inner in body.blocks:
            if kind == "lifecycle" and lifecycle:
                self._judge(inner.of("precondition"), scope)
            elif kind == "dynamic":
                [(_, content)] = inner.of("content")
                for key, value in _pairs(self._value(inner.attributes["for_each"], scope)):
                    here = scope | {labels[0]: {"key": key, "value": value}}
                    result.setdefault(labels[0], []).append(self._block(content, here))
            else:
                result.setdefault(kind, []).append(self._block(inner, scope))
        return {name: value for name, value in result.items() if value is not None}

    def reference(self, address):
        """What `aws_iam_role.this` is in an expression: its instances, or the one."""
        body = self.blocks[address]
        instances = [(suffix, Instance(self, address, body, suffix, scope)) for suffix, scope in self._instances(body)]
        return instances[0][1] if instances and not instances[0][0] else [instance for _, instance in instances]


class Instance:
    """An instance of a resource; what is not written in the module only AWS knows."""

    def __init__(self, module, address, body, suffix, scope):
        self.module, self.address, self.body, self.suffix, self.scope = module, address, body, suffix, scope

    def __getitem__(self, name):
        known = self.module.known.get(self.address, {})
        if name in known:
            return known[name]
        written = self.body.attributes.get(name)
        value = self.module._value(written, self.scope) if written is not None else None
        return f"<{self.address}{self.suffix}.{name}>" if value is None else value


class Evaluation:
    """Walks the tree of one expression; `scope` has the names that `for`, `each` and `dynamic` bind."""

    def __init__(self, module, scope):
        self.module, self.scope = module, scope

    def __call__(self, tree):
        return getattr(self, tree.data)(*_significant(tree))

    def expr_term(self, *children):
        [inner] = [child for child in children if isinstance(child, Tree)]
        return self(inner)

    def int_lit(self, token):
        return int(token)

    def literal_value(self, token):
        return {"true": True, "false": False, "null": None}[token]

    def string(self, *parts):
        values = [self._part(part) for part in parts if isinstance(part, Tree)]
        return values[0] if len(values) == 1 else "".join(map(_text, values))

    def _part(self, part):
        [child] = part.children
        if isinstance(child, Tree):
            return self(child.children[1])
        text = child.replace("$${", "${").replace("%%{", "%{")
        return re.sub(r"\\(.)", lambda escape: ESCAPES[escape[1]], text)

    def tuple(self, *children):
        return [self(child) for child in children if isinstance(child, Tree)]

    def object(self, *children):
        return dict(self._element(child) for child in children if isinstance(child, Tree))

    def _element(self, tree):
        key, _equals, value = tree.children
        [key] = _trees(key)
        plain = key.data == "expr_term" and key.children[0].data == "identifier"
        return _name(key.children[0]) if plain else self(key), self(value)

    def conditional(self, condition, _question, yes, *rest):
        return self(yes) if self(condition) else self(rest[-1])

    def unary_op(self, operator, operand):
        return not self(operand) if operator == "!" else -self(operand)

    def binary_op(self, left, term):
        operator, right = _significant(term)
        operator = str(operator.children[0])
        if operator in ("&&", "||"):
            first = self(left)
            return self(right) if first == (operator == "&&") else first
        first, second = self(left), self(right)
        return {
            "==": lambda: first == second,
            "!=": lambda: first != second,
            ">": lambda: first > second,
            ">=": lambda: first >= second,
            "<=": lambda: first <= second,
        }[operator]()

    def identifier(self, token):
        return self.scope[token]

    def get_attr_expr_term(self, *children):
        path = _path(Tree("get_attr_expr_term", list(children)))
        if path and path[0] not in self.scope:
            return self._global(path)
        inner, attribute = children
        return self(inner)[_name(attribute.children[1])]

    def _global(self, path):
        if path[0] == "var":
            value, rest = self.module.variables[path[1]], path[2:]
        elif path[0] == "local":
            value, rest = self.module.local(path[1]), path[2:]
        elif path[0] == "path":
            return str(self.module.path)
        else:
            length = 3 if path[0] == "data" else 2
            value, rest = self.module.reference(".".join(path[:length])), path[length:]
        for name in rest:
            value = value[name]
        return value

    def index_expr_term(self, inner, index):
        return self(inner)[self(next(child for child in index.children if isinstance(child, Tree)))]

    def full_splat_expr_term(self, inner, splat):
        items = self(inner)
        for attribute in _trees(splat):
            items = [item[_name(attribute.children[1])] for item in items]
        return items

    def for_tuple_expr(self, *children):
        intro, value, *rest = (child for child in children if isinstance(child, Tree))
        return [inner(value) for inner in self._loop(intro, rest)]

    def for_object_expr(self, *children):
        intro, key, value, *rest = (child for child in children if isinstance(child, Tree))
        return {inner(key): inner(value) for inner in self._loop(intro, rest)}

    def _loop(self, intro, conditions):
        *names, over = (child for child in _significant(intro) if isinstance(child, Tree))
        for key, value in _pairs(self(over)):
            bound = dict(zip(map(_name, names), (value,) if len(names) == 1 else (key, value)))
            inner = Evaluation(self.module, self.scope | bound)
            if all(inner(_significant(condition)[-1]) for condition in conditions):
                yield inner

    def function_call(self, name, *children):
        arguments = [part for child in children if isinstance(child, Tree) for part in _significant(child) if isinstance(part, Tree)]
        name = _name(name)
        if name in ("try", "can"):
            return self._attempt(name, arguments)
        return FUNCTIONS[name](*map(self, arguments))

    def _attempt(self, name, arguments):
        for argument in arguments:
            try:
                value = self(argument)
            except (LookupError, TypeError, ValueError):
                continue
            return True if name == "can" else value
        if name == "can":
            return False
        raise ValueError("no argument of try has a value")


def _regex(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise ValueError(f"{pattern} is not in {text}")
    return list(found.groups()) if found.groups() else found[0]


def _regexall(pattern, text):
    return [list(found.groups()) if found.groups() else found[0] for found in re.finditer(pattern, text)]


def _coalesce(*values):
    return next(value for value in values if value not in (None, ""))


FUNCTIONS = {
    "alltrue": all,
    "anytrue": any,
    "coalesce": _coalesce,
    "compact": lambda items: [item for item in items if item not in (None, "")],
    "concat": lambda *lists: [item for one in lists for item in one],
    "contains": lambda items, item: item in items,
    "distinct": lambda items: list(dict.fromkeys(items)),
    "file": lambda path: Path(path).read_text(),
    "join": lambda separator, items: separator.join(items),
    "jsonencode": json.dumps,
    "keys": sorted,
    "length": len,
    "merge": lambda *maps: functools.reduce(dict.__or__, maps, {}),
    "regex": _regex,
    "regexall": _regexall,
    "setintersection": lambda one, other: sorted(set(one) & set(other)),
    "setproduct": lambda *lists: list(itertools.product(*lists)),
    "startswith": str.startswith,
    "tostring": lambda value: _text(value),
    "values": lambda mapping: [mapping[key] for key in sorted(mapping)],
}


def _convert(kind, value, module):
    """What a variable of this type is: defaults of `optional()` filled in. Other conversions are Terraform's to make."""
    kind = kind if kind.data != "expr_term" else kind.children[0]
    if value is None or kind.data != "function_call":
        return value
    name = _name(kind.children[0])
    [argument] = [part for part in _significant(kind.children[2]) if isinstance(part, Tree)]
    if name == "list":
        return [_convert(argument, item, module) for item in value]
    if name != "object":
        return value
    fields = _fields(argument)
    assert set(value) <= set(fields), f"no attributes of the variable: {set(value) - set(fields)}"
    return {field: value[field] if field in value else _default(type_, field, module) for field, type_ in fields.items()}


def _fields(tree):
    elements = _trees(tree.children[0] if tree.data == "expr_term" else tree)
    return {_name(next(_trees(element.children[0])).children[0]): element.children[2] for element in elements if element.data == "object_elem"}


def _default(kind, field, module):
    call = kind.children[0]
    assert call.data == "function_call" and _name(call.children[0]) == "optional", f"{field} is required"
    _type, *default = [part for part in _significant(call.children[2]) if isinstance(part, Tree)]
    return Evaluation(module, {})(default[0]) if default else None


def _trees(tree):
    return (child for child in tree.children if isinstance(child, Tree) and child.data != "new_line_or_comment")


def _significant(tree):
    return [child for child in tree.children if not (isinstance(child, Tree) and child.data == "new_line_or_comment")]


def _name(tree):
    """The text of an identifier, a keyword or a label in quotes."""
    return "".join(str(token) for token in tree.scan_values(lambda value: isinstance(value, Token)) if token != '"')


def _path(tree):
    """`a.b.c` as its names, or nothing if it is not as plain as that."""
    tree = tree.children[0] if tree.data == "expr_term" else tree
    if tree.data == "identifier":
        return [_name(tree)]
    if tree.data != "get_attr_expr_term":
        return None
    inner, attribute = tree.children
    before = _path(inner)
    return before and [*before, _name(attribute.children[1])]


def _pairs(value):
    return sorted(value.items()) if isinstance(value, dict) else enumerate(value)


def _text(value):
    return json.dumps(value) if isinstance(value, (bool, int)) else value
