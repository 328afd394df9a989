"""What breaks a client and what does not, one change at a time; the direction decides."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from local.compatibility import breaks

Document = dict[str, Any]
Change = Callable[[Document], Any]

TEXT = {"type": "string"}
OPTIONAL = {"anyOf": [TEXT, {"type": "null"}]}


def schema_of(name: str) -> Document:
    """A record, which may hold another of its kind."""
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 80},
            "color": {"enum": ["red", "blue"], "type": "string"},
            "note": OPTIONAL,
            "number": {"type": "integer"},
            "since": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": TEXT},
            "labels": {"type": "object", "additionalProperties": TEXT},
            "parent": {"anyOf": [{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}]},
        },
        "required": ["name", "color"],
    }


GIVEN, TAKEN = "Record", "Wish"
"""What the service answers, and what it takes."""

DOCUMENT: Document = {
    "openapi": "3.1.0",
    "servers": [{"url": "/v1"}],
    "paths": {
        "/records/{id}": {
            "put": {
                "operationId": "put_record",
                "security": [{"firebase": []}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": TEXT},
                    {"name": "size", "in": "query", "required": False, "schema": OPTIONAL},
                    {"name": "If-Match", "in": "header", "required": False, "schema": TEXT},
                ],
                "requestBody": {
                    "required": False,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}
                    },
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Record"}},
                            "text/calendar": {"schema": TEXT},
                        }
                    },
                    "404": {"content": {"application/problem+json": {"schema": {}}}},
                },
            }
        },
        "/health": {"get": {"operationId": "health", "responses": {"200": {}}}},
    },
    "components": {"schemas": {name: schema_of(name) for name in (GIVEN, TAKEN)}},
}


def put(document: Document) -> Document:
    operation: Document = next(iter(document["paths"].values()))["put"]
    return operation


def parameter(document: Document, number: int) -> Document:
    found: Document = put(document)["parameters"][number]
    return found


def changed(change: Change) -> list[str]:
    after = copy.deepcopy(DOCUMENT)
    change(after)
    return breaks(DOCUMENT, after)


def test_a_document_is_compatible_with_itself() -> None:
    assert breaks(DOCUMENT, copy.deepcopy(DOCUMENT)) == []


# ---------------------------------------------------------------- operations


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda d: d["servers"].clear(), "the API has moved"),
        (lambda d: d["paths"].pop("/health"), "GET /health: is gone"),
        (lambda d: d["paths"]["/health"].pop("get"), "GET /health: is gone"),
        (lambda d: put(d).update(operationId="set"), "clients call it set now"),
        (lambda d: put(d).update(security=[{"firebase": ["admin"]}]), "more than firebase now"),
        (lambda d: put(d).update(security=[{"key": []}]), "asks for more than firebase now"),
        (lambda d: d.update(security=[{"key": []}]), "/health: asks for more than nothing now"),
        (lambda d: put(d)["parameters"].pop(1), "query size is not taken any more"),
        (lambda d: put(d)["parameters"].pop(), "header If-Match is not taken any more"),
        (lambda d: parameter(d, 1).update(required=True), "query size is required now"),
        (lambda d: parameter(d, 1).update(schema=TEXT), "query size takes no null any more"),
        (lambda d: parameter(d, 0).update(schema={"type": "integer"}), "id takes no string"),
        (lambda d: parameter(d, 0).update(schema={**TEXT, "pattern": "x"}), "by pattern x now"),
        (lambda d: put(d).pop("requestBody"), "body is not taken any more"),
        (lambda d: put(d)["requestBody"].update(required=True), "body is required now"),
        (lambda d: put(d)["requestBody"].update(content={}), "body: application/json is gone"),
        (lambda d: put(d)["responses"].pop("200"), "200 is not answered any more"),
        (
            lambda d: put(d)["responses"]["200"]["content"].pop("text/calendar"),
            "200: text/calendar is gone",
        ),
    ],
)
def test_an_operation_that_changes_so_breaks_clients(change: Change, line: str) -> None:
    (found,) = changed(change)
    assert line in found


def moved(document: Document) -> None:
    """`id` is `record_id` now, which nobody sees."""
    document["paths"]["/records/{record_id}"] = document["paths"].pop("/records/{id}")
    document["paths"]["/records/{record_id}"]["put"]["parameters"][0]["name"] = "record_id"


@pytest.mark.parametrize(
    "change",
    [
        moved,
        lambda d: d["paths"].update({"/new": {"get": {"responses": {}}}}),
        lambda d: put(d).update(security=[]),
        lambda d: put(d).update(security=[{"key": []}, {"firebase": []}]),
        lambda d: put(d)["parameters"].append({"name": "q", "in": "query", "schema": TEXT}),
        lambda d: parameter(d, 2).update(name="if-match"),
        lambda d: parameter(d, 2).update(schema=OPTIONAL),
        lambda d: put(d)["requestBody"]["content"].update({"text/plain": {"schema": TEXT}}),
        lambda d: put(d)["responses"].update({"409": {}}),
        lambda d: put(d)["responses"].pop("404"),
        lambda d: put(d)["responses"]["200"]["content"].update({"text/html": {}}),
    ],
)
def test_an_operation_may_change_so(change: Change) -> None:
    assert changed(change) == []


# ---------------------------------------------------------------- schemas


def alter(properties: Document) -> Change:
    return lambda schema: schema["properties"].update(properties)


def others(allowed: object) -> Change:
    return lambda schema: schema.update(additionalProperties=allowed)


@pytest.mark.parametrize(
    ("change", "taken", "given"),
    [
        (alter({"new": TEXT}), None, None),
        (
            lambda s: s["properties"].pop("note"),
            ".note is not taken any more",
            ".note is gone",
        ),
        (lambda s: s["properties"].pop("name"), ".name is not taken any more", ".name is gone"),
        (lambda s: s["required"].append("note"), ".note is required now", None),
        (lambda s: s["required"].remove("name"), None, ".name may be missing now"),
        (alter({"note": TEXT}), ".note takes no null any more", None),
        (alter({"name": OPTIONAL}), None, ".name may be null now"),
        (alter({"name": {"type": "integer"}}), ".name takes no string", ".name may be integer"),
        (alter({"number": {"type": "number"}}), None, ".number may be number now"),
        (alter({"number": {}}), None, ".number may be value of any kind now"),
        (alter({"color": {"const": "red"}}), '.color takes no "blue" any more', None),
        (
            alter({"color": {"enum": ["red", "blue", "green"], "type": "string"}}),
            None,
            '.color may be "green" now',
        ),
        (
            alter({"color": {"enum": ["red", "blue", 3]}}),
            None,
            ".color may be integer now",
        ),
        (alter({"color": {"type": "string", "minLength": 1}}), None, ".color may be value but"),
        (alter({"color": TEXT}), None, ".color may be value but those listed now"),
        (alter({"since": TEXT}), None, ".since need not be a date any more"),
        (alter({"number": {"type": "integer", "maximum": 9}}), ".number is limited by max", None),
        (alter({"number": {"type": "integer", "minimum": 0}}), ".number is limited by min", None),
        (alter({"name": {"type": "string", "maxLength": 90, "minLength": 0}}), None, None),
        (alter({"name": {"type": "string", "maxLength": 70}}), "maxLength 70 now", None),
        (
            alter({"tags": {"type": "array", "items": {"enum": ["a"], "type": "string"}}}),
            ".tags[] takes no value but those listed any more",
            None,
        ),
        (
            alter({"tags": {"type": ["array", "null"], "items": OPTIONAL}}),
            None,
            ".tags[] may be null now",
        ),
        (
            alter({"labels": {"type": "object", "additionalProperties": {"type": "integer"}}}),
            ".labels.* takes no string any more",
            ".labels.* may be integer now",
        ),
        (others(False), "body takes no other properties any more", None),
        (others(TEXT), "body takes no other properties any more", None),
        (alter({"name": {"allOf": [TEXT, {"maxLength": 80}]}}), None, None),
    ],
)
def test_a_schema_that_changes_so_breaks_clients_in_its_direction(
    change: Change, taken: str | None, given: str | None
) -> None:
    for schema, expected in ((TAKEN, taken), (GIVEN, given)):

        def apply(document: Document, schema: str = schema) -> None:
            change(document["components"]["schemas"][schema])

        found = changed(apply)
        if expected is None:
            assert found == []
        else:
            assert [line for line in found if expected in line], found
            assert all("PUT /records/{id}: " in line for line in found)


def test_what_was_strict_may_become_open() -> None:
    strict = copy.deepcopy(DOCUMENT)
    for schema in strict["components"]["schemas"].values():
        schema["additionalProperties"] = False
    opened = copy.deepcopy(strict)
    opened["components"]["schemas"][TAKEN]["additionalProperties"] = TEXT
    assert breaks(strict, opened) == []


def test_parameters_of_a_whole_path_count_for_each_of_its_operations() -> None:
    after = copy.deepcopy(DOCUMENT)
    item = after["paths"]["/records/{id}"]
    item["parameters"] = item["put"].pop("parameters")
    assert breaks(DOCUMENT, after) == []
    item["parameters"].pop()
    assert breaks(DOCUMENT, after) == ["PUT /records/{id}: header If-Match is not taken any more"]


def test_of_several_kinds_of_object_the_nearest_is_told() -> None:
    def document(name: str) -> Document:
        kinds = [
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a", "b"]},
            {"type": "object", "properties": {"c": TEXT, name: TEXT}, "required": ["c", name]},
        ]
        after = copy.deepcopy(DOCUMENT)
        after["components"]["schemas"][GIVEN] = {"oneOf": kinds}
        return after

    assert breaks(document("d"), document("d")) == []
    assert breaks(document("d"), document("e")) == ["PUT /records/{id}: 200.d is gone"]
