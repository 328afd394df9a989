"""Who may have recommendations from a record. Pure: everything needed is in the arguments."""

from common.clinical import Ground


def can_recommend(ground: Ground) -> bool:
    """For doctors with access and administrators: they are made to be weighed by who treats, not by who is treated."""
    return ground is not Ground.SELF
