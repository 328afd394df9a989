"""A refusal and a success that differ in one thing, so that it can only be that which is refused."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.rules.attempts import Attempt


@dataclass(frozen=True)
class Pair:
    name: str
    refused: Attempt
    beside: Attempt


def beside(success: Attempt, **refused: Attempt) -> list[Pair]:
    return [Pair(name.replace("_", " "), attempt, success) for name, attempt in refused.items()]


def attempts_of(pairs: Iterable[Pair]) -> list[Attempt]:
    """Every attempt once, though a success stands beside many refusals."""
    return list({id(each): each for pair in pairs for each in (pair.beside, pair.refused)}.values())
