"""Chains of audit events: what was written verifies, and whatever is done to it afterwards shows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.chain import Break, Chains, breaks
from common.models import AuditEvent, Outcome, Role

START = datetime(2026, 1, 1, tzinfo=UTC)
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def settings_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    from common import chain, settings

    given = settings.Settings(project_id="p", page_token_key=b"k" * 32, audit_key=b"a" * 32)
    monkeypatch.setattr(chain, "settings", lambda: given)


def an_event(number: int) -> AuditEvent:
    moment = START + timedelta(minutes=number)
    return AuditEvent(
        create_time=moment,
        update_time=moment,
        actor_uid=f"u{number}",
        actor_role=Role.DOCTOR,
        action="patients.read",
        resource="patients/p",
        subject_uid="p",
        outcome=Outcome.ALLOWED,
        reason="care_team",
        request_id="r",
        address="127.0.0.1",
    )


Trail = dict[str, AuditEvent]


def written(steps: list[tuple[bool | None, int]]) -> Trail:
    """A trail of commits of which up to so many are under way at once; each ends as it is said."""
    chains, stored = Chains(), Trail()
    under_way: list[tuple[str, AuditEvent, Callable[[bool | None], None], bool | None]] = []

    def settle() -> None:
        id, event, told, happened = under_way.pop(0)
        if happened is not False:
            stored[id] = event  # nobody knows of None, but suppose that it happened
        told(happened)

    for number, (happened, most) in enumerate(steps):
        event = an_event(number)
        id, told = chains.link(event)
        under_way.append((id, event, told, happened))
        while len(under_way) > most:
            settle()
    while under_way:
        settle()
    return stored


def found(trail: Trail, kept_since: datetime = ALWAYS) -> list[Break]:
    async def events() -> AsyncIterator[AuditEvent]:
        for id in sorted(trail):
            event = trail[id].model_copy()
            event.stored_as(f"audit_events/{id}", "")
            yield event

    async def lookup(id: str) -> AuditEvent | None:
        return trail.get(id)

    async def all_() -> list[Break]:
        return [each async for each in breaks(events(), lookup, kept_since)]

    return asyncio.run(all_())


STEPS = st.lists(st.tuples(st.sampled_from([True, True, True, False, None]), st.integers(0, 5)), min_size=3, max_size=40)  # fmt: skip


@given(STEPS)
def test_whatever_fails_or_overlaps_what_was_stored_verifies(
    steps: list[tuple[bool | None, int]],
) -> None:
    assert found(written(steps)) == []


def test_one_commit_after_another_continues_one_chain() -> None:
    trail = written([(True, 0)] * 5)
    assert len({id.split("-")[0] for id in trail}) == 1


def test_commits_at_the_same_time_take_chains_of_their_own_and_no_more() -> None:
    trail = written([(True, 3)] * 20)
    assert len({id.split("-")[0] for id in trail}) == 4


def test_a_refused_commit_leaves_no_gap() -> None:
    trail = written([(True, 0), (False, 0), (True, 0)])
    assert [id.split("-")[1] for id in sorted(trail)] == ["000001", "000002"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor_uid", "somebody"),
        ("outcome", Outcome.REFUSED),
        ("reason", None),
        ("create_time", START),
        ("subject_uid", "q"),
        ("follows", None),
        ("follows_mac", "0" * 64),
        ("mac", None),
        ("mac", "0" * 64),
        ("mac", "é"),
    ],
)
def test_an_altered_event_is_noticed(field: str, value: Any) -> None:
    trail = written([(True, 0)] * 5)
    id = sorted(trail)[2]
    trail[id] = trail[id].model_copy(update={field: value})
    assert Break(id, "altered, or moved here from another place") in found(trail)


@given(STEPS, st.data())
def test_a_deleted_event_is_noticed_unless_nothing_follows_it(
    steps: list[tuple[bool | None, int]], data: st.DataObject
) -> None:
    trail = written(steps)
    followed = sorted({event.follows for event in trail.values() if event.follows} & set(trail))
    if not followed:
        return
    gone = data.draw(st.sampled_from(followed))
    del trail[gone]
    assert Break(gone, "deleted") in found(trail)


def test_two_events_that_changed_places_are_noticed() -> None:
    trail = written([(True, 0)] * 5)
    one, other = sorted(trail)[1:3]
    trail[one], trail[other] = trail[other], trail[one]
    assert {each.id for each in found(trail)} >= {one, other}


def test_an_event_copied_to_another_place_is_noticed() -> None:
    trail = written([(True, 0)] * 5)
    trail["copied-000001"] = trail[sorted(trail)[0]]
    assert [each.id for each in found(trail)] == ["copied-000001"]


def test_an_invented_event_needs_the_key() -> None:
    trail = written([(True, 0)] * 2)
    trail["invented-000001"] = an_event(7)
    assert [each.id for each in found(trail)] == ["invented-000001"]


def test_a_chain_replaced_by_an_earlier_writing_of_it_is_noticed() -> None:
    """An event of the same place with a good MAC, but not the one that its successor follows."""
    trail = written([(True, 0)] * 3)
    chains = Chains()
    event = an_event(9)
    first = sorted(trail)[0]
    from common.chain import mac_of

    id, _ = chains.link(event)
    event.mac = mac_of(first, event)
    trail[first] = event
    assert id
    assert Break(first, "replaced") in found(trail)


def test_events_whose_retention_has_ended_may_be_missing_and_no_others() -> None:
    trail = written([(True, 0)] * 6)
    ids = sorted(trail)
    cutoff = START + timedelta(minutes=3)
    for id in ids[:3]:
        del trail[id]
    assert found(trail, cutoff) == []
    del trail[ids[3]]
    assert found(trail, cutoff) == [Break(ids[3], "deleted")]


def test_events_of_before_a_change_of_the_key_verify_while_the_old_key_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from common import chain, settings

    trail = written([(True, 0)] * 3)
    for older, expected in (((), 3), ((b"a" * 32,), 0), ((b"c" * 32,), 3)):
        given = settings.Settings(
            project_id="p",
            page_token_key=b"k" * 32,
            audit_key=b"b" * 32,
            audit_keys_before=older,
        )
        monkeypatch.setattr(chain, "settings", lambda given=given: given)
        assert len(found(trail)) == expected
