"""How soon somebody should be seen: the word for it everywhere."""

from enum import StrEnum


class Urgency(StrEnum):
    """How soon somebody should be seen."""

    EMERGENCY = "emergency"
    """Now: an ambulance, or the nearest emergency department."""
    URGENT = "urgent"
    """Today."""
    ROUTINE = "routine"
    """At the next free appointment."""
    SELF_CARE = "self_care"
    """Not, unless it lasts or gets worse."""

    @property
    def rank(self) -> int:
        """The more urgent, the higher."""
        return _RANKS[self]


_RANKS = {each: rank for rank, each in enumerate(reversed(Urgency))}


def most_urgent(*urgencies: Urgency) -> Urgency:
    return max(urgencies, key=lambda each: each.rank)
