"""What people say they have: each finding in their words, and whether it is denied, long over or somebody else's.

The findings are `common/findings.yaml`, in the person's words, English first. Denial is
`common/negation.py`'s for English, and a few words before the phrase in the other
languages. When in doubt a finding counts: what is missed here nobody looks for again.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common.negation import negated
from common.phrases import Folded, compiled, folded
from common.rules import load

LANGUAGES = ("en", "es", "de", "ar", "zh")


class FindingKind(StrEnum):
    SYMPTOM = "symptom"
    CONDITION = "condition"
    """That a chart may have too."""
    CIRCUMSTANCE = "circumstance"
    """What happened, or is so: a fall, a bite, a pregnancy."""


class Finding(BaseModel):
    """One thing that a person may say, in five languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: FindingKind
    en: Annotated[tuple[str, ...], Field(min_length=1)]
    es: tuple[str, ...] = ()
    de: tuple[str, ...] = ()
    ar: tuple[str, ...] = ()
    zh: tuple[str, ...] = ()
    """Plain substrings."""
    icd10: tuple[str, ...] = ()
    """How codes of this condition begin."""


class Status(StrEnum):
    PRESENT = "present"
    DENIED = "denied"
    PAST = "past"
    """Over for months or years, or of the family."""
    SPOKEN_OF = "spoken_of"
    """In a question about it, a story, a figure of speech."""


@dataclass(frozen=True)
class Mention:
    finding: str
    status: Status
    words: str
    """As they were written."""


@lru_cache
def findings() -> tuple[Finding, ...]:
    return tuple(Finding.model_validate(each) for each in load("findings.yaml"))


@dataclass(frozen=True)
class _Pattern:
    finding: Finding
    plain: re.Pattern[str] | None
    """Phrases without a word of denial: one inside what matched denies it."""
    denying: re.Pattern[str] | None
    """Phrases that are a denial themselves: `cant breathe`."""


_DENIALS = frozenset(
    [
        "no",
        "not",
        "never",
        "without",
        "nor",
        "none",
        "cant",
        "cannot",
        "dont",
        "doesnt",
        "didnt",
        "isnt",
        "arent",
        "wasnt",
        "havent",
        "hasnt",
        "hadnt",
        "wont",
        "wouldnt",
        "couldnt",
        "aint",
        "nicht",
        "kein",
        "keine",
        "keinen",
        "keinem",
        "keiner",
        "ohne",
        "nie",
        "sin",
        "nunca",
        "jamas",
        "tampoco",
        "لا",
        "ما",
        "لم",
        "ليس",
        "بدون",
    ]
)


_ENDINGS = frozenset(["stopped", "stop", "stops", "stopping", "quit", "quitting"])
"""In a phrase itself they deny nothing: `quit drinking`, `stopped breathing`."""


@lru_cache
def _patterns() -> tuple[_Pattern, ...]:
    found = []
    for finding in findings():
        phrases = [*finding.en, *finding.es, *finding.de, *finding.ar]
        denying = [phrase for phrase in phrases if _DENIALS & set(re.findall(r"[^\W_]+", phrase))]
        plain = [phrase for phrase in phrases if phrase not in denying]
        found.append(_Pattern(finding, compiled(plain), compiled(denying)))
    return tuple(found)


# ---------------------------------------------------------------- context

_SENTENCE = re.compile(
    r" [.;!?](?= )| (?:but|and now|now|today|tonight|however|pero|ahora|hoy|aber|jetzt|heute)(?= )"
)
"""Where a statement ends, for what is said to be over or of others."""

_NUMBER = r"(?:\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|several|many|some|couple ~?of|few|few)"
_PAST = re.compile(
    rf" (?:(?:a )?{_NUMBER} (?:years?|yrs?|months?|decades?) (?:ago|back)|(?:last|previous) (?:year|summer|winter|autumn|fall|spring)"
    r"|(?:back )?in (?:19|20)\d\d|used to|as a (?:child|kid|teen|teenager|baby|boy|girl|student)|when i was (?:a |\d|young|little|younger)\S*"
    r"|years ago|months ago|in the past|previously|history of|once had|recovered from|in my (?:teens|twenties|thirties|childhood|youth)"
    r"|hace (?:\d+|un|una|unos|varios|muchos|dos|tres|cuatro|cinco|seis|diez) (?:anos?|mes(?:es)?)|el ano pasado|de nino|de nina|de pequen\S+"
    r"|vor (?:\d+|einem|einer|zwei|drei|vier|funf|sechs|zehn|einigen|vielen) (?:jahr\S*|monat\S*)|letztes jahr|letzten (?:sommer|winter)|als kind|fruher)(?= )"
)
_CLAUSE = re.compile(
    r" (?:,|and (?=(?:i|im|my|he|hes|his|she|shes|her|it|its|the|this|we|cant|have|has|is) )|y (?=(?:me|le|se|tengo|tiene|no|estoy|esta|ya) )|und (?=(?:ich|er|sie|mein|meine|es|hab|habe|bin|ist) ))(?= |(?<= ))"
)
"""Where what is over ends, and something that is not may begin."""
_BEGINS = 4
"""Words of a statement among which what dates it dates the whole of it: `two years ago I had …`."""
_FAMILY = re.compile(
    r" (?:family (?:history|members? (?:have|had|with))|(?:runs?|common) in (?:my|our|the|his|her) family|(?:died|passed away|passed|dropped dead) (?:of|from|after|due to|when)"
    r"|(?:hes|shes|he is|she is|they are) in (?:the )?(?:hospital|icu)"
    r"|antecedentes (?:familiares|de)|(?:murio|fallecio) de|in (?:meiner|der) familie|(?:starb|gestorben|verstorben) an)(?= )"
)
_FAMILY_HAD = re.compile(
    r" (?:my|his|her|our) (?:mom|mum|dad|mother|father|grandma|grandpa|grandmother|grandfather|grandparents|uncle|aunt|cousin|parents)(?: also| both)* had(?: a| an)?(?= )"
    r"| (?:mi|su) (?:abuel\S+|padre|madre|tio|tia) (?:tuvo|tenia|padecia)(?= )"
)
"""A condition that somebody of the family once had."""
_STILL = re.compile(
    r" (?:just(?! (?:read|saw|seen|watched|heard|learned|wondering|curious|asking|want|wanted|checking|a (?:quick )?question|research|to|in case|for|like|as|be|being|got over) )|since (?:this|last|yesterday|today|breakfast|lunch|dinner|noon|midnight)|last night|yesterday|right now|currently|still|again|suddenly|(?:min|mins|minutes?|hours?|hrs?|days?) ago|this morning|ahora mismo|acaba de|gerade|eben|plotzlich)(?= )"
)
"""Whatever else is said: it is happening."""
_SPOKEN_OF = re.compile(
    r" (?:(?:symptoms?|signs?|risks?|chances?|odds|causes?|treatment|prevention|definition) (?:of|for)|(?:what|whats) (?:is|are|exactly is|does|causes?)(?: a| an| the)?"
    r"|how (?:to|do (?:i|you|we)) (?:prevent|avoid|spot|recogni[sz]e|tell|reduce|lower)|(?:learn|read|reading|heard|article|essay|homework|paper|lecture|exam|quiz|class|course|podcast|documentary|video|news) (?:about|on|that|said|says)"
    r"|(?:movie|film|novel|crime series|tv series|episode|tv show|book|(?:a|the|my) story|character|on tv|video game)|is it true|difference between|worried about (?:getting|having|developing)|afraid of (?:getting|having)"
    r"|(?:prevent|avoid|screening for|screened for|vaccine (?:for|against)|vaccinated against|test for|tested for)|can \S+ (?:cause|lead to)|wondering (?:about|what)"
    r"|sintomas de|senales de|riesgo de|que es|prevenir|pelicula|symptome (?:von|einer|eines)|anzeichen (?:von|einer|eines)|risiko (?:von|fur)|was ist|vorbeugen)(?= )"
)
_IDIOMS = re.compile(
    r" (?:(?:nearly|almost|about|practically) (?:gave|had|having|giving) (?:me |him |her |us |them )?a (?:heart attack|stroke)|(?:gave|give|giving) (?:me|him|her|us|them) a (?:heart attack|stroke)"
    r"|(?:die|died|dying) (?:of|from|with) (?:laughter|boredom|embarrassment|shame|laughing|curiosity|hunger)|dying (?:to|for) (?:know|see|try|go|meet|hear|get|have|a|some)|to die for"
    r"|kill(?:s|ed|ing)? (?:time|two birds|the mood|the vibe|the lights?|the engine|it)|(?:is|are|was) killing it|(?:boss|mom|mum|dad|wife|husband|teacher|parents|coach|he|she|they) (?:will|would|is going to|are going to|s going to|gonna|ll) (?:kill|murder) (?:me|us)"
    r"|(?:phone|battery|car|laptop|computer|plant|plants|printer|tv|watch|wifi|engine) (?:just |has |is |keeps )*(?:died|dying|dead|dies)|dead (?:tired|line|serious|battery|end|phone|on my feet)"
    r"|heart ?(?:broken|break|breaking|breaker)|broke my heart|breaks my heart|pain in the (?:neck|butt|ass)|sick (?:of|and tired)|blew my mind|blow my mind|head exploded?|mind exploded?"
    r"|fever pitch|gold fever|spring fever|cabin fever|hit the (?:roof|ceiling|gym|road|books?|sack|hay)|stroke of (?:luck|genius|midnight)|back ?stroke|different strokes"
    r"|shot (?:in the dark|of espresso|of whisky)|knife edge|bleeding (?:edge|heart)|blood (?:boil\S*|type|test|tests|work|donation)|jump(?:ed)? the gun|(?:throat|mouth|eyes|legs|muscles|everything|house|pee|nose|face|skin|stomach|ears|arms)(?: is| are| feels?| was)?(?: literally| like(?: its)?)? on fire|(?:swallow\S*|eating)(?: like)? (?:razor ?(?:blades?)?|broken glass|glass|knives|nails|needles|sandpaper|gravel)|like (?:razors?|razor ?blades|knives|glass|sandpaper|needles) (?:in my throat|when i swallow|going down)"
    r"|(?:murder|crime) scene|(?:i swear )?im (?:literally |so |absolutely )?dying(?: over here| haha| lol)?(?= [,.!])|murder(?:ing)? me|so hungry i could (?:die|faint)|starving to death|bored to (?:death|tears)|scared (?:to death|the life out of me)|worried (?:to death|sick)|freezing to death|sweating (?:over|about) (?:the|this|my)|(?:nearly|almost|about) (?:died|fainted) (?:of|from|laughing|when i saw|looking|at the (?:price|bill|sight))"
    r"|drowning in (?:work|emails?|homework|paperwork|laundry|debt|deadlines|snot|tears|bills|stuff)|crying (?:laughing|with laughter)|losing my (?:mind|shit)|going (?:crazy|insane|nuts)|(?:drives?|driving|drove) me (?:crazy|insane|nuts|up the wall)|out of (?:my|his|her) mind with (?:boredom|worry)|shoot (?:me|hoops|an email|a text|pool|photos)|bite (?:the bullet|your tongue|to eat)|hungry (?:as|like) (?:a|an) \S+|brain (?:is )?(?:fried|dead|freeze|fart)|me muero de (?:hambre|sueno|risa|ganas|pena|verguenza|la tos|calor|frio|aburrimiento)|muert[oa] de (?:hambre|sueno|risa|miedo|cansancio|frio|verguenza)|mir platzt (?:der kopf|der kragen)|sterbe vor (?:hunger|langeweile|lachen|scham)"
    r"|choked up|breath of fresh air|takes? my breath away|took my breath away|breathtaking)(?= )"
)
"""Figures of speech: nothing in them is a finding."""
_ELSEWHERE = re.compile(
    r"(?:no|sin|nunca|tampoco|niega|kein\w*|nicht|ohne|nie|weder|noch|لا|ليس|بدون|ولا)"
)
_REACH = 4
"""Words before a phrase in which Spanish, German and Arabic deny it."""
_NOT_ACROSS = frozenset((".", ",", ";", "pero", "aber", "sondern", "porque", "weil", "که"))
_SPANISH_HAVING = frozenset(
    [
        "tengo",
        "tiene",
        "tenemos",
        "hay",
        "siento",
        "siente",
        "he",
        "ha",
        "me",
        "le",
        "se",
        "noto",
        "nota",
        "hubo",
        "tuve",
    ]
)
_ZH_DENIED = re.compile(r"(?:没有|没|无|不|未|并未|否认)[^，。；,.]{0,3}$")


# ---------------------------------------------------------------- finding


def mentions(text: str) -> list[Mention]:
    """Every finding in a text, once for each place where it stands."""
    seen = folded(text)
    blank = _IDIOMS.sub(lambda found: " " + "_" * (len(found[0]) - 1), seen.text)
    denied = negated(seen.tokens)
    found = []
    for pattern in _patterns():
        for compiled_, is_denial in ((pattern.plain, False), (pattern.denying, True)):
            for match in compiled_.finditer(blank) if compiled_ else ():
                status = _status(
                    seen,
                    denied,
                    match,
                    is_denial=is_denial,
                    is_condition=pattern.finding.kind is FindingKind.CONDITION,
                )
                found.append(Mention(pattern.finding.id, status, match[0].strip()))
        found += _in_chinese(pattern.finding, seen)
    return found


def present(texts: Sequence[str]) -> dict[str, str]:
    """The findings that are present in any of these texts, each with the words that say so."""
    return {
        mention.finding: mention.words
        for text in texts
        for mention in mentions(text)
        if mention.status is Status.PRESENT
    }


def conditions(names: Sequence[str], codes: Sequence[str] = ()) -> frozenset[str]:
    """The conditions that a chart's entries name, by their words or by ICD-10."""
    found = set()
    seen = [folded(name) for name in names]
    for pattern in _patterns():
        finding = pattern.finding
        if finding.kind is FindingKind.SYMPTOM:
            continue
        is_named = any(pattern.plain.search(each.text) for each in seen) if pattern.plain else False
        if is_named or any(code.startswith(finding.icd10) for code in codes if finding.icd10):
            found.add(finding.id)
    return frozenset(found)


def _status(
    seen: Folded,
    denied: Sequence[bool],
    match: re.Match[str],
    *,
    is_denial: bool,
    is_condition: bool,
) -> Status:
    first = seen.token_at(match.start())
    last = seen.token_at(match.end() - 1)
    words = match[0].split()
    if not is_denial:
        if denied[first] or _DENIALS & set(words) or _denied_elsewhere(seen, first):
            return Status.DENIED
        is_last_denied = denied[min(last, len(denied) - 1)] and not _ENDINGS & set(words)
        if is_last_denied and not denied[first] and len(words) > 1:
            return Status.DENIED  # `pain, not in my chest`
    sentence = _around(seen.text, match.start(), match.end())
    if _FAMILY.search(sentence):
        return Status.PAST
    if _STILL.search(sentence):
        return Status.PRESENT
    if _is_over(sentence, match[0]):
        return Status.PAST
    if is_condition and _FAMILY_HAD.search(sentence):
        return Status.PAST
    before = sentence[: max(0, sentence.find(match[0]) + 1)]
    if _SPOKEN_OF.search(before + " "):
        return Status.SPOKEN_OF
    return Status.PRESENT


def _is_over(sentence: str, words: str) -> bool:
    """Whether what dates something months or years back is said of these words.

    It is said of its own clause, or of all that follows when the statement begins with it.
    """
    at = max(0, sentence.find(words))
    for found in _PAST.finditer(sentence):
        if len(sentence[: found.start()].split()) < _BEGINS and found.start() <= at:
            return True
        between = sentence[min(found.end(), at + len(words)) : max(found.start(), at)]
        if not _CLAUSE.search(between + " "):
            return True
    return False


def _around(text: str, start: int, end: int) -> str:
    """The statement that holds this place."""
    begin = max((each.end() for each in _SENTENCE.finditer(text, 0, start + 1)), default=0)
    after = _SENTENCE.search(text, end)
    return text[begin : after.start() + 1 if after else len(text)]


def _denied_elsewhere(seen: Folded, first: int) -> bool:
    """By a word of Spanish, German or Arabic shortly before."""
    for at in range(first - 1, max(-1, first - 1 - _REACH), -1):
        word = _word(seen, at)
        if word in _NOT_ACROSS:
            return False
        if word != "no" and _ELSEWHERE.fullmatch(word):
            return True
        if word == "no" and (at == first - 1 or _word(seen, at + 1) in _SPANISH_HAVING):
            return True
    return False


def _word(seen: Folded, at: int) -> str:
    end = seen.starts[at + 1] if at + 1 < len(seen.starts) else len(seen.text)
    return seen.text[seen.starts[at] : end].strip()


def _in_chinese(finding: Finding, seen: Folded) -> Iterator[Mention]:
    for phrase in finding.zh:
        at = seen.plain.find(phrase)
        if at >= 0:
            is_denied = _ZH_DENIED.search(seen.plain[:at]) and not phrase.startswith(
                ("不", "没", "无")
            )
            yield Mention(finding.id, Status.DENIED if is_denied else Status.PRESENT, phrase)
