"""The medical terms of a conversation, found by our own terminology or by Google's service for it."""

from collections.abc import Sequence

from common import healthcare, terms
from common.settings import settings
from common.transcripts import Segment, Term

_UNDERSTOOD = "en"


async def terms_of(segments: Sequence[Segment], language: str) -> list[Term]:
    """None in a language that neither knows.

    If Google's service is configured and does not answer, ours answers in its place.
    """
    if not language.lower().startswith(_UNDERSTOOD):
        return []
    if settings().healthcare_nlp and (found := await healthcare.terms_of(segments)) is not None:
        return found
    return [term for segment in segments for term in terms.find(segment)]
