"""Whether the table would notice that the rules are wrong: each mutant must break its pair."""

import asyncio
from collections.abc import Callable

from tests.rules.firestore import RULES, Firestore
from tests.rules.mutants import MUTANTS, Mutant
from tests.rules.pairs import Pair
from tests.rules.people import copied
from tests.rules.table import PAIRS

_PAIRS = {pair.name: pair for pair in PAIRS}


async def _holds(firestore: Firestore, pair: Pair) -> bool:
    success, refusal = await firestore.outcomes([pair.beside, pair.refused])
    return success.is_allowed and not refusal.is_allowed


async def _survivor(firestore: Firestore, number: int, mutant: Mutant) -> str | None:
    """The mutant's name, if its pair still holds."""
    project = f"demo-mutant-{number}"
    async with await copied(firestore, project, mutant.of(RULES)) as mutated:
        return mutant.name if await _holds(mutated, _PAIRS[mutant.noticed_by]) else None


async def test_p05_every_mutant_of_the_rules_is_noticed(
    firestore: Firestore, figure: Callable[[str, object], None]
) -> None:
    few = asyncio.Semaphore(4)

    async def one(number: int, mutant: Mutant) -> str | None:
        async with few:
            return await _survivor(firestore, number, mutant)

    found = await asyncio.gather(*(one(*each) for each in enumerate(MUTANTS)))
    survivors = [name for name in found if name]
    figure("mutated rules noticed", f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)}")
    assert not survivors
    assert len(MUTANTS) >= 12


async def test_p05_the_rules_themselves_hold_in_another_project(firestore: Firestore) -> None:
    """So it is the mutation that is noticed, not the other project: tokens count there too."""
    noticing = {mutant.noticed_by for mutant in MUTANTS}
    async with await copied(firestore, "demo-mutant-none", RULES) as same:
        broken = [name for name in noticing if not await _holds(same, _PAIRS[name])]
    assert not broken


def test_no_two_mutants_are_the_same() -> None:
    assert len({mutant.of(RULES) for mutant in MUTANTS}) == len(MUTANTS)
