"""How many documents the rules read for one decision. Ten are allowed; an eleventh refuses all."""

import re
from collections.abc import Callable

from tests.rules import allowed
from tests.rules.allowed import (
    APPOINTMENTS,
    AT_ONCE,
    DEVICES,
    DOCTORS_APPOINTMENT,
    DOCTORS_IMAGE,
    DOCTORS_RECORDING,
    ENTRIES,
    ENTRIES_LISTED,
    IMAGES,
    LONGEST,
    NOTES,
    NOTES_COUNTED,
    NOTES_LISTED,
    RECORDINGS,
    SEEN,
    SHORTEST,
)
from tests.rules.firestore import RULES, Firestore, Outcome
from tests.rules.people import copied

_LIMIT = 10
_CALL = r"\b(get|exists|getAfter|existsAfter)\((?:/|path)"
_SUCCESSES = [
    *allowed.PER_PERSON.values(),
    DOCTORS_APPOINTMENT,
    DOCTORS_RECORDING,
    DOCTORS_IMAGE,
    SEEN,
    SHORTEST,
    LONGEST,
]
# The emulator doesn't count for queries; their rules are those that it does count for.
_UNCOUNTED = [
    NOTES,
    NOTES_COUNTED,
    NOTES_LISTED,
    DEVICES,
    ENTRIES,
    ENTRIES_LISTED,
    APPOINTMENTS,
    RECORDINGS,
    IMAGES,
]


def _with_more_calls(count: int) -> str:
    """The rules, reading that many other documents first, in every decision."""
    path = "/databases/$(database)/documents/absent"
    calls = "".join(f"!exists({path}/{number}) && " for number in range(count))
    before, start, after = RULES.partition("function isActiveSelf(uid) {\n      return ")
    assert start
    return before + start + calls + after


async def _outcomes(firestore: Firestore, more: int) -> list[Outcome]:
    project = f"demo-calls-{more}"
    async with await copied(firestore, project, _with_more_calls(more)) as padded:
        return await padded.outcomes(_SUCCESSES)


async def test_p06_every_success_leaves_room_for_six_more_access_calls(
    firestore: Firestore, figure: Callable[[str, object], None]
) -> None:
    """Measured: what may be added before the limit refuses is what the rules leave of it."""
    calls = 0
    while not all(outcome.is_allowed for outcome in await _outcomes(firestore, _LIMIT - calls)):
        calls += 1
        assert calls <= 8, "some success is refused whatever room there is"
    figure("access calls at most", calls)
    assert calls == 4


async def test_p06_an_exceeded_limit_is_told_from_a_refusal_of_the_rules(
    firestore: Firestore,
) -> None:
    refused = await _outcomes(firestore, _LIMIT + 1)
    counted = [
        outcome
        for success, outcome in zip(_SUCCESSES, refused, strict=True)
        if success not in _UNCOUNTED
    ]
    assert len(counted) == 20
    assert all("Service call error" in outcome.reason for outcome in counted)


def test_p06_the_rules_name_four_access_calls() -> None:
    assert sorted(re.findall(_CALL, RULES)) == ["exists", "get", "get", "get"]


async def test_p06_many_writes_at_once_stay_within_the_limit(firestore: Firestore) -> None:
    assert len(AT_ONCE.request.body["writes"]) > 8
    assert (await firestore.outcome(AT_ONCE)).is_allowed
