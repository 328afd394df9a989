"""The stand-in model's structured output: checks a schema as the API does, and satisfies it.

What it fills in is taken from what the user wrote, in its order. It knows the
part of JSON Schema that strict structured output has; of `pattern` it can only
satisfy what something in the user's words matches.
"""

import math
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from local.answers_text import leaves, sentences, unpack, words

Schema = dict[str, Any]

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_UNKNOWN_TO_STRICT = (
    "allOf", "oneOf", "not", "if", "then", "else",
    "dependentRequired", "dependentSchemas", "patternProperties",
)  # fmt: skip
_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "stand-in@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}
_DEEP = 6  # a schema that refers to itself is followed no further, if it can end
_DEEPEST, _MOST = 60, 5000  # one that cannot end is not satisfied, but answered


# ---------------------------------------------------------------- checks


def fault_of(schema: Any, *, strict: bool) -> str | None:
    """What is wrong with a schema, in the API's words."""
    if not isinstance(schema, dict):
        return f"schema must be a JSON Schema object, got {type(schema).__name__}."
    if schema.get("type") != "object":
        kind = schema.get("type")
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    return next(_faults(schema, schema, (), strict), None)


def _faults(root: Schema, schema: Any, path: tuple[str, ...], strict: bool) -> Iterator[str]:
    context = f"In context={path}, "
    if not isinstance(schema, dict):
        yield f"{context}{schema!r} is not of type 'object'."
        return
    if "$ref" in schema and resolve(root, schema["$ref"]) is None:
        missing = f"reference to component '{schema['$ref']}'"
        yield f"{context}{missing} which was not found in the schema."
    kinds = _kinds(schema)
    for kind in kinds:
        if kind not in _TYPES:
            yield f"{context}{kind!r} is not valid under any of the given schemas."
    if strict:
        yield from (f"{context}{n!r} is not permitted." for n in _UNKNOWN_TO_STRICT if n in schema)
        if not kinds and not {"$ref", "anyOf", "enum", "const"} & schema.keys():
            yield f"{context}schema must have a 'type' key."
        if "array" in kinds and "items" not in schema:
            yield f"{context}array schema missing items."
    if schema.get("enum") == []:
        yield f"{context}[] should be non-empty."
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError):
        yield f"{context}{schema['pattern']!r} is not a 'regex'."
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not isinstance(schema.get("anyOf", []), list):
        yield f"{context}schema is not valid."
        return
    if strict and "object" in kinds:
        if schema.get("additionalProperties") is not False:
            yield f"{context}'additionalProperties' is required to be supplied and to be false."
        if set(properties) != set(schema.get("required") or ()):
            yield (
                f"{context}'required' is required to be supplied and to be an array "
                "including every key in properties."
            )
    for name, within, step in _within(schema):
        yield from _faults(root, within, (*path, *step, name), strict)


def _within(schema: Schema) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for group in ("properties", "$defs", "definitions"):
        yield from ((name, part, (group,)) for name, part in schema.get(group, {}).items())
    yield from ((str(i), part, ("anyOf",)) for i, part in enumerate(schema.get("anyOf", [])))
    if "items" in schema:
        yield "items", schema["items"], ()


def resolve(root: Schema, reference: Any) -> Schema | None:
    """What `#/$defs/name` refers to."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    place: Any = root
    for step in reference[1:].split("/")[1:]:
        place = place.get(step.replace("~1", "/").replace("~0", "~")) if place else None
        if not isinstance(place, dict):
            return None
    return place  # type: ignore[no-any-return]


def choices(schema: Any) -> set[str]:
    """Every string the schema gives as one of few."""
    if isinstance(schema, list):
        return set().union(*map(choices, schema))
    if not isinstance(schema, dict):
        return set()
    own = {*leaves(schema.get("enum", [])), *leaves(schema.get("const", ""))}
    return own.union(*map(choices, schema.values()))


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [str(kind) for kind in kinds] if isinstance(kinds, list) else [str(kinds)]


# ---------------------------------------------------------------- values


class Filler:
    """Fills schemas out of one text; each string of it is used once before any is used again."""

    def __init__(self, root: Schema, text: str) -> None:
        found, around = unpack(text)
        said = [*sentences(around), *(leaf for value in found for leaf in leaves(value))]
        self._root = root
        self._text = text
        self._words = set(words(text))
        self._said = [part for part in said if part.strip()]
        self._turn = count()
        self._filled = count()

    def fill(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        if depth > _DEEPEST or next(self._filled) > _MOST:
            return None
        if "$ref" in schema:
            return self.fill(resolve(self._root, schema["$ref"]) or {}, name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._one_of(schema["enum"])
        if "anyOf" in schema:
            return self.fill(self._variant(schema["anyOf"], depth), name, depth)
        match self._kind(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return bool(name) and set(words(name.replace("_", " "))) <= self._words
        return None

    def _kind(self, schema: Schema, depth: int) -> str:
        kinds = _kinds(schema)
        if "null" in kinds and (not self._said or depth > _DEEP):
            return "null"
        return next((kind for kind in kinds if kind != "null"), "null")

    def _variant(self, variants: list[Schema], depth: int) -> Schema:
        empty = [variant for variant in variants if _kinds(variant) == ["null"]]
        others = [variant for variant in variants if variant not in empty]
        if empty and (not others or not self._said or depth > _DEEP):
            return empty[0]
        return others[-1] if depth > _DEEP else others[0]

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        return {
            name: self.fill(part, name, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or depth <= _DEEP
        }

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        usual = 0 if depth > _DEEP or not self._said else 2
        size = max(schema.get("minItems", 0), min(usual, schema.get("maxItems", usual)))
        items = schema.get("items", {"type": "string"})
        values = [self.fill(items, name, depth + 1) for _ in range(size)]
        repeated = [value for i, value in enumerate(values) if value in values[:i]]
        if repeated and len(values) - len(repeated) >= schema.get("minItems", 0):
            return [value for i, value in enumerate(values) if value not in values[:i]]
        return values

    def _one_of(self, values: list[Any]) -> Any:
        """The first that the user mentions, or the first."""
        mentioned = (v for v in values if isinstance(v, str) and set(words(v)) <= self._words and v)
        return next(mentioned, values[0])

    def _string(self, schema: Schema) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        said = self._said
        if pattern := schema.get("pattern"):
            anchored = pattern.removeprefix("^").removesuffix("$")
            found = re.search(rf"(?<!\w)(?:{anchored})(?!\w)", self._text)
            said = [part for part in said if re.search(pattern, part)] or [
                found[0] if found else ""
            ]
        text = said[next(self._turn) % len(said)] if said else "Stand-in."
        return text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")

    def _number(self, schema: Schema, *, whole: bool) -> float:
        step = schema.get("multipleOf", 1 if whole else None)
        low = schema.get("minimum", -math.inf)
        high = schema.get("maximum", math.inf)
        if "exclusiveMinimum" in schema:
            low = max(low, math.nextafter(schema["exclusiveMinimum"], math.inf))
        if "exclusiveMaximum" in schema:
            high = min(high, math.nextafter(schema["exclusiveMaximum"], -math.inf))
        said = [float(n) for n in re.findall(r"(?<![\w.])\d{1,9}(?:\.\d+)?(?!\w)", self._text)]
        fitting = [n for n in said if low <= n <= high and (not step or n % step == 0)]
        number = fitting[0] if fitting else min(max(0.0, low), high)
        if step and number % step:
            number = math.ceil(number / step) * step
            number = number if number <= high else math.floor(high / step) * step
        return int(number) if whole or float(number).is_integer() else number
