"""Firestore's document messages as plain Python values.

The client library's own decoder takes twice the time; each request decodes at
least one document. Only the kinds of value that our models store are known.
"""

from collections.abc import Callable
from datetime import UTC
from typing import Any


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
