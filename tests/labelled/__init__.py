"""Sentences of our own, labelled by reading, and how well they are understood.

Written without looking at what finds the terms; conventions: severity and
side are no part of a term, vital values carry no unit, what is to be ruled out
is not denied, what stopped is.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.grounding import check
from common.terms import find_in
from common.transcripts import NoteSentence, Segment

_FOLDER = Path(__file__).parent


@dataclass
class Score:
    """Hits, false alarms and misses, with an example of each of the latter."""

    hits: int = 0
    extra: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.hits / ((self.hits + len(self.extra)) or 1)

    @property
    def recall(self) -> float:
        return self.hits / ((self.hits + len(self.missed)) or 1)

    def add(self, found: Iterable[Any], wanted: Iterable[Any], where: str) -> None:
        found, wanted = set(found), set(wanted)
        self.hits += len(found & wanted)
        self.extra += [f"{where}: {each}" for each in sorted(found - wanted, key=str)]
        self.missed += [f"{where}: {each}" for each in sorted(wanted - found, key=str)]


def sentences() -> list[dict[str, Any]]:
    return list(json.loads((_FOLDER / "terms.json").read_text()))


def claims() -> list[dict[str, Any]]:
    return list(json.loads((_FOLDER / "notes.json").read_text()))


def score_terms() -> dict[str, Score]:
    """By what is judged: the terms themselves, their negation, dose, route, frequency and value."""
    scores = {name: Score() for name in ("terms", "negated", *_DETAILS)}
    for sentence in sentences():
        found, wanted = find_in(sentence["text"]), sentence["terms"]
        where = sentence["id"]
        key = {(term.text.lower(), str(term.kind)): term for term in found}
        labels = {(label["text"].lower(), label["kind"]): label for label in wanted}
        scores["terms"].add(key, labels, where)
        both = key.keys() & labels.keys()
        scores["negated"].add(
            [each for each in both if key[each].negated],
            [each for each in both if labels[each]["negated"]],
            where,
        )
        for detail in _DETAILS:
            scores[detail].add(
                [(each, v.lower()) for each in both if (v := getattr(key[each], detail))],
                [(each, v.lower()) for each in both if (v := labels[each].get(detail))],
                where,
            )
    return scores


_DETAILS = ("dose", "route", "frequency", "value")


def score_notes() -> dict[str, Score]:
    """By kind of what is not supported; `claim` is whether a sentence is marked at all."""
    kinds = ("number", "drug", "dose", "side", "negation")
    scores = {name: Score() for name in ("claim", *kinds)}
    for claim in claims():
        segments = [
            Segment(id=s["id"], speaker=s["speaker"], start=0, end=1, text=s["text"])
            for s in claim["segments"]
        ]
        cited = [segment.id for segment in segments]
        sentence = NoteSentence(text=claim["sentence"], segment_ids=cited)
        marks = check(sentence, segments).unsupported
        where = claim["id"]
        scores["claim"].add(
            [where] if marks else [], [where] if claim["unsupported"] else [], where
        )
        for kind in kinds:
            scores[kind].add(
                [m.text.lower() for m in marks if m.kind == kind],
                [m["text"].lower() for m in claim["unsupported"] if m["kind"] == kind],
                where,
            )
    return scores
