"""What travels to and from the transcriptions service: notes."""

from typing import Annotated

from pydantic import BaseModel, Field

from common.models import Prose
from common.schemas import Body
from common.transcripts import SECTIONS, Note, NoteSentence

SegmentId = Annotated[str, Field(pattern=r"^s\d{1,6}$")]


class SentenceWritten(Body):
    text: Annotated[Prose, Field(max_length=1000)]
    segment_ids: Annotated[list[SegmentId], Field(max_length=50)]
    """The segments that say so; what they do not contain is marked."""


Section = Annotated[list[SentenceWritten], Field(max_length=60)]


class NoteWritten(Body):
    """The whole note, as it shall be. What the sections say is checked against what was said."""

    subjective: Section
    objective: Section
    assessment: Section
    plan: Section

    def as_note(self) -> Note:
        return Note(
            **{
                section: [NoteSentence(**dict(each)) for each in getattr(self, section)]
                for section in SECTIONS
            }
        )


class NoteSigned(Body):
    accept_unsupported: bool = False
    """To sign although some of it was not said: what the doctor saw, and nobody spoke of."""


class _Drafted(BaseModel):
    text: str
    segment_ids: list[str]


class NoteDrafted(BaseModel):
    """What the model answers: SOAP, each sentence with the segments that it rests on."""

    subjective: list[_Drafted]
    objective: list[_Drafted]
    assessment: list[_Drafted]
    plan: list[_Drafted]
