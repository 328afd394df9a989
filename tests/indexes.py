"""Which composite indexes a query needs, and whether firestore.indexes.json declares them.

The emulator answers any query; the cloud refuses one without its index. The
rules are Firestore's: equalities alone, or one field alone, are served by
the automatic indexes; with another field's order, indexes are needed that end
in that order, and several may be merged if together they hold every equality.
"""

import json

from local.bootstrap import ROOT
from tests.recorder import Shape

Index = tuple[tuple[str, str], ...]
VECTOR = "VECTOR"


Scope = tuple[str, bool]
"""A collection's name, and whether every collection of that name is asked at once."""


def declared() -> tuple[dict[Scope, list[Index]], set[tuple[str, str]]]:
    """Composite indexes by scope, and the fields indexed across a collection group."""
    document = json.loads((ROOT / "firestore.indexes.json").read_text())
    composite: dict[Scope, list[Index]] = {}
    for index in document["indexes"]:
        fields = tuple(
            (part["fieldPath"], part.get("order") or part.get("arrayConfig") or VECTOR)
            for part in index["fields"]
        )
        scope = (index["collectionGroup"], index["queryScope"] == "COLLECTION_GROUP")
        composite.setdefault(scope, []).append(fields)
    groups = {
        (override["collectionGroup"], override["fieldPath"])
        for override in document["fieldOverrides"]
        for index in override["indexes"]
        if index["queryScope"] == "COLLECTION_GROUP"
    }
    return composite, groups


def is_declared(shape: Shape) -> bool:
    composite, groups = declared()
    if shape.nearest:
        wanted = {*((field, _KIND[op]) for field, op in shape.filters), (shape.nearest, VECTOR)}
        scope = (shape.collection, shape.is_group)
        return any(set(index) == wanted for index in composite.get(scope, []))
    order = _without_final_name(shape.order)
    # A range needs no index beyond that of the order, which must begin with its field.
    ranged = {field for field, operator in shape.filters if operator in _RANGES}
    if len(ranged) == 1 and not order:  # as Firestore takes it then
        order = tuple((field, "ASCENDING") for field in ranged)
    if ranged and ranged != {field for field, _ in order[:1]}:
        return False
    wanted = {(field, _KIND[op]) for field, op in shape.filters if op not in _RANGES}
    if not order or (len(order) == 1 and not wanted):
        fields = {field for field, _ in (*wanted, *order)}
        is_one_array = len([kind for _, kind in wanted if kind == "CONTAINS"]) <= 1
        return is_one_array and (
            not shape.is_group or all((shape.collection, field) in groups for field in fields)
        )
    usable = [
        set(index[: -len(order)])
        for index in composite.get((shape.collection, shape.is_group), [])
        if index[-len(order) :] == order and set(index[: -len(order)]) <= wanted
    ]
    return set().union(*usable) == wanted and bool(usable)


_KIND = {
    "EQUAL": "ASCENDING",
    "IN": "ASCENDING",
    "ARRAY_CONTAINS": "CONTAINS",
    "ARRAY_CONTAINS_ANY": "CONTAINS",
}
# IN is several queries with EQUAL.
_RANGES = {
    "LESS_THAN",
    "LESS_THAN_OR_EQUAL",
    "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL",
}


def _without_final_name(order: Index) -> Index:
    """Every index ends in the name, in the direction of its last field; said or not is the same."""
    directions = {direction for _, direction in order[-2:]}
    if order and order[-1][0] == "__name__" and len(directions) == 1:
        return order[:-1]
    return order
