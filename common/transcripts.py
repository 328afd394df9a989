"""Transcriptions: the recording's record, what was said, and the notes made of it.

What was said lies in parts of a few hundred kilobytes, sealed; eight hours of
talk would not fit into one document.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel

from common.clinical import Code
from common.firestore import Batch, Collection, now
from common.models import Record
from common.telemetry import Metric
from common.uploads import Upload

if TYPE_CHECKING:
    from common.crypto import Vault

PREFIX = "audio"

_PART_BYTES = 300_000
_SEGMENTS_AT_ONCE = 500
"""Some two megabytes, with the times of their words."""
_PARTS_AT_ONCE = 10


class NoteState(StrEnum):
    DRAFT = "draft"
    EDITED = "edited"
    SIGNED = "signed"


class Transcription(Upload):
    """`transcriptions/{transcription_id}`"""

    language: str
    """BCP 47; what is spoken."""
    is_streamed: bool = False
    duration_seconds: float | None = None
    is_truncated: bool = False
    """The file ends before its own header says."""
    speaker_count: int | None = None
    segment_count: int = 0
    operation: str = ""
    """Of Speech-to-Text, while it works."""
    operation_time: datetime | None = None
    """When it was begun."""
    note_state: NoteState | None = None
    note_version: int = 0

    @property
    def worker(self) -> str:
        return "transcribe_audio"

    @property
    def metric(self) -> Metric:
        return Metric.TRANSCRIPTS

    @property
    def object_name(self) -> str:
        return object_name(self.patient_id, self.id)

    @property
    def converted_name(self) -> str:
        """What Speech-to-Text hears, in the bucket of results."""
        return converted_name(self.patient_id, self.id)

    @property
    def results_prefix(self) -> str:
        """Below which the results of Speech-to-Text come; the attempt is the last part."""
        return f"transcripts/{self.patient_id}/{self.id}"


def object_name(patient_id: str, transcription_id: str) -> str:
    return f"{PREFIX}/{patient_id}/{transcription_id}"


def converted_name(patient_id: str, transcription_id: str) -> str:
    return f"sound/{patient_id}/{transcription_id}"


def parts_of(name: str) -> tuple[str, str] | None:
    """(patient, transcription) of `audio/{patient}/{id}` or of what lies below `transcripts/…`."""
    kind, *rest = name.split("/")
    if kind not in (PREFIX, "transcripts") or len(rest) < 2 or not all(rest[:2]):
        return None
    return rest[0], rest[1]


# ---------------------------------------------------------------- what was said


class Word(BaseModel):
    text: str
    start: float
    """Seconds from the beginning."""
    end: float
    confidence: float | None = None


class Segment(BaseModel):
    """One turn of one speaker, or a part of it."""

    id: str
    """`s1`, `s2`, … in the order of time; notes cite it."""
    speaker: str | None
    """As recognition tells voices apart: `1`, `2`; None where it does not."""
    start: float
    end: float
    text: str
    confidence: float | None = None
    words: list[Word] = []


class TermKind(StrEnum):
    MEDICATION = "medication"
    DOSAGE = "dosage"
    CONDITION = "condition"
    SYMPTOM = "symptom"
    PROCEDURE = "procedure"
    VITAL = "vital"
    ANATOMY = "anatomy"


class Term(BaseModel):
    text: str
    """As it was said."""
    kind: TermKind
    name: str | None = None
    """The terminology's own word for it."""
    code: Code | None = None
    segment_id: str
    speaker: str | None = None
    start: int = 0
    """In the segment's text, in characters."""
    end: int = 0
    negated: bool = False
    """The speaker says that it is not so."""
    dose: str | None = None
    route: str | None = None
    frequency: str | None = None
    value: str | None = None
    """Of a vital sign."""


class Said(Record):
    """`transcriptions/{id}/private/{part}`: some segments and the terms in them."""

    sealed: dict[str, bytes]


class SaidPrivate(BaseModel):
    segments: list[Segment]
    terms: list[Term]


# ---------------------------------------------------------------- notes


class Unsupported(StrEnum):
    """What the checker can find that the cited segments do not contain."""

    NUMBER = "number"
    DRUG = "drug"
    DOSE = "dose"
    SIDE = "side"
    NEGATION = "negation"
    CITATION = "citation"
    """Nothing is cited, or what is cited does not exist."""
    WORDS = "words"
    """Nothing that the sentence says is in what it cites."""


class Mark(BaseModel):
    """One thing in a sentence that nobody said."""

    kind: Unsupported
    text: str


class NoteSentence(BaseModel):
    text: str
    segment_ids: list[str]
    unsupported: list[Mark] = []


class Note(BaseModel):
    """SOAP."""

    subjective: list[NoteSentence] = []
    objective: list[NoteSentence] = []
    assessment: list[NoteSentence] = []
    plan: list[NoteSentence] = []


SECTIONS = ("subjective", "objective", "assessment", "plan")


class NoteVersion(Record):
    """`transcriptions/{id}/notes/{version}`: written once, never changed."""

    version: int
    state: NoteState
    author_uid: str
    model: str | None = None
    """Which model drafted it; None: a person wrote it."""
    history_id: str | None = None
    """The history record that the signed note became."""
    sealed: dict[str, bytes]


class NotePrivate(BaseModel):
    note: Note


transcriptions = Collection(Transcription, "transcriptions")
said = Collection(Said, "transcriptions/{}/private")
notes = Collection(NoteVersion, "transcriptions/{}/notes")


def put_said(
    batch: Batch,
    transcription_id: str,
    segments: Sequence[Segment],
    terms: Sequence[Term],
    vault: "Vault",
    first: int = 1,
) -> int:
    """Store what was said, in as many parts as it needs, from number `first` on; returns how many."""
    moment = now()
    parts = list(_parts(segments, terms))
    for number, part in enumerate(parts, first):
        path = said.path(transcription_id, f"{number:06d}")
        record = Said(create_time=moment, update_time=moment, sealed=vault.seal_all(path, part))
        batch.put(path, record)
    return len(parts)


async def store_said(
    transcription_id: str, segments: Sequence[Segment], terms: Sequence[Term], vault: "Vault"
) -> None:
    """Store what was said before its record says so: eight hours are too much for one batch.

    Cut off, it is stored anew, under the same names.
    """
    first, done = 1, 0
    while done < len(segments):
        some = segments[done : done + _SEGMENTS_AT_ONCE]
        ids = {segment.id for segment in some}
        batch = Batch()
        of_these = [term for term in terms if term.segment_id in ids]
        first += put_said(batch, transcription_id, some, of_these, vault, first)
        await batch.commit()
        done += len(some)


def _parts(segments: Iterable[Segment], terms: Sequence[Term]) -> Iterator[SaidPrivate]:
    of_segment: dict[str, list[Term]] = {}
    for term in terms:
        of_segment.setdefault(term.segment_id, []).append(term)
    part, size = SaidPrivate(segments=[], terms=[]), 0
    for segment in segments:
        added = [segment, *of_segment.get(segment.id, [])]
        bytes_ = sum(len(json.dumps(each.model_dump(mode="json"))) for each in added)
        if size and size + bytes_ > _PART_BYTES:
            yield part
            part, size = SaidPrivate(segments=[], terms=[]), 0
        part.segments.append(segment)
        part.terms.extend(of_segment.get(segment.id, []))
        size += bytes_
    if size:
        yield part


async def read_said(transcription_id: str, vault: "Vault") -> SaidPrivate:
    """All that was said, in order; empty when nothing is stored."""
    whole = SaidPrivate(segments=[], terms=[])
    async for part in said.all_(transcription_id, chunk=_PARTS_AT_ONCE):
        private = vault.open_all(part.path, part.sealed, SaidPrivate)
        whole.segments.extend(private.segments)
        whole.terms.extend(private.terms)
    return whole


def duration_of(segments: Sequence[Segment]) -> float:
    return max((segment.end for segment in segments), default=0.0)
