"""Documents are written as the client library writes them, and read back as they were."""

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import pytest
from google.cloud.firestore_v1 import _helpers
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from common.clients import firestore_client
from common.documents import AtLeast, Plus, changed, decoded, encoded, fields_of, merged
from common.firestore import Batch, Collection
from common.models import Record
from local.platform import Platform

_SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
)
_VALUES = st.recursive(
    _SIMPLE,
    lambda inner: (
        st.lists(inner.filter(lambda v: not isinstance(v, list)), max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(fields=st.dictionaries(st.sampled_from(["a", "b", "c"]), _VALUES))
def test_what_is_written_is_what_the_library_would_write(fields: dict[str, Any]) -> None:
    ours = fields_of(fields)
    theirs = {n: type(v).pb(v) for n, v in _helpers.encode_dict(fields).items()}
    assert ours == theirs
    assert decoded(ours) == fields


class _Colour(StrEnum):
    RED = "red"


class _Inner(BaseModel):
    colour: _Colour = _Colour.RED
    day: date = date(2026, 1, 5)


def test_models_are_maps_enums_their_values_and_days_text() -> None:
    fields = decoded({"inner": encoded(_Inner())})
    assert fields == {"inner": {"colour": "red", "day": "2026-01-05"}}


@pytest.mark.parametrize("value", [object(), {1, 2}, datetime(2026, 1, 5)])  # noqa: DTZ001
def test_what_firestore_does_not_know_is_an_error(value: object) -> None:
    with pytest.raises(TypeError):
        encoded(value)


def test_an_update_names_its_fields_and_a_merge_its_leaves() -> None:
    change = changed({"a.b": 1, "c": {"d": 2}, "n": Plus(1)})
    assert change.paths == ["a.b", "c"]
    assert decoded(change.fields) == {"a": {"b": 1}, "c": {"d": 2}}
    assert [t.field_path for t in change.transforms] == ["n"]
    change = merged({"a": {"b": 1, "05": {"x-y": 2, "e": {}}}, "n": {"7": AtLeast(3)}})
    assert change.paths == ["a.b", "a.`05`.`x-y`", "a.`05`.e"]
    assert [t.field_path for t in change.transforms] == ["n.`7`"]


class _Counter(Record):
    count: int = 0
    names: dict[str, Any] = {}


async def test_increments_maxima_and_odd_names_reach_the_database(platform: Platform) -> None:
    counters = Collection(_Counter, "test_counters")
    path = counters.path("one")
    for by, least in ((2, 5), (3, 4)):
        batch = Batch()
        fields = {"names": {"05": Plus(by), "a`b": {"c.d": AtLeast(least)}}}
        batch.merge(path, {**fields, "count": Plus(1)})
        committed = await batch.commit()
    assert committed.revisions[path]
    stored = await firestore_client().document(path).get()
    assert stored.to_dict() == {"names": {"05": 5, "a`b": {"c.d": 5}}, "count": 2}
