"""Puts what the stand-in model has to say into the schema it is asked for."""

import re
from collections.abc import Iterator
from typing import Any

from local.answers_schema import Filler, Schema, resolve
from local.answers_text import SIGNATURE

_DEEP = 6
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
# What only `Filler` knows how to satisfy.
_HARD = {"format", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"}


def variants(root: Schema, schema: Schema, depth: int = 0) -> Iterator[Schema]:
    """Each of a schema's alternatives, its references followed."""
    if depth > _DEEP:
        return  # it may refer to itself
    if "$ref" in schema:
        yield from variants(root, resolve(root, schema["$ref"]) or {}, depth + 1)
    elif "anyOf" in schema:
        for variant in schema["anyOf"]:
            yield from variants(root, variant, depth + 1)
    else:
        yield schema


def options(root: Schema, schema: Schema) -> list[Any]:
    """The values that a schema lists, where it lists them."""
    return [value for variant in variants(root, schema) for value in variant.get("enum", [])]


def kinds(root: Schema, schema: Schema) -> set[str]:
    named = [variant.get("type", []) for variant in variants(root, schema)]
    return {str(kind) for kind in named for kind in (kind if isinstance(kind, list) else [kind])}


def suited(root: Schema, schema: Schema, value: Any) -> Schema | None:
    """The alternative that a value is of."""
    return next((each for each in variants(root, schema) if _suits(each, value)), None)


def _suits(schema: Schema, value: Any) -> bool:
    listed = schema.get("enum", [schema["const"]] if "const" in schema else [value])
    if value not in listed or _HARD & schema.keys():
        return False
    if isinstance(value, str) and (
        len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value)
    ):
        return False
    own = kinds(schema, schema)
    if isinstance(value, bool):
        return not own or "boolean" in own
    if isinstance(value, int | float):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            return False
    return not own or any(isinstance(value, _TYPES[kind]) for kind in own)


class Fitter:
    """Takes from each value what its schema has a place for, and fills in what else that wants."""

    def __init__(self, root: Schema, said: str) -> None:
        self._root = root
        self._filler = Filler(root, said)

    def fit(self, schema: Schema, value: Any, name: str = "") -> Any:
        for form in _forms(value):
            found = suited(self._root, schema, form)
            if found is None:
                continue
            if isinstance(form, dict):
                return self._object(found, form)
            if isinstance(form, list):
                return self._array(found, form, name)
            return _cut(form, found.get("maxLength")) if isinstance(form, str) else form
        return self._filler.fill(schema, name)

    def _object(self, schema: Schema, value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.fit(part, value[name], name)
            if name in value
            else self._filler.fill(part, name)
            for name, part in schema.get("properties", {}).items()
        }

    def _array(self, schema: Schema, values: list[Any], name: str) -> list[Any]:
        items = schema.get("items", {})
        fitted = [self.fit(items, value, name) for value in values[: schema.get("maxItems")]]
        missing = schema.get("minItems", 0) - len(fitted)
        return fitted + [self._filler.fill(items, name) for _ in range(missing)]


def _forms(value: Any) -> list[Any]:
    """A number is also its digits, and digits are a number: ids are asked for as either."""
    if isinstance(value, str) and value.isdecimal():
        return [value, int(value)]
    return [value, str(value)] if type(value) is int else [value]


def _cut(text: str, most: int | None) -> str:
    """What is signed stays signed."""
    if most is None or len(text) <= most:
        return text
    end = f" {SIGNATURE}"
    if not text.endswith(end) or len(end) > most:
        return text[:most]
    return text[: most - len(end)] + end
