"""Each refusal of the table, beside the success that it differs from in one thing."""

from collections.abc import Callable

import pytest

from tests.rules.firestore import Firestore
from tests.rules.pairs import Pair, attempts_of
from tests.rules.table import PAIRS

Figure = Callable[[str, object], None]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
async def test_p05_the_rules_refuse_what_is_not_named(firestore: Firestore, pair: Pair) -> None:
    assert not (await firestore.outcome(pair.refused)).is_allowed


async def test_p06_each_refusal_stands_beside_a_success(
    firestore: Firestore, figure: Figure
) -> None:
    """And is no failure to look something up, which is what an exceeded limit looks like."""
    attempts = attempts_of(PAIRS)
    outcomes = await firestore.outcomes(attempts)
    came_of = {id(attempt): outcome for attempt, outcome in zip(attempts, outcomes, strict=True)}
    for pair in PAIRS:
        success, refusal = came_of[id(pair.beside)], came_of[id(pair.refused)]
        assert success.is_allowed, (pair.name, success.reason)
        assert not refusal.is_allowed, pair.name
        assert "Service call error" not in refusal.reason, (pair.name, refusal.reason)
    figure("refusals of the rules beside a success", len(PAIRS))


def test_no_two_pairs_have_one_name() -> None:
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)
