"""What all parts of the assistant send: what to do in an emergency, and what an answer is not."""

from pydantic import BaseModel

from common.red_flags import RedFlag
from common.urgency import Urgency

DISCLAIMER = "This is no diagnosis and takes no doctor's place. In an emergency call an ambulance."


class Alarm(BaseModel):
    """What red flags ask for, in the person's language as far as it is known."""

    urgency: Urgency
    call: str
    """Whom to call now, or to see today."""
    number: str | None
    """Of an ambulance in the person's country, if it is known."""
    crisis_line: str | None
    """Who listens, where somebody may harm themself."""
    what_to_do: list[str]
    red_flags: list[RedFlag]
