"""What travels to and from the knowledge base."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from common.knowledge import ID_PATTERN, Found, KnowledgeEntry, KnowledgeWritten
from common.schemas import Body
from common.sources import Source


class KnowledgeCreate(KnowledgeWritten):
    entry_id: Annotated[str, Field(pattern=ID_PATTERN, examples=["low-back-pain"])]


class KnowledgeQuery(Body):
    q: Annotated[str, Field(min_length=1, max_length=500, description="In plain words.")]
    most: Annotated[int, Field(ge=1, le=10)] = 5


class KnowledgePublic(BaseModel):
    entry_id: str
    title: str
    text: str
    source: Source
    topics: list[str]
    keywords: list[str]
    date: date
    update_time: datetime

    @classmethod
    def of(cls, entry: KnowledgeEntry) -> Self:
        return cls(entry_id=entry.id, **{name: getattr(entry, name) for name in _SHOWN})


_SHOWN = ("title", "text", "source", "topics", "keywords", "date", "update_time")


class KnowledgeFound(KnowledgePublic):
    is_about: bool
    """Whether it is near enough to be about the question at all."""

    @classmethod
    def found(cls, found: Found) -> Self:
        return cls(**dict(KnowledgePublic.of(found.entry)), is_about=found.is_about)


class KnowledgeResults(BaseModel):
    items: list[KnowledgeFound]
    is_by_meaning: bool
    """False when only words were compared: the question is in a language that may not leave, or nobody answers."""
