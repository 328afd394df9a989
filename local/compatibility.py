"""What in a newer OpenAPI document breaks a client that was written for an older one.

One question, asked in two directions: does every value that one schema allows fit the other? What a
client may send by the old document must fit the new one; what a service may answer by the new one must
fit the old. But an answer may have more properties than before, and nobody who reads one relies on how
long a text can be.

It knows what FastAPI writes. Of the rest of OpenAPI it leaves out callbacks, links, response headers,
and keywords beside a $ref.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

Json = dict[str, Any]
Direction = Literal["request", "response"]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_SAME = ("pattern", "multipleOf", "uniqueItems", "prefixItems")

_KINDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}

_SAID = {
    "kind": {"request": "takes no {} any more", "response": "may be {} now"},
    "format": {"request": "must be a {} now", "response": "need not be a {} any more"},
    "limit": {"request": "is limited by {} now"},
    "required": {"request": "is required now", "response": "may be missing now"},
    "gone": {"request": "is not taken any more", "response": "is gone"},
    "others": {"request": "takes no other properties any more"},
}


def breaks(before: Json, after: Json) -> list[str]:
    """A line for each thing that breaks a client of `before`."""
    if before.get("servers") != after.get("servers"):
        return ["the API has moved: servers"]
    now = {(_template(path), method): where for path, method, where in _operations(after)}
    found = []
    for path, method, old in _operations(before):
        new = now.get((_template(path), method))
        lines = ["is gone"] if new is None else _Change(before, after).of(path, old, new)
        found += [f"{method.upper()} {path}: {line}" for line in lines]
    return found


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                own = {_key(path, each): each for each in item.get("parameters", [])}
                own |= {_key(path, each): each for each in operation.get("parameters", [])}
                security = operation.get("security", document.get("security", []))
                yield path, method, {**operation, "parameters": own, "security": security}


def _template(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)  # what a part of the path is called does not travel


def _key(path: str, parameter: Json) -> tuple[str, str]:
    name: str = parameter["name"]
    if parameter["in"] == "path":
        return "path", str(re.findall(r"\{([^}:]*)", path).index(name))
    return parameter["in"], name.lower() if parameter["in"] == "header" else name


class _Change:
    def __init__(self, before: Json, after: Json) -> None:
        self._before = before
        self._after = after

    def of(self, path: str, old: Json, new: Json) -> list[str]:
        """What breaks who calls the operation `old`, which is `new` now."""
        return [
            *self._name(old, new),
            *self._security(old["security"], new["security"]),
            *self._parameters(old["parameters"], new["parameters"]),
            *self._body(old.get("requestBody"), new.get("requestBody")),
            *self._responses(old["responses"], new["responses"]),
        ]

    def _name(self, old: Json, new: Json) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"generated clients call it {new.get('operationId')} now"

    def _security(self, old: list[Json], new: list[Json]) -> Iterator[str]:
        """Who could call it can still: each way in has one that asks for no more."""
        for way in old or [{}]:
            if not any(_asks_no_more(other, way) for other in new or [{}]):
                yield f"asks for more than {' and '.join(way) or 'nothing'} now"

    def _parameters(self, old: Json, new: Json) -> Iterator[str]:
        for key, parameter in new.items():
            was = old.get(key, {})
            if parameter.get("required") and not was.get("required"):
                yield f"{key[0]} {parameter['name']} is required now"
        for key, parameter in old.items():
            where = f"{key[0]} {parameter['name']}"
            if key not in new:
                yield f"{where} is not taken any more"
            else:
                yield from self._schema("request", where, parameter["schema"], new[key]["schema"])

    def _body(self, old: Json | None, new: Json | None) -> Iterator[str]:
        if new and new.get("required") and not (old and old.get("required")):
            yield "body is required now"
        if old and not new:
            yield "body is not taken any more"
        if old and new:
            yield from self._content("request", "body", old["content"], new["content"])

    def _responses(self, old: Json, new: Json) -> Iterator[str]:
        """An error that is not given any more harms nobody; neither does a new one, which is a problem document."""
        for status, response in old.items():
            if status in new:
                content = response.get("content", {}), new[status].get("content", {})
                yield from self._content("response", status, *content)
            elif status[0] in "23":
                yield f"{status} is not answered any more"

    def _content(self, direction: Direction, where: str, old: Json, new: Json) -> Iterator[str]:
        for kind, content in old.items():
            if kind not in new:
                yield f"{where}: {kind} is gone"
            else:
                schemas = content.get("schema", {}), new[kind].get("schema", {})
                yield from self._schema(direction, where, *schemas)

    def _schema(self, direction: Direction, where: str, old: Json, new: Json) -> Iterator[str]:
        if direction == "request":
            found = _Fit(direction, self._before, self._after).lacks(old, new)
        else:
            found = _Fit(direction, self._after, self._before).lacks(new, old)
        for place, reason in dict.fromkeys(found):
            yield f"{where}{place} {reason}"


def _asks_no_more(new: Json, old: Json) -> bool:
    return all(name in old and set(scopes) <= set(old[name]) for name, scopes in new.items())


Lack = tuple[str, str]
"""Where below the schema, and what is said of it."""


class _Fit:
    """Whether what one document's schemas allow (`given`) fits another's (`taken`)."""

    def __init__(self, direction: Direction, giver: Json, taker: Json) -> None:
        self._direction = direction
        self._giver = giver
        self._taker = taker
        self._begun: set[tuple[str, str]] = set()

    def lacks(self, given: Json, taken: Json, place: str = "") -> list[Lack]:
        """Why a value of `given` may not fit `taken`; of several ways to fit, why not the nearest."""
        found = []
        ways = list(_alternatives(taken, self._taker))
        for name, schema in _alternatives(given, self._giver):
            fits = [
                self._named((name, other), schema, way, place)
                for other, way in ways
                if _is_kind(schema, way)
            ]
            if fits:
                found += sorted(fits, key=len)[0]
            else:
                found.append(self._said("kind", place, schema.get("type", "value of any kind")))
        return found

    def _named(self, pair: tuple[str, str], given: Json, taken: Json, place: str) -> list[Lack]:
        """As `_one`; a schema that holds itself is not compared within itself."""
        if pair in self._begun:
            return []
        named = {pair} if all(pair) else set()
        self._begun |= named
        found = self._one(given, taken, place)
        self._begun -= named
        return found

    def _one(self, given: Json, taken: Json, place: str) -> list[Lack]:
        found = []
        if "enum" in taken and taken["enum"] != given.get("enum"):
            values = [value for value in given.get("enum", []) if value not in taken["enum"]]
            if "enum" not in given:
                found.append(self._said("kind", place, "value but those listed"))
            found += [self._said("kind", place, json.dumps(value)) for value in values]
        if "format" in taken and taken["format"] != given.get("format"):
            found.append(self._said("format", place, taken["format"]))
        if self._direction == "request" and "enum" not in given:
            found += [self._said("limit", place, limit) for limit in _limits(given, taken)]
        if "items" in taken:
            found += self.lacks(given.get("items", {}), taken["items"], f"{place}[]")
        if taken.get("type") == "object":
            found += self._properties(given, taken, place)
        return found

    def _properties(self, given: Json, taken: Json, place: str) -> list[Lack]:
        ours, theirs = given.get("properties", {}), taken.get("properties", {})
        missed = [
            name for name in taken.get("required", []) if name not in given.get("required", [])
        ]
        found = []
        if self._direction == "request":  # what was sent before is ignored now, or even refused
            gone = [name for name in ours if name not in theirs]
        else:
            gone = [name for name in theirs if name not in ours]
        found += [self._said("gone", f"{place}.{name}") for name in gone]
        found += [self._said("required", f"{place}.{name}") for name in missed if name not in gone]
        for name in ours:
            if name in theirs:
                found += self.lacks(ours[name], theirs[name], f"{place}.{name}")
        more, allowed = (each.get("additionalProperties", True) for each in (given, taken))
        if isinstance(more, dict) and isinstance(allowed, dict):
            found += self.lacks(more, allowed, f"{place}.*")
        elif self._direction == "request" and more is not False and allowed is not True:
            found.append(self._said("others", place))
        return found

    def _said(self, what: str, place: str, value: object = "") -> Lack:
        return place, _SAID[what][self._direction].format(value)


def _alternatives(schema: Json, document: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """The ways to satisfy a schema, each of one kind, with the name that it has."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from _alternatives(target, document, schema["$ref"])
    elif ways := schema.get("anyOf") or schema.get("oneOf"):
        for way in ways:
            yield from _alternatives(way, document)
    elif "allOf" in schema:
        yield name, _merged(schema["allOf"], document)
    elif isinstance(schema.get("type"), list):
        for kind in schema["type"]:
            yield "", {**schema, "type": kind}
    elif values := [schema["const"]] if "const" in schema else schema.get("enum"):
        for kind in dict.fromkeys(_KINDS[type(value)] for value in values):
            same = [value for value in values if _KINDS[type(value)] == kind]
            yield name, {**schema, "type": kind, "enum": same}
    else:
        yield name, schema


def _merged(parts: list[Json], document: Json) -> Json:
    whole: Json = {}
    for part in parts:
        for _, schema in _alternatives(part, document):
            properties = {**whole.get("properties", {}), **schema.get("properties", {})}
            required = [*whole.get("required", []), *schema.get("required", [])]
            whole |= {**schema, "properties": properties, "required": required}
    return whole


def _is_kind(given: Json, taken: Json) -> bool:
    kinds = given.get("type"), taken.get("type")
    return kinds[1] is None or kinds[0] == kinds[1] or kinds == ("integer", "number")


def _limits(given: Json, taken: Json) -> Iterator[str]:
    """What `taken` asks for that `given` does not promise."""
    for keyword in _UPPER:
        if keyword in taken and given.get(keyword, float("inf")) > taken[keyword]:
            yield f"{keyword} {taken[keyword]}"
    for keyword in _LOWER:
        if keyword in taken and given.get(keyword, float("-inf")) < taken[keyword]:
            yield f"{keyword} {taken[keyword]}"
    for keyword in _SAME:
        if keyword in taken and given.get(keyword) != taken[keyword]:
            yield f"{keyword} {taken[keyword]}"
