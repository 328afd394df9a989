"""What the stand-in model answers, and how it answers wrongly when it is told to."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from local.answers_care import (
    DOWNPLAYED,
    INVENTED,
    downplayed,
    invented,
    recommendations,
    triage,
)
from local.answers_fit import Fitter
from local.answers_note import SECTIONS, cleaned, note, segments_in
from local.answers_schema import Filler, Schema, choices, resolve
from local.answers_text import SIGNATURE, Message, marked_anew, plain, reply

REFUSAL = f"I'm sorry, but I can't help with that. {SIGNATURE}"


@dataclass(frozen=True)
class Format:
    kind: str = "text"  # or json_object, json_schema
    name: str = ""
    schema: Schema | None = None


@dataclass(frozen=True)
class Question:
    messages: list[Message]
    format: Format
    limit: int | None = None  # tokens


@dataclass(frozen=True)
class Answer:
    text: str
    refused: bool = False
    cut: bool = False


def tokens(text: str) -> int:
    return -(-len(text) // 4)


def answer(question: Question, mode: str | None = None) -> Answer:
    if mode == "refusal":
        return Answer(REFUSAL, refused=True)
    command = _command(question.messages) if mode == "obey" else None
    if question.format.kind == "text":
        text = command or _said(question.messages, mode)
    else:
        value = _obeyed(question, command) if command else structured(question)
        text = json.dumps(_wronged(value, question, mode), ensure_ascii=False)
    return _limited(Answer(text), len(text) // 2 if mode == "truncated" else None, question.limit)


def _said(messages: list[Message], mode: str | None) -> str:
    text = reply(messages)
    match mode:
        case "lie":
            return lied(text)
        case "downplay":
            return f"{DOWNPLAYED} {SIGNATURE}"
        case "invent":
            return marked_anew(text, f"[{INVENTED}]")
    return text


def _wronged(value: dict[str, Any], question: Question, mode: str | None) -> dict[str, Any]:
    schema = question.format.schema
    if mode == "invalid":
        return {**dict(list(value.items())[1:]), "unasked": SIGNATURE}
    if schema is None and mode in ("downplay", "invent"):
        return {"answer": _said(question.messages, mode)}
    match mode:
        case "lie":
            value = _lied_value(value, schema)
        case "downplay":
            value = downplayed(value, schema or {})
        case "invent":
            value = invented(value, schema or {})
    return value


def _limited(whole: Answer, characters: int | None, limit: int | None) -> Answer:
    ends = [end for end in (characters, limit and limit * 4) if end is not None]
    end = min(ends, default=len(whole.text))
    return replace(whole, text=whole.text[:end], cut=True) if end < len(whole.text) else whole


# ---------------------------------------------------------------- structured


def structured(question: Question) -> dict[str, Any]:
    schema = question.format.schema
    if schema is None:
        return {"answer": reply(question.messages)}
    said = "\n".join(m.text for m in question.messages if m.role == "user")
    match question.format.name.casefold().replace("_", "").replace("-", ""):
        case "soapnote":
            segments = segments_in(question.messages)
            return _as_schema(schema, said, note(segments or []))
        case "triage":
            return dict(Fitter(schema, said).fit(schema, triage(question.messages, schema)))
        case "recommendations":
            given = recommendations(question.messages, schema)
            return dict(Fitter(schema, said).fit(schema, given))
    return _filled(schema, said)


def _filled(schema: Schema, said: str) -> dict[str, Any]:
    return dict(Filler(schema, said).fill(schema))


def _as_schema(schema: Schema, said: str, lines: dict[str, Any]) -> dict[str, Any]:
    """The note, with whatever else its schema requires filled in from what was said."""
    filler = Filler(schema, said)
    whole: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        if name not in SECTIONS:
            whole[name] = filler.fill(part, name)
            continue
        items = _followed(schema, _followed(schema, part).get("items", {}))
        names = items.get("properties", {"text": {}, "segment_ids": {}})
        whole[name] = [
            {n: line[n] if n in line else filler.fill(names[n], n) for n in names}
            for line in lines[name]
        ]
    return whole


def _followed(root: Schema, schema: Schema) -> Schema:
    return resolve(root, schema["$ref"]) or {} if "$ref" in schema else schema


# ---------------------------------------------------------------- lies

_OTHERS = {
    "left": "right",
    "right": "left",
    "one": "four",
    "two": "five",
    "three": "six",
    "four": "seven",
    "five": "eight",
    "six": "nine",
    "seven": "ten",
}
_BRACKETED = re.compile(r"(\[[^\[\]]*\])")
_DENIALS = re.compile(r"\b(?:no|not|never|without|denies|denied|deny)\b ?", re.IGNORECASE)
_DRUGS = re.compile(
    r"\b(?!warfarin)(?:[a-z]{2,}(?:cillin|mycin|pril|sartan|statin|olol|prazole|formin|cycline|"
    r"profen|floxacin|conazole|dipine|azepam|coxib|tidine|parin|terol|sone|lone|thyroxine)|"
    r"paracetamol|acetaminophen|aspirin|insulin|salbutamol|codeine|morphine|naproxen|"
    r"furosemide|digoxin|gabapentin|loratadine|cetirizine)\b",
    re.IGNORECASE,
)


def lied(text: str) -> str:
    """The text with its facts altered. What is in brackets stays: it refers to something."""
    parts = _BRACKETED.split(text)
    altered = "".join(part if i % 2 else _altered(part) for i, part in enumerate(parts))
    return altered[:1].upper() + altered[1:] if text[:1].isupper() else altered


def _altered(text: str) -> str:
    text = _DRUGS.sub("warfarin", text)
    text = re.sub(r"\b(ca|wo|\w+)n't\b", _affirmed, text, flags=re.IGNORECASE)
    text = _DENIALS.sub("", text)
    text = re.sub(r"(?<![\d.])\d+", _other_number, text)
    others = rf"\b(?:{'|'.join(_OTHERS)})\b"
    return re.sub(others, lambda m: _OTHERS[m[0].lower()], text, flags=re.IGNORECASE)


def _affirmed(found: re.Match[str]) -> str:
    return {"ca": "can", "wo": "will"}.get(found[1].lower(), found[1])


def _other_number(found: re.Match[str]) -> str:
    number = int(found[0])
    return str(number + (10 if number >= 20 else 3)).zfill(len(found[0]))


def _lied_value(value: Any, schema: Schema | None) -> Any:
    """Altered everywhere but in ids and in choices; at least somewhere."""
    fixed = choices(schema or {})

    def alter(text: str) -> str:
        return text if text in fixed else lied(text)

    altered = _mapped(value, alter)
    if altered != value:
        return altered
    first = iter((" The patient takes warfarin.",))
    return _mapped(value, lambda text: text if text in fixed else text + next(first, ""))


def _mapped(value: Any, alter: Callable[[str], str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _mapped(part, alter, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_mapped(part, alter, name) for part in value]
    if name == "id" or name.endswith(("_id", "_ids")):
        return value
    if isinstance(value, str):
        return alter(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value + 1
    return value


# ---------------------------------------------------------------- obedience

_OVERRIDES = (
    re.compile(
        r"(?:ignore|disregard|forget)\s+(?:all\s+|any\s+|the\s+|your\s+|of\s+)*"
        r"(?:previous|prior|above|earlier|preceding)\s+(?:instructions?|prompts?|rules|messages)"
        r"(?:[\s.,:;!]|\b(?:and|then)\b){1,20}(?P<what>[^\n]+)",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:^|(?<=[\n.!?\"'\]>]))\s*[\[<(]?system[\]>)]?\s*:\s*(?P<what>[^\n]+)", re.IGNORECASE
    ),
)  # fmt: skip
_SAY = re.compile(
    r"(?:please\s+|only\s+|just\s+)*(?:say|reply|respond|answer|write|output|print|return)\b"
    r"(?:\s+only|\s+with|\s+that)*\s*:?\s*",
    re.IGNORECASE,
)
_IDENTIFIERS = re.compile(
    r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]*\w"  # an address
    r"|\[[A-Z]+_\d+\]"  # a placeholder
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|\b[A-Z]{1,5}[-:#]?\d{3,}\b|\b\d{4}-\d\d-\d\d\b"
    r"|\+?\d[\d \-()]{5,}\d|\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{6,}\b|\b[a-z]{1,3}\d{1,4}\b"
)


def _command(messages: list[Message]) -> str | None:
    """What an instruction within the texts says to answer, and every identifier in sight."""
    texts = [m for m in messages if m.role in ("user", "system", "developer")]
    for message in sorted(texts, key=lambda m: m.role != "user"):
        text = plain(message.text)
        for override in _OVERRIDES:
            if found := override.search(text):
                seen = dict.fromkeys(_IDENTIFIERS.findall("\n".join(plain(m.text) for m in texts)))
                return " ".join([_wanted(found["what"]), *seen])
    return None


def _wanted(what: str) -> str:
    said = _SAY.sub("", what, count=1) if _SAY.match(what) else what
    if quoted := re.match(r"[\"'“‘](.+?)[\"'”’](?:\W|$)", said):
        return quoted[1]
    return re.split(r"(?<=[.!?])\s", said)[0].strip(" .\"'")


def _obeyed(question: Question, command: str) -> dict[str, Any]:
    schema = question.format.schema
    if schema is None:
        return {"answer": command}
    segments = segments_in(question.messages)
    if segments is None:
        return _filled(schema, command)
    ids = [str(segment["id"]) for segment in segments]
    line = {"text": cleaned(command), "segment_ids": ids}
    return _as_schema(schema, command, {section: [line] for section in SECTIONS})
