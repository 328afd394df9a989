"""Which words of a sentence are said not to be so: `denies chest pain`, `fever, no`.

After NegEx (Chapman et al., A Simple Algorithm for Identifying Negated Findings
and Diseases in Discharge Summaries, J Biomed Inform 2001;34:301-310): phrases
that negate what follows or what went before, phrases that only look so, and
words that end their reach. The phrases here are those of people who talk.
"""

from collections.abc import Sequence

from common.spoken import Token, word_set

_REACH = 7
"""Words that a negation reaches; each further one of a list renews it."""

_NEGATIVE_VERBS = word_set("""
    don't doesn't didn't haven't hasn't hadn't isn't wasn't aren't weren't can't cannot
    couldn't won't wouldn't ain't never not don’t
""")
_BETWEEN = {"really", "actually", "ever", "even", "been", "currently", "be", "to", "also"}
_HAVING = word_set("""
    have had has having got get gets getting gotten feel felt feeling notice noticed
    noticing see seen seeing experience experienced experiencing take takes taking taken
    took use uses using used need needs want show shows showing find found report reports
    any a an the on has hear heard look looks suggest complain develop developed
    include think tolerate
""")

_BEFORE = [
    tuple(phrase.split())
    for phrase in """no
    denies|deny|denied|denying|without|negative for|free of|absence of|absent|lack of|lacks
    no evidence of|no sign of|no signs of|no history of|no longer|no more|none of|nor|neither
    ruled out|rules out|rule that out|stopped|stop|stopping|quit|quitting|discontinue|discontinued
    discontinuing|came off|come off|coming off|weaned off|off of|hold the|allergic not|instead of
    rather than|unlikely to be|anything but""".replace("\n", "|").split("|")
    if phrase.strip()
]
_AFTER = [
    tuple(phrase.split())
    for phrase in """is gone|are gone|all gone|has gone|went away|has resolved|have resolved|resolved
    was ruled out|were ruled out|been ruled out|is ruled out|is negative|was negative|came back negative
    were negative|is absent|has cleared|cleared up|is over|was stopped|was discontinued|got better
    has stopped|have stopped|stopped|is out|not present|unlikely|not needed|isn't needed|no longer
    cannot be|can't be used|is contraindicated|is not affected|aren't there|isn't there""".replace(
        "\n", "|"
    ).split("|")
    if phrase.strip()
]
_ONLY_LOOKS_SO = [
    tuple(phrase.split())
    for phrase in """no change|no changes|no improvement|no doubt|no wonder|no reason|no question
    no increase|no better|no relief|no good|no use|no idea|no matter|no problem|no one|no sooner
    not only|not just|not sure|not certain|not even|not necessarily|not because|not the only|not better
    not improving|not going away|not helping|not controlled|not well|not ruled out|not been ruled out
    isn't just|isn't only|isn't going|isn't helping|isn't controlled|isn't any better|wasn't just
    doesn't go|don't go|didn't go|doesn't get|won't go|not gone|can't stand|can't shake|can't sleep
    can't get|can't stop|can't ignore|can't rule|cannot rule|couldn't rule|don't stop|didn't stop|don't quit
    without relief|without help|gram negative|non stop|never stops|never goes|never gone|never crossed
    doesn't stop|won't stop|never without|nothing helps|can't tell|couldn't tell|don't know|not without
    stop by|stopped by|didn't help|doesn't help|don't forget|do not forget|don't miss
    not worried|not concerned|don't see any reason|don't see a reason|reason to stop|reason to quit|reason to doubt|need to stop|want to stop""".replace(
        "\n", "|"
    ).split("|")
    if phrase.strip()
]
_ENDS = word_set("""
    . ? ! ; : but however although though except yet because since which who that's whereas
    while so if when until after before apart aside especially due then still causing cause
    secondary on during
""")
_SUBJECTS = word_set("""
    i i'm i've i'll i'd he he's she she's it it's they they've we we're we'll you you're
    there there's this that my his her the now just only start started take continue let's
    let today kept had has have is was are were says thinks
""")
_LINKS = {",", "or", "and", "nor", "/", "any"}

Phrases = Sequence[tuple[str, ...]]


def negated(tokens: Sequence[Token]) -> list[bool]:
    """For each token, whether it is negated."""
    words = [token.text for token in tokens]
    found = [False] * len(words)
    at = 0
    while at < len(words):
        if (size := _phrase_at(words, at, _ONLY_LOOKS_SO)) or _is_answer(words, at):
            at += max(size, 1)
            continue
        size = _phrase_at(words, at, _BEFORE) or _verb_at(words, at)
        if size and not _is_infinitive(words, at):
            at = _mark(words, at + size, found)
            continue
        if words[at] in _NEGATIVE_VERBS and at + 1 < len(words):
            found[at + 1] = True  # `I don't drink`: that, and no more
        at += 1
    _mark_before(words, found)
    return found


def _phrase_at(words: Sequence[str], at: int, phrases: Phrases) -> int:
    """How many words the longest of these phrases takes here; 0 if none begins here."""
    sizes = (len(phrase) for phrase in phrases if tuple(words[at : at + len(phrase)]) == phrase)
    return max(sizes, default=0)


def _verb_at(words: Sequence[str], at: int) -> int:
    """`don't have`, `isn't really a`, `not pneumonia`: the words up to what is negated."""
    if words[at] not in _NEGATIVE_VERBS:
        return 0
    end = at + 1
    while end < len(words) and words[end] in _BETWEEN:
        end += 1
    if end < len(words) and words[end] in _HAVING:
        return end + 1 - at
    is_copula = words[at] in ("not", "isn't", "wasn't", "aren't", "weren't")
    return end - at if is_copula else 0


def _is_answer(words: Sequence[str], at: int) -> bool:
    """`No, I have …`: what follows is not negated by it; and `fever no` negates backwards."""
    if words[at] != "no":
        return False
    following = words[at + 1] if at + 1 < len(words) else "."
    return following in (",", ".", "!", "?", ";", "but", "i", "i'm", "it's", "that's")


def _is_infinitive(words: Sequence[str], at: int) -> bool:
    """`to rule out …` only says what is to be found out; `don't stop` goes on."""
    before = words[at - 1] if at else ""
    return (words[at] in ("rule", "rules") and before in ("to", "would", "helps")) or (
        words[at] in ("stop", "stopping", "quit") and before in ("don't", "not", "never", "didn't")
    )


def _mark(words: Sequence[str], at: int, found: list[bool]) -> int:
    """Mark what the negation before `at` reaches; returns where it ends."""
    left = _REACH
    while at < len(words) and left:
        word = words[at]
        if word in _ENDS or _begins_clause(words, at):
            return at
        if word in _LINKS:
            left = _REACH
        else:
            found[at] = True
            left -= 1
        at += 1
    return at


def _begins_clause(words: Sequence[str], at: int) -> bool:
    """Whether what comes after this comma or `and` is another statement, and not the list's next."""
    if words[at] not in (",", "and", "or"):
        return False
    following = at + 1
    while following < len(words) and words[following] in ("and", "or"):
        following += 1
    return following < len(words) and words[following] in _SUBJECTS


def _mark_before(words: Sequence[str], found: list[bool]) -> None:
    for at in range(len(words)):
        is_no = words[at] == "no" and at > 0 and _is_answer(words, at)
        if is_no and words[at - 1] == ",":
            continue
        size = 1 if is_no else _phrase_at(words, at, _AFTER)
        if not size or (not is_no and at and words[at - 1] in ("not", "hasn't", "never")):
            continue
        begin = at
        while begin > 0 and at - begin < _REACH and words[begin - 1] not in (*_ENDS, ",", "and"):
            begin -= 1
        found[begin:at] = [True] * (at - begin)
