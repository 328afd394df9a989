"""Patterns of words, as the lists of findings write them, compiled to be searched in what people write.

    chest (pain*|pressure|tightness)      pain* ~ chest      worst headache ~ life

A term is a word, a word's beginning (`word*`), alternatives in parentheses, `~` for up to
three words in between, and `?` after what may be missing. Texts are folded first: lower
case, no accents, no apostrophes; hyphens part words. Chinese is not parted into words, so its
phrases are plain substrings.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from common.spoken import Token, tokens_of

_GAP = r"(?: [^\s.,;:!?]+){0,3}"
_TERM = re.compile(r"\(([^()]*)\)(\?)?|(~)|([^\s()?~]+)(\?)?")
_CONTRACTED = {
    word.replace("'", ""): word
    for word in [
        "don't",
        "doesn't",
        "didn't",
        "haven't",
        "hasn't",
        "hadn't",
        "isn't",
        "wasn't",
        "aren't",
        "weren't",
        "can't",
        "couldn't",
        "won't",
        "wouldn't",
        "ain't",
        "i'm",
        "i've",
        "he's",
        "she's",
        "it's",
        "that's",
        "there's",
        "they're",
        "we're",
        "you're",
    ]
}
"""As they are typed on a phone, without the apostrophe."""


class NotAPhrase(ValueError):
    """A phrase is not written as it should be; a fault of ours, found by the tests."""


@dataclass(frozen=True)
class Folded:
    """A text as phrases see it."""

    text: str
    """Each word after a space, with one at the end: ` my chest hurts . `."""
    tokens: Sequence[Token]
    """The same words, as `common/negation.py` reads them."""
    starts: Sequence[int]
    """Where each of them begins in `text`."""
    plain: str
    """Folded, but not parted: for languages that write no spaces."""

    def token_at(self, position: int) -> int:
        """Which token begins at or holds this place of `text`."""
        low, high = 0, len(self.starts)
        while low < high:
            middle = (low + high) // 2
            if self.starts[middle] <= position:
                low = middle + 1
            else:
                high = middle
        return max(0, low - 1)


def fold_word(word: str) -> str:
    """Lower case, without accents and apostrophes."""
    spread = unicodedata.normalize("NFKD", word.lower())
    kept = "".join(char for char in spread if not unicodedata.combining(char))
    return kept.replace("'", "").replace("’", "").replace("ß", "ss")


def folded(text: str) -> Folded:
    tokens = [_spelled(token) for token in tokens_of(text)]
    words = [fold_word(token.text) or "." for token in tokens]
    starts, length = [], 0
    for word in words:
        starts.append(length)
        length += 1 + len(word)
    return Folded("".join(f" {word}" for word in words) + " ", tokens, starts, fold_word(text))


def _spelled(token: Token) -> Token:
    return Token(_CONTRACTED.get(token.text, token.text), token.start, token.end)


@cache
def _term(word: str) -> str:
    return re.escape(word[:-1]) + r"[^\s]*" if word.endswith("*") else re.escape(word)


def pattern_of(phrase: str) -> str:
    """The phrase as a regular expression over `Folded.text`. Raises `NotAPhrase`."""
    parts, at = [], 0
    for found in _TERM.finditer(phrase):
        if phrase[at : found.start()].strip() or "|" in (found[4] or ""):
            raise NotAPhrase(phrase)
        at = found.end()
        choices, is_optional, gap, word, is_missing = found.groups()
        if gap:
            parts.append(_GAP)
            continue
        if choices is not None:
            each = [
                " ".join(_term(fold_star(one)) for one in choice.split())
                for choice in choices.split("|")
            ]
            term = " (?:" + "|".join(each) + ")"
        else:
            term = " " + _term(fold_star(word))
        parts.append(f"(?:{term})?" if is_optional or is_missing else term)
    if phrase[at:].strip() or not parts:
        raise NotAPhrase(phrase)
    return "".join(parts)


def fold_star(word: str) -> str:
    star = word.endswith("*")
    return fold_word(word.removesuffix("*")) + ("*" if star else "")


def compiled(phrases: Sequence[str]) -> re.Pattern[str] | None:
    """Any of these phrases; None for none. Raises `NotAPhrase`."""
    if not phrases:
        return None
    return re.compile("(?:" + "|".join(pattern_of(phrase) for phrase in phrases) + r")(?= )")
