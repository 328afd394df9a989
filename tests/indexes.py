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


def declared() -> tuple[dict[str, list[Index]], set[tuple[str, str]]]:
    """Composite indexes by collection, and the fields indexed across a collection group."""
    document = json.loads((ROOT / "firestore.indexes.json").read_text())
    composite: dict[str, list[Index]] = {}
    for index in document["indexes"]:
        fields = tuple(
            (part["fieldPath"], part.get("order") or part["arrayConfig"])
            for part in index["fields"]
        )
        composite.setdefault(index["collectionGroup"], []).append(fields)
    groups = {
        (override["collectionGroup"], override["fieldPath"])
        for override in document["fieldOverrides"]
        for index in override["indexes"]
        if index["queryScope"] == "COLLECTION_GROUP"
    }
    return composite, groups


def is_declared(shape: Shape) -> bool:
    composite, groups = declared()
    order = _without_final_name(shape.order)
    if shape.is_group:
        return not order and all((shape.collection, field) in groups for field, _ in shape.filters)
    wanted = {(field, _KIND[operator]) for field, operator in shape.filters}
    if not order or (len(order) == 1 and not wanted):
        return len([kind for _, kind in wanted if kind == "CONTAINS"]) <= 1
    usable = [
        set(index[: -len(order)])
        for index in composite.get(shape.collection, [])
        if index[-len(order) :] == order and set(index[: -len(order)]) <= wanted
    ]
    return set().union(*usable) == wanted and bool(usable)


_KIND = {"EQUAL": "ASCENDING", "ARRAY_CONTAINS": "CONTAINS"}


def _without_final_name(order: Index) -> Index:
    """Every index ends in the name, in the direction of its last field; said or not is the same."""
    directions = {direction for _, direction in order[-2:]}
    if order and order[-1][0] == "__name__" and len(directions) == 1:
        return order[:-1]
    return order
