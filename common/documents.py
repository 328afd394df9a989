"""Firestore's document messages as plain Python values, and back.

The client library's own decoder takes twice the time, and its encoder five
times; each request reads a document and writes one at least. Only the kinds of
value that our models store are known.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import write as write_types
from google.protobuf.struct_pb2 import NULL_VALUE
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

Value = document_types.Value.pb()
_Map = document_types.MapValue.pb()
_Array = document_types.ArrayValue.pb()
_Transform = write_types.DocumentTransform.FieldTransform.pb()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoded(fields: Any) -> dict[str, Any]:
    """The fields of a raw (protobuf, not proto-plus) `Document`."""
    return {name: _value(value) for name, value in fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    return _DECODERS[kind](value)


_DECODERS: dict[str | None, Callable[[Any], Any]] = {
    "string_value": lambda value: value.string_value,
    "integer_value": lambda value: value.integer_value,
    "boolean_value": lambda value: value.boolean_value,
    "double_value": lambda value: value.double_value,
    "null_value": lambda value: None,
    "timestamp_value": lambda value: value.timestamp_value.ToDatetime(UTC),
    "bytes_value": lambda value: value.bytes_value,
    "map_value": lambda value: decoded(value.map_value.fields),
    "array_value": lambda value: [_value(item) for item in value.array_value.values],
}


# ---------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Plus:
    """As a field's new value: so much more than it is."""

    by: int


@dataclass(frozen=True, slots=True)
class AtLeast:
    """As a field's new value: this, unless it is more."""

    value: int


@dataclass(frozen=True, slots=True)
class Vector:
    """What a text means, as numbers, for Firestore's vector index."""

    values: tuple[float, ...]


def encoded(value: Any) -> Any:
    """A value as Firestore takes it: models as maps, enums by value, days as text."""
    encode = _ENCODERS.get(type(value))
    if encode is not None:
        return encode(value)
    if isinstance(value, BaseModel):
        return Value(map_value=_Map(fields=fields_of(dict(value))))
    if isinstance(value, Enum):
        return encoded(value.value)
    if isinstance(value, Mapping):
        return Value(map_value=_Map(fields=fields_of(value)))
    if isinstance(value, datetime):
        return _moment(value)
    raise TypeError(f"{type(value).__name__} is not stored")


def fields_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encoded(value) for name, value in fields.items()}


def _moment(value: datetime) -> Any:
    since = value - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return Value(timestamp_value=Timestamp(seconds=seconds, nanos=since.microseconds * 1000))


def _vector(value: Vector) -> Any:
    """As the client library writes it: a map of a kind that Firestore knows."""
    numbers = [Value(double_value=each) for each in value.values]
    fields = {
        "__type__": Value(string_value="__vector__"),
        "value": Value(array_value=_Array(values=numbers)),
    }
    return Value(map_value=_Map(fields=fields))


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    Vector: _vector,
    str: lambda value: Value(string_value=value),
    bool: lambda value: Value(boolean_value=value),
    int: lambda value: Value(integer_value=value),
    float: lambda value: Value(double_value=value),
    bytes: lambda value: Value(bytes_value=value),
    type(None): lambda value: Value(null_value=NULL_VALUE),
    datetime: _moment,
    # Firestore knows moments only; as text, days sort as they should.
    date: lambda value: Value(string_value=value.isoformat()),
    dict: lambda value: Value(map_value=_Map(fields=fields_of(value))),
    list: lambda value: Value(array_value=_Array(values=[encoded(each) for each in value])),
    tuple: lambda value: Value(array_value=_Array(values=[encoded(each) for each in value])),
}


@dataclass
class Change:
    """Some fields of a document: what is set, and what is added to what is there."""

    fields: dict[str, Any]
    paths: list[str]
    """Of the fields that are set."""
    transforms: list[Any]


def changed(fields: Mapping[str, Any]) -> Change:
    """For an update: names are paths, `a.b` within a map; a mapping replaces the whole field."""
    change = Change({}, [], [])
    nested: dict[str, Any] = {}
    for path, value in fields.items():
        if isinstance(value, Plus | AtLeast):
            change.transforms.append(_transform(path, value))
            continue
        change.paths.append(path)
        _nest(nested, path.split("."), value)
    change.fields = fields_of(nested)
    return change


def _nest(nested: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *outer, name = path
    for part in outer:
        nested = nested.setdefault(part, {})
    nested[name] = value


def merged(fields: Mapping[str, Any]) -> Change:
    """For a merge: each leaf of nested mappings is set by itself."""
    change = Change({}, [], [])
    nested: dict[str, Any] = {}
    for path, value in _leaves(fields):
        name = ".".join(map(_quoted, path))
        if isinstance(value, Plus | AtLeast):
            change.transforms.append(_transform(name, value))
            continue
        change.paths.append(name)
        _nest(nested, path, value)
    change.fields = fields_of(nested)
    return change


def _leaves(
    fields: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _quoted(name: str) -> str:
    """One part of a field's path, as Firestore writes what is no identifier."""
    if _PLAIN.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _transform(path: str, value: Plus | AtLeast) -> Any:
    if isinstance(value, Plus):
        return _Transform(field_path=path, increment=Value(integer_value=value.by))
    return _Transform(field_path=path, maximum=Value(integer_value=value.value))
