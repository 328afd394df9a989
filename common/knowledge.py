"""The knowledge base: short entries with their public source, found by meaning and by words.

What an entry means is a vector of the embedding model's (Firestore's vector
index); the words of its title and keywords are stems in an array. Both are asked, and what they
find is put in one order by reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009).
Words of its text are not asked for: common ones are in every entry, and a query takes the first that it meets.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from common.firestore import Collection, Vector, now
from common.models import Line, Part, Prose, Record
from common.phrases import fold_word
from common.settings import settings
from common.sources import Source
from common.spoken import word_set

ID_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,78}[a-z0-9])?$"

_STEM = 6
"""Letters of a word that count: `infection`, `infected`, `infections` are one."""
_MOST_STEMS = 150
_MOST_ASKED = 20
"""Words of a question that are looked up; Firestore takes 30."""
_BY_MEANING, _BY_WORDS = 8, 15
"""Documents that each way of searching reads at most."""
_RANK = 60
_TITLE_WEIGHT = 3
NEAR = 0.75
"""The angle's cosine is 1 less this, at least, where a text is about the question at all."""

_COMMON = word_set("""
    a about after again all also always am an and any are as at back be because been before
    being but by can cant could day did do does doing dont down every feel feeling few for from
    get gets getting give go goes going good got had has have having he help her here him his
    how i if im in into is it its ive just keep know last like little long lot make many may me
    mean more much my need new no not now of off often ok on one only or other our out over
    please really right said say see she should since so some still sometimes such take taking
    tell than that the their them then there these they thing this those time times to today too
    up us use using very want was way we week weeks well were what when where which while who
    whom why will with without would year years you your
""")


class KnowledgeWritten(Part):
    """An entry as it is written."""

    title: Line
    text: Annotated[Prose, Field(min_length=40, max_length=4000)]
    source: Source
    topics: Annotated[list[Line], Field(max_length=10)] = []
    keywords: Annotated[list[Line], Field(max_length=30)] = []
    """Words that a person would use, and that the text lacks."""
    date: date
    """When it was last compared with its source."""


class KnowledgeEntry(Record):
    """`knowledge/{entry_id}`; beside this its `embedding`."""

    title: str
    text: str
    source: Source
    topics: list[str] = []
    keywords: list[str] = []
    date: date
    stems: list[str] = []
    """Of its title and keywords; each once."""
    model: str
    """That made the embedding."""
    digest: str
    """Of what was embedded: what has not changed is not embedded anew."""


class EmbeddedEntry(KnowledgeEntry):
    embedding: Vector


class NearEntry(KnowledgeEntry):
    """One that was found by its meaning."""

    distance: float


knowledge = Collection(KnowledgeEntry, "knowledge")
_near = Collection(NearEntry, "knowledge")


def whole_text(written: KnowledgeWritten) -> str:
    """What is embedded: the title, the words that people use, the text."""
    return f"{written.title}. {', '.join(written.keywords)}. {written.text}"


def digest_of(written: KnowledgeWritten, model: str) -> str:
    text = f"{model}\n{written.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def stems(text: str) -> list[str]:
    """The words that a text is about, shortened, each once."""
    words = (fold_word(word) for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.lower()))
    return list(dict.fromkeys(word[:_STEM] for word in words if word not in _COMMON))


def stems_of(written: KnowledgeWritten) -> list[str]:
    """By which an entry is found: of what it is called, and of what people call it."""
    return stems(f"{written.title} {' '.join(written.keywords)}")[:_MOST_STEMS]


# ---------------------------------------------------------------- searching


@dataclass(frozen=True)
class Found:
    entry: KnowledgeEntry
    is_about: bool
    """Whether it is near enough in meaning, or shares a word of its title, to be about the question."""


async def search(question: str, vector: Vector | None, most: int = 4) -> list[Found]:
    """The entries that fit the question best; without a vector by its words only.

    At most 23 reads. Raises `Unavailable`.
    """
    asked = stems(question)[:_MOST_ASKED]
    by_meaning, by_words = await asyncio.gather(_nearest(vector), _sharing(asked))
    near = {entry.id for entry in by_meaning if entry.distance <= NEAR}
    entries: dict[str, KnowledgeEntry] = {each.id: each for each in (*by_words, *by_meaning)}
    ordered = fused([[each.id for each in by_meaning], ranked(asked, by_words)])
    return [
        Found(entries[id], id in near or bool(set(asked) & set(entries[id].stems)))
        for id in ordered[:most]
    ]


async def _nearest(vector: Vector | None) -> list[NearEntry]:
    if vector is None:
        return []
    return await _near.nearest("embedding", vector, _BY_MEANING)


async def _sharing(asked: Sequence[str]) -> list[KnowledgeEntry]:
    if not asked:
        return []
    return await knowledge.find(where=[("stems", "array_contains_any", asked)], limit=_BY_WORDS)


def ranked(asked: Sequence[str], entries: Iterable[KnowledgeEntry]) -> list[str]:
    """By how many of the question's words an entry has; those of its title and keywords count more."""
    scores = {}
    for entry in entries:
        main, rest = set(entry.stems), set(stems(entry.text))
        scores[entry.id] = sum((s in rest) + _TITLE_WEIGHT * (s in main) for s in asked)
    return sorted((id for id in scores if scores[id]), key=lambda id: (-scores[id], id))


def fused(orders: Sequence[Sequence[str]]) -> list[str]:
    """One order of several: the sum of 1 / (60 + rank) decides."""
    scores: dict[str, float] = {}
    for order in orders:
        for rank, id in enumerate(order, 1):
            scores[id] = scores.get(id, 0.0) + 1 / (_RANK + rank)
    return sorted(scores, key=lambda id: (-scores[id], id))


# ---------------------------------------------------------------- writing

Embed = Callable[[Sequence[str]], Awaitable[list[Vector]]]


async def embedded(
    written: Sequence[tuple[str, KnowledgeWritten]], embed: Embed
) -> list[EmbeddedEntry]:
    """Entries as they are stored, by their ids. Raises what `embed` raises."""
    model = settings().embedding_model
    vectors = await embed([whole_text(each) for _, each in written])
    moment = now()
    entries = []
    for (entry_id, each), vector in zip(written, vectors, strict=True):
        entry = EmbeddedEntry(
            create_time=moment,
            update_time=moment,
            stems=stems_of(each),
            model=model,
            digest=digest_of(each, model),
            embedding=vector,
            **dict(each),
        )
        entry.stored_as(knowledge.path(entry_id), "")
        entries.append(entry)
    return entries
