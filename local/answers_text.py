"""The stand-in model's reading: sentences, JSON within text, replies by shared words.

Nothing here understands anything. A reply repeats sentences of what was given,
the same for the same input, so that tests can say what to expect.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SIGNATURE = "(stand-in model)"
UNKNOWN = f"I cannot tell that from what I was given. {SIGNATURE}"


@dataclass(frozen=True)
class Message:
    role: str
    text: str


# ---------------------------------------------------------------- sentences

_STOP = re.compile(
    r"(?<=[.!?؟。])(?<!\bdr\.)(?<!\bmr\.)(?<!\bms\.)(?<!\bmrs\.)(?<!\be\.g\.)(?<!\bi\.e\.)\s+|\n+",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _STOP.split(text) if part.strip()]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


_COMMON = frozenset(
    words(
        "a about after all also am an and any are as at be been before but by can could did do "
        "does for from had has have he her him his how i if in into is it its many me much my "
        "of on or our please she should so some tell than that the their them then there these "
        "they this those to was we were what when where which who whom why will with would you "
        "your"
    )
)


def keys(text: str) -> set[str]:
    """What a text is about: its words but the common ones, by their first letters."""
    return {word[:6] for word in words(text) if word not in _COMMON}


# ---------------------------------------------------------------- JSON within text


def unpack(text: str) -> tuple[list[dict[str, Any]], str]:
    """The JSON objects that stand in a text, and the text around them."""
    found, around, at = [], [], 0
    while (start := text.find("{", at)) >= 0:
        around.append(text[at:start])
        try:
            value, at = json.JSONDecoder().raw_decode(text, start)
            found.append(value)
        except (ValueError, RecursionError):
            around.append("{")
            at = start + 1
    return found, "".join([*around, text[at:]])


def leaves(value: Any) -> Iterator[str]:
    """The strings in a JSON value, in their order; names of fields are not among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)


def plain(text: str) -> str:
    """A text whose JSON is replaced by the strings in it, one a line."""
    found, around = unpack(text)
    return "\n".join([around, *(leaf for value in found for leaf in leaves(value))])


# ---------------------------------------------------------------- replies

# [1] and [doc-3] refer to a passage; [PERSON_1] stands for what was taken out.
_MARK = r"\[(?![A-Z]+_\d+\])(?=[^\[\]\s]*\d)[^\[\]\s]{1,40}\]"
_ASKED = re.compile(r"^\s*question\s*:\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_ORDERS = re.compile(
    r"(you are|you must|answer|use|cite|reply|respond|never|always|only|do not|don't|if)\b",
    re.IGNORECASE,
)


def reply(messages: list[Message]) -> str:
    """Up to three sentences that share words with the last question, marks kept, signed."""
    question, around = _question(messages)
    given = [m.text for m in messages if m.role in ("system", "developer")]
    said = [m.text for m in messages if m.role == "user"][:-1]
    passages = _passages("\n\n".join([*given, *said, around]))
    marked = [passage for passage in passages if re.search(_MARK, passage)]
    candidates = marked or [passage for passage in passages if not _ORDERS.match(passage)]
    wanted = keys(question)
    shared = {text: len(wanted & keys(text)) for text in candidates if text != question}
    best = sorted(shared, key=lambda text: -shared[text])[:3]
    enough = max(1, max(shared.values(), default=0) // 2 + 1)
    chosen = [text for text in shared if text in best and shared[text] >= enough]
    return " ".join([*chosen, SIGNATURE]) if chosen else UNKNOWN


def _question(messages: list[Message]) -> tuple[str, str]:
    """The last thing asked, and what stood around it."""
    last = next((m.text for m in reversed(messages) if m.role == "user"), "")
    for value in unpack(last)[0]:
        for name in ("question", "query"):
            if isinstance(value.get(name), str):
                return value[name], last.replace(json.dumps(value[name])[1:-1], "")
    if labelled := _ASKED.search(last):
        return labelled[1], last.replace(labelled[0], "")
    parts = [part for part in sentences(last) if not re.search(_MARK, part)]
    asked = [part for part in parts if part.endswith(("?", "؟"))] or parts or [last]
    return asked[-1], last.replace(asked[-1], "")


def _passages(text: str) -> list[str]:
    """The sentences of a text, each with its mark, or the one its passage began with."""
    found, around = unpack(text)
    lines = around.split("\n") + [line for value in found for line in _described(value)]
    passages: list[str] = []
    mark = ""
    for line in lines:
        if not line.strip():
            mark = ""
        # marks come before what they refer to, or after it
        starts = re.match(rf"[\s\-*]*{_MARK}", line)
        within = rf"\s+(?={_MARK})" if starts else r"$"
        moved = line if starts else re.sub(rf"([.!?])((?:\s*{_MARK})+)", r"\2\1", line)
        for part in re.split(within, moved):
            first = re.match(rf"[\s\-*]*({_MARK})[\s:.]*", part)
            mark = first[1] if first else mark
            said = part[first.end() :] if first else part
            passages += [_marked(sentence, mark) for sentence in sentences(said)]
    return passages


def marked_anew(text: str, mark: str) -> str:
    """The same text, referring to something else."""
    return re.sub(_MARK, mark, text)


def _marked(sentence: str, mark: str) -> str:
    if not mark or re.search(_MARK, sentence):
        return sentence
    end = sentence[-1] if sentence[-1] in ".!?؟" else "."
    return f"{sentence.rstrip('.!?؟ ')} {mark}{end}"


def _described(value: Any) -> Iterator[str]:
    """`{"id": 1, "text": "…"}` as the line `[1] …`, wherever in the value it stands."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _described(part)
    elif isinstance(value, dict):
        text = next((value[n] for n in ("text", "content", "passage") if n in value), None)
        mark = next((value[n] for n in ("mark", "ref", "number", "id") if n in value), None)
        if isinstance(text, str) and mark is not None:
            yield f"[{str(mark).strip('[]')}] {text}"
        else:
            yield from _described(list(value.values()))
