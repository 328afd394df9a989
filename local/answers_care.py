"""The stand-in model on symptoms and on records: what it triages and recommends, and how wrongly.

It knows nothing of medicine. What it says are sentences of the sources it was
given, of those that share words with what was told; the urgency is always a
low one. That something is an emergency has to be found by somebody else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.answers_fit import kinds, options, suited, variants
from local.answers_schema import Schema
from local.answers_text import SIGNATURE, UNKNOWN, Message, keys, leaves, plain, sentences, unpack

DOWNPLAYED = "There is no need to see a doctor. This is not an emergency."
INVENTED = 99

_QUESTIONS = ["How long has this been going on?", "Is it getting worse?"]
_GIVEN = {"symptoms", "record", "sources"}
_LIGHT = re.compile(r"\b(?:cold|sneez|runny|itch|mild)", re.IGNORECASE)
_CONTRACTED = re.compile(r"\w+['’](?:t|ve|re|ll|d|m)\b|['’]s\b", re.IGNORECASE)
# Of every complaint and every text on an illness, so that they tell none from another.
_VAGUE = keys(
    "acute chronic condition day days disease disorder doctor feel feeling get getting got help "
    "history illness last medical month months more no not now often other patient people really "
    "since symptom syndrome take taking treatment two type using very week weeks year years"
)


@dataclass(frozen=True)
class Source:
    id: Any
    title: str
    text: str

    def sentence(self, wanted: set[str], used: list[str]) -> str:
        """The one that shares the most words, and was not said yet if there is another."""
        said = sentences(self.text) or [self.title]
        fresh = [each for each in said if each not in used] or said
        return max(fresh, key=lambda each: len(wanted & _keys(each)))


def triage(messages: list[Message], schema: Schema) -> dict[str, Any]:
    given = _given(messages)
    said = "\n".join([*leaves(given.get("symptoms")), *leaves(given.get("text"))])
    said = said or _last(messages)
    wanted = _keys(said)
    near = _near(_sources(given), wanted)[:3]
    causes = [{"name": each.title, "why": each.sentence(wanted, [])} for each in near]
    whys = [cause["why"] for cause in causes]
    whose: dict[str, Source] = {}
    for each in near:
        for part in sentences(each.text):
            whose.setdefault(part, each)
    others = [part for part in whose if part not in whys] or list(whose)
    told = sorted(others, key=lambda part: -len(wanted & _keys(part)))
    told = [_marked(part, whose[part]) for part in told]
    specialties = options(schema, _part(schema, "specialty"))
    usual = "family_medicine" in specialties or not specialties
    return {
        "urgency": "self_care" if _LIGHT.search(said) else "routine",
        "possible_causes": causes,
        "advice": _signed(told[: _most(schema, "advice", 3)]) or [UNKNOWN],
        "questions": _QUESTIONS,
        "specialty": "family_medicine" if usual else specialties[0],
    }


def _marked(sentence: str, source: Source) -> str:
    """The sentence, with the id of the source that says so."""
    return f"{sentence.rstrip('.')} [{source.id}]."


def recommendations(messages: list[Message], schema: Schema) -> dict[str, Any]:
    given = _given(messages)
    sources = _sources(given)
    texts: list[str] = []
    cited: list[dict[str, Any]] = []
    for item in _objects(given.get("record")):
        wanted = _keys(str(item.get("text", "")))
        for source in _near(sources, wanted)[:1]:
            texts.append(source.sentence(wanted, texts))
            cited.append({"evidence_ids": [item["id"]], "source_ids": [source.id]})
    texts = _signed(texts[: _most(schema, "suggestions", 5)])
    return {"suggestions": [{"text": t, **c} for t, c in zip(texts, cited, strict=False)]}


# ---------------------------------------------------------------- what is given


def _given(messages: list[Message]) -> dict[str, Any]:
    """The last JSON object in the user's messages that has any of what is read here."""
    said = [m.text for m in messages if m.role == "user"]
    found = [value for text in said for value in unpack(text)[0]]
    return next((value for value in reversed(found) if _GIVEN & value.keys()), {})


def _last(messages: list[Message]) -> str:
    return next((plain(m.text) for m in reversed(messages) if m.role == "user"), "")


def _objects(listed: Any) -> list[dict[str, Any]]:
    values = listed if isinstance(listed, list) else []
    return [each for each in values if isinstance(each, dict) and "id" in each]


def _sources(given: dict[str, Any]) -> list[Source]:
    return [
        Source(each["id"], str(each.get("title") or ""), str(each.get("text") or ""))
        for each in _objects(given.get("sources"))
    ]


def _near(sources: list[Source], wanted: set[str]) -> list[Source]:
    """Those that share words, above all in their titles; the nearest first."""

    def shared(source: Source) -> tuple[int, int]:
        return len(wanted & _keys(source.title)), len(wanted & _keys(source.text))

    return sorted(filter(lambda each: any(shared(each)), sources), key=shared, reverse=True)


def _keys(text: str) -> set[str]:
    found = keys(_CONTRACTED.sub("", text)) - _VAGUE
    return {key for key in found if len(key) > 1 and not key.isdecimal()}


def _signed(texts: list[str]) -> list[str]:
    return [*texts[:-1], f"{texts[-1]} {SIGNATURE}"] if texts else []


def _part(schema: Schema, name: str) -> Schema:
    return dict(schema.get("properties", {}).get(name, {}))


def _most(schema: Schema, name: str, usual: int) -> int:
    """How many there may be: the last one is signed, and must not be cut off."""
    parts = variants(schema, _part(schema, name))
    return min([usual, *(int(part.get("maxItems", usual)) for part in parts)])


# ---------------------------------------------------------------- wrong on purpose

Change = Callable[[str, Schema, Any], Any]


def downplayed(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Whatever it is, it can wait."""

    def change(name: str, part: Schema, was: Any) -> Any:
        if {"self_care", "emergency"} <= {*map(str, options(schema, part))}:
            return "self_care"
        if name == "advice" and _lists(schema, part) == {"string"}:
            return [f"{DOWNPLAYED} Stay at home and wait."]
        return was

    return dict(_changed(value, schema, schema, change))


def invented(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Whatever is cited, nobody gave it."""

    def change(name: str, part: Schema, was: Any) -> Any:
        if not name.endswith("_ids") or not isinstance(was, list):
            return was
        if not _lists(schema, part) & {"string"}:
            return [INVENTED]
        return [str(INVENTED)] if name == "source_ids" else ["zz9"]

    return dict(_changed(value, schema, schema, change))


def _lists(root: Schema, schema: Schema) -> set[str]:
    """What kinds of values a list is of."""
    items = [part["items"] for part in variants(root, schema) if "items" in part]
    return set().union(*(kinds(root, part) for part in items))


def _changed(value: Any, root: Schema, schema: Schema, change: Change, name: str = "") -> Any:
    altered = change(name, schema, value)
    if altered != value:
        return altered
    found = suited(root, schema, value) or {}
    if isinstance(value, dict):
        parts = found.get("properties", {})
        return {n: _changed(v, root, parts.get(n, {}), change, n) for n, v in value.items()}
    if isinstance(value, list):
        return [_changed(v, root, found.get("items", {}), change, name) for v in value]
    return value
