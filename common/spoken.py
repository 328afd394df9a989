"""Words and numbers of what people say: `five hundred` is 500, `one twenty over eighty` is 120/80.

In English; what is said in other languages is stored and shown, and no terms are found in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s-]")

_SMALL = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * number
    for number, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
# `In the one thirties`
_TENS |= {word[:-1] + "ies": number for word, number in _TENS.items()}
_SCALES = {"hundred": 100, "thousand": 1000}
_TIMES = {"once": 1.0, "twice": 2.0}


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    """In lower case."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Number:
    first: int
    """Of the tokens; `last` is the one after."""
    last: int
    value: float
    second: float | None = None
    """Of two that belong together: the 80 of 120/80, the 10 of 7 out of 10."""

    @property
    def text(self) -> str:
        """In digits."""
        return _digits(self.value) + (f"/{_digits(self.second)}" if self.second is not None else "")


def _digits(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def word_set(text: str) -> frozenset[str]:
    """A set of words, written as a text."""
    return frozenset(text.split())


def tokens_of(text: str) -> list[Token]:
    """Words, numbers, punctuation; hyphens part words, as spaces do."""
    # Lower case can be longer than what it is the lower case of; then places would not fit.
    lower = text.lower()
    lower = lower if len(lower) == len(text) else text
    return [Token(m[0].replace("’", "'"), m.start(), m.end()) for m in _TOKEN.finditer(lower)]


def numbers_in(tokens: Sequence[Token]) -> list[Number]:
    found: list[Number] = []
    at = 0
    while at < len(tokens):
        number = number_at(tokens, at)
        if number is None:
            at += 1
        else:
            found.append(number)
            at = number.last
    return found


def number_at(tokens: Sequence[Token], at: int) -> Number | None:
    """The number that begins here, if one does; two that belong together are one."""
    one = _one_at(tokens, at)
    if one is None:
        return None
    for between in (("over",), ("/",), ("out", "of")):
        after = one.last + len(between)
        if tuple(token.text for token in tokens[one.last : after]) == between:
            other = _one_at(tokens, after)
            if other is not None:
                if between == ("/",) and one.value < other.value <= 4:
                    return Number(at, other.last, one.value / other.value)
                return Number(at, other.last, one.value, other.value)
    return one


def _one_at(tokens: Sequence[Token], at: int) -> Number | None:
    if at >= len(tokens):
        return None
    word = tokens[at].text
    if word[0].isdecimal():
        value = float(word.replace(",", ""))
        return _with_half(tokens, Number(at, at + 1, value))
    if word in _TIMES:
        return Number(at, at + 1, _TIMES[word])
    if word == "half":
        return Number(at, at + 1, 0.5)
    whole = _words_at(tokens, at)
    return None if whole is None else _with_half(tokens, _with_point(tokens, whole))


def _words_at(tokens: Sequence[Token], at: int) -> Number | None:
    """`five hundred and twenty`, and as people say it: `one twenty`, `one oh five`."""
    total, current, last, end = 0, 0, 0, at
    position = at
    while position < len(tokens):
        word = tokens[position].text
        following = tokens[position + 1].text if position + 1 < len(tokens) else ""
        if word == "a" and position == at and following in _SCALES:
            current = 1
        elif word in _SCALES and position > at:
            current = max(current, 1) * _SCALES[word]
            if word == "thousand":
                total, current = total + current, 0
            last = _SCALES[word]
        elif word == "oh" and 0 < current < 10 and following in _SMALL:
            current *= 10
            last = 100
        elif word == "and" and last in (100, 1000) and (following in _SMALL or following in _TENS):
            pass
        elif (number := _SMALL.get(word, _TENS.get(word))) is not None:
            joined = _joined(current, number, last, end == at)
            if joined is None:
                break
            current, last = joined, number
        else:
            break
        position += 1
        if word not in ("and", "a"):
            end = position
    if end == at:
        return None
    return Number(at, end, float(total + current))


def _joined(current: int, number: int, last: int, is_first: bool) -> int | None:
    """What `current` becomes by one more word; None if that word begins another number."""
    if is_first or current == 0 or (last in (100, 1000) and current % 10 == 0 and number < 100):
        return (current * 10 + number) if last == 100 and current % 100 else current + number
    if last >= 20 and last % 10 == 0 and last < 100 and 0 < number < 10:
        return current + number
    if 0 < current < 10 and number >= 10:
        return current * 100 + number
    return None


def _with_point(tokens: Sequence[Token], number: Number) -> Number:
    """`ninety eight point six`"""
    position = number.last
    if position >= len(tokens) or tokens[position].text != "point":
        return number
    digits = ""
    position += 1
    while position < len(tokens):
        word = tokens[position].text
        value = _SMALL.get(word) if word != "oh" else 0
        if value is None or value > 9:
            if word.isdigit() and not digits:
                digits, position = word, position + 1
            break
        digits += str(value)
        position += 1
    if not digits:
        return number
    return Number(number.first, position, float(f"{int(number.value)}.{digits}"))


def _with_half(tokens: Sequence[Token], number: Number) -> Number:
    """`two and a half`"""
    after = [token.text for token in tokens[number.last : number.last + 3]]
    if after == ["and", "a", "half"]:
        return Number(number.first, number.last + 3, number.value + 0.5)
    return number
