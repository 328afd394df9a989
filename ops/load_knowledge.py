"""Loads a folder of Markdown files into the knowledge base; `ops/knowledge/` is the one that comes along.

    ---
    title: Low back pain
    topics: [condition]
    keywords: [backache, lumbago]
    source: "NHS: Back pain"
    url: https://www.nhs.uk/conditions/back-pain/
    date: 2026-11-29
    ---
    The text.

The file's name is the entry's id. What has not changed is left alone, so that a second run embeds and writes nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from common import audit, egress
from common.firestore import Batch
from common.knowledge import (
    ID_PATTERN,
    EmbeddedEntry,
    KnowledgeWritten,
    digest_of,
    embedded,
    knowledge,
)
from common.settings import settings

_AT_ONCE = 50
"""Entries that are embedded, and stored, together."""


class NotAnEntry(Exception):
    """A file that can't be read as an entry; nothing was stored."""


@dataclass
class Report:
    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    ids: list[str] = field(default_factory=list)


async def load_knowledge(folder: Path, *, prune: bool = False) -> Report:
    """Store what is new or changed; with `prune`, delete what the folder has not.

    Raises `NotAnEntry`, naming the file; `Unavailable`.
    """
    written = dict(read(folder))
    if not written:
        raise NotAnEntry(f"{folder}: no Markdown files")
    before = {entry.id: entry.digest async for entry in knowledge.all_()}
    model = settings().embedding_model
    due = [(id, each) for id, each in written.items() if before.get(id) != digest_of(each, model)]
    report = Report(unchanged=len(written) - len(due), ids=sorted(written))
    for start in range(0, len(due), _AT_ONCE):
        report.stored += await _store(await embedded(due[start : start + _AT_ONCE], egress.embed))
    if prune:
        report.deleted = await _delete(sorted(before.keys() - written.keys()))
    return report


def read(folder: Path) -> Iterator[tuple[str, KnowledgeWritten]]:
    """The entries in a folder, by their ids. Raises `NotAnEntry`."""
    for path in sorted(folder.glob("*.md")):
        if not re.fullmatch(ID_PATTERN, path.stem):
            raise NotAnEntry(f"{path.name}: the name must be an id such as low-back-pain.md")
        try:
            yield path.stem, _parsed(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise NotAnEntry(f"{path.name}: {place}: {first['msg']}") from None
        except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise NotAnEntry(f"{path.name}: {error}") from None


def _parsed(text: str) -> KnowledgeWritten:
    _, head, body = text.split("---\n", 2)
    given: Any = yaml.safe_load(head)
    if not isinstance(given, dict):
        raise ValueError("begins with no fields such as `title: …` between two lines of `---`")
    source = {"title": given.pop("source"), "url": given.pop("url")}
    return KnowledgeWritten.model_validate({**given, "source": source, "text": body.strip()})


async def _store(entries: Sequence[EmbeddedEntry]) -> int:
    batch = Batch()
    for entry in entries:
        batch.put(entry.path, entry)
        audit.add(batch, audit.event(None, "knowledge.load", entry.path, None))
    await batch.commit()
    return len(entries)


async def _delete(ids: Sequence[str]) -> int:
    for start in range(0, len(ids), _AT_ONCE):
        batch = Batch()
        for id in ids[start : start + _AT_ONCE]:
            batch.delete(knowledge.path(id))
            audit.add(batch, audit.event(None, "knowledge.delete", knowledge.path(id), None))
        await batch.commit()
    return len(ids)
