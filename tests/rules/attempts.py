"""What an app could ask of Firestore itself, as data: who asks, for what, over which documents.

Texts hold names in braces: `{owner}` is the uid of whose documents are meant,
`{new}` an id that nothing else has (as `{fifteen}`, `{sixteen}` and
`{thousand}` of that length), `{documents}` the database's root, and each
person's name their uid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

NOW = object()
"""A field that the server sets to the time of the request."""

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Attempt:
    who: str
    request: Request
    given: Mapping[str, Fields] = field(default_factory=dict)
    """Documents that are there before, by path."""
    owner: str = ""
    """Whose documents are meant; the person's own unless another is named."""

    def by(self, who: str) -> "Attempt":
        """The same, on the same documents, by another person."""
        return replace(self, who=who, owner=self.owner or self.who)

    def as_(self, who: str) -> "Attempt":
        """The same by another person on documents of their own."""
        return replace(self, who=who, owner="")

    def but(self, request: Request, given: Mapping[str, Fields] | None = None) -> "Attempt":
        """The same person and documents, another request."""
        return replace(self, request=request, given=self.given if given is None else given)


# ---------------------------------------------------------------- reads


def get(path: str) -> Request:
    return Request("GET", f"/{path}")


def list_(path: str) -> Request:
    return Request("GET", f"/{path}?pageSize=3")


def query(collection: str, parent: str = "", is_group: bool = False, where: Any = None) -> Request:
    selector = {"collectionId": collection, "allDescendants": is_group}
    wanted = {"from": [selector], "limit": 3} | ({"where": where} if where else {})
    return Request("POST", f"{parent and '/'}{parent}:runQuery", {"structuredQuery": wanted})


def count(collection: str, parent: str) -> Request:
    counted = {
        "structuredQuery": {"from": [{"collectionId": collection}]},
        "aggregations": [{"alias": "n", "count": {}}],
    }
    body = {"structuredAggregationQuery": counted}
    return Request("POST", f"/{parent}:runAggregationQuery", body)


def get_both(*paths: str) -> Request:
    return Request("POST", ":batchGet", {"documents": [f"{{documents}}/{p}" for p in paths]})


def is_(name: str, value: Any) -> Any:
    """A query's condition."""
    test = {"field": {"fieldPath": name}, "op": "EQUAL", "value": value}
    return {"fieldFilter": test}


def is_own(name: str, whose: str = "{owner}") -> Any:
    """The condition that a field holds their uid."""
    return is_(name, {"stringValue": whose})


# ---------------------------------------------------------------- writes


def commit(*writes: Any) -> Request:
    return Request("POST", ":commit", {"writes": list(writes)})


def setting(path: str, fields: Fields) -> Any:
    """A write of the whole document, whether it is there or not."""
    write: dict[str, Any] = {"update": {"name": f"{{documents}}/{path}", "fields": stored(fields)}}
    at_server = [name for name, value in fields.items() if value is NOW]
    if at_server:
        write["updateTransforms"] = [
            {"fieldPath": name, "setToServerValue": "REQUEST_TIME"} for name in at_server
        ]
    return write


def creating(path: str, fields: Fields) -> Any:
    return setting(path, fields) | {"currentDocument": {"exists": False}}


def changing(path: str, fields: Fields, removed: tuple[str, ...] = ()) -> Any:
    """A write of these fields; those in `removed` lose their value."""
    names = [name for name, value in fields.items() if value is not NOW]
    return setting(path, fields) | {
        "updateMask": {"fieldPaths": [*names, *removed]},
        "currentDocument": {"exists": True},
    }


def deleting(path: str) -> Any:
    return {"delete": f"{{documents}}/{path}"}


def patch(path: str, fields: Fields) -> Request:
    """The REST interface's own write, beside commits."""
    return Request("PATCH", f"/{path}", {"fields": stored(fields)})


def post(collection: str, id: str, fields: Fields) -> Request:
    return Request("POST", f"/{collection}?documentId={id}", {"fields": stored(fields)})


def delete(path: str) -> Request:
    return Request("DELETE", f"/{path}")


# ---------------------------------------------------------------- values


def stored(fields: Fields) -> dict[str, Any]:
    """Fields as Firestore's REST interface writes them, without those that the server sets."""
    return {name: _value(value) for name, value in fields.items() if value is not NOW}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case datetime():
            return {"timestampValue": value.isoformat().replace("+00:00", "Z")}
        case str():
            return {"stringValue": value}
    raise TypeError(type(value))


def filled(template: Any, names: Mapping[str, str]) -> Any:
    """The template with its names replaced, at any depth."""
    match template:
        case str():
            for name, value in names.items():
                template = template.replace(f"{{{name}}}", value)
            return template
        case list():
            return [filled(each, names) for each in template]
        case dict():
            return {filled(key, names): filled(value, names) for key, value in template.items()}
    return template
