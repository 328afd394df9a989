"""What people say they have: each finding in their words, and whether it is denied, long over or somebody else's.

The findings are `common/findings.yaml`, in the person's words, English first. Denial is
`common/negation.py`'s for English, and a few words before the phrase in the other
languages. When in doubt a finding counts: what is missed here nobody looks for again.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common.negation import negated
from common.phrases import Folded, compiled, folded
from common.rules import load
from common.spoken import Token, word_set

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


_DENIALS = word_set("""
    no not never without nor none cant cannot dont doesnt didnt isnt arent wasnt havent hasnt hadnt
    wont wouldnt couldnt aint nicht kein keine keinen keinem keiner ohne nie sin nunca jamas tampoco
    لا ما لم ليس بدون
""")
_ENDINGS = word_set("stopped stop stops stopping quit quitting gone")
"""In a phrase itself they deny nothing: `quit drinking`, `stopped breathing`."""


@lru_cache
def _patterns() -> tuple[_Pattern, ...]:
    found = []
    for finding in findings():
        phrases = [*finding.en, *finding.es, *finding.de, *finding.ar]
        parts = [part for phrase in phrases for part in _parted(phrase)]
        denying = [part for part in parts if _denies(part)]
        plain = [part for part in parts if not _denies(part)]
        found.append(_Pattern(finding, compiled(plain), compiled(denying)))
    return tuple(found)


def _denies(phrase: str) -> bool:
    return not (_DENIALS | _ENDINGS).isdisjoint(re.findall(r"[^\W_]+", phrase))


_CHOICES = re.compile(r"\(([^()]*)\)(\??)")


def _parted(phrase: str) -> Iterator[str]:
    """`(cant|barely) breathe` as two phrases, so that only the first is a denial itself."""
    plain, at = phrase, 0
    for found in _CHOICES.finditer(phrase):
        choices, is_optional = found[1].split("|"), found[2]
        denying = "|".join(choice for choice in choices if _denies(choice))
        others = "|".join(choice for choice in choices if not _denies(choice))
        if denying and (others or is_optional):
            yield f"{phrase[: found.start()]}({denying}){phrase[found.end() :]}"
            kept = f"({others}){is_optional}" if others else ""
            plain = plain[: found.start() + at] + kept + plain[found.end() + at :]
            at += len(kept) - len(found[0])
    yield " ".join(plain.split())


# ---------------------------------------------------------------- context

_SENTENCE = re.compile(
    r" [.;!?](?= )| (?:but|and now|now|today|tonight|however|pero|ahora|hoy|aber|jetzt|heute)(?= )"
)
"""Where a statement ends, for what is said to be over or of others."""

_NUMBER = r"(?:\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|several|many|some|couple ~?of|few|few)"
_PAST = re.compile(
    rf" (?:(?:a )?{_NUMBER} (?:years?|yrs?|months?|decades?) (?:ago|back)|(?:last|previous) (?:year|summer|winter|autumn|fall|spring)"
    r"|(?:back )?in (?:19|20)\d\d|used to|as a (?:child|kid|teen|teenager|baby|boy|girl|student)|when i was (?:a |\d|young|little|younger)\S*"
    r"|years ago|months ago|in the past|in my (?:teens|twenties|thirties|childhood|youth)"
    r"|hace (?:\d+|un|una|unos|varios|muchos|dos|tres|cuatro|cinco|seis|diez) (?:anos?|mes(?:es)?)|el ano pasado|de nino|de nina|de pequen\S+"
    r"|vor (?:\d+|einem|einer|zwei|drei|vier|funf|sechs|zehn|einigen|vielen) (?:jahr\S*|monat\S*)|letztes jahr|letzten (?:sommer|winter)|als kind|fruher)(?= )"
)
_CLAUSE = re.compile(
    r" (?:,|and (?=(?:a )?(?:sudden|suddenly|new|crushing) )|and (?=(?:i|im|my|he|hes|his|she|shes|her|it|its|the|this|we|cant|have|has|is) )|y (?=(?:me|le|se|tengo|tiene|no|estoy|esta|ya) )|und (?=(?:ich|er|sie|mein|meine|es|hab|habe|bin|ist) ))(?= |(?<= ))"
)
"""Where what is over ends, and something that is not may begin."""
_NEXT = re.compile(
    r" (?:,|and|y|und)(?: and| y| und)? (?=(?:i|im|ive|my|he|hes|his|she|shes|her|we|it|its|now|cant|have|having|has|me|le|tengo|tiene|siento|estoy|ich|er|sie|mein|meine|habe|bin) )"
)
"""The same, for conditions: they come in lists."""
_NOW = re.compile(
    r" (?:(?:i|we|they|he|she|it) (?:have|has|am|is|are|feel|feels|keep|keeps|cant|cannot|can)|im|hes|shes|its|ive got|(?:my|his|her|the)(?: \S+){1,3}? (?:is|are|hurts?|aches?|feels?|keeps|wont)"
    r"|tengo|tiene|siento|me (?:duele|cuesta|falta)|estoy|ich (?:habe|bin|bekomme)|er (?:hat|ist)|sie (?:hat|ist))(?= )"
)
"""Where a statement in the present begins."""
_BEGINS = 4
"""Words of a statement among which a date is that of all that follows in the past: `two years ago I had …`."""
_HAD = re.compile(
    r" (?:(?:past |medical )?history of|previously(?! (?:healthy|well|fit))|once had|recovered from|antecedentes de)(?= )"
)
_FAMILY = re.compile(
    r" (?:(?:runs?|common) in (?:my|our|the|his|her) family|(?:died|passed away|passed|dropped dead) (?:of|from|after|due to|when)"
    r"|(?:hes|shes|he is|she is|they are) in (?:the )?(?:hospital|icu)"
    r"|(?:murio|fallecio) de|in (?:meiner|der) familie|(?:starb|gestorben|verstorben) an)(?= )"
)
_FAMILY_HISTORY = re.compile(
    r" (?:family (?:history(?: of)?|members? (?:have|had|with))|antecedentes familiares(?: de)?)(?= )"
)
_MINE = re.compile(
    r" (?:,|and|y|und|because|so|while)(?: and| y| und)? (?:i|im|ive|my|me|yo|mi|tengo|siento|estoy|ich|mein|meine|mir|habe)(?= )|"
    + _NOW.pattern.replace("im|hes|shes|its", "im|its")
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
_ASKED = re.compile(
    r" (?:(?:symptoms?|signs?|risks?|chances?|odds|causes?|treatment|prevention|definition) (?:of|for)|(?:what|whats) (?:is|are|exactly is|does|causes?)(?: a| an| the)?"
    r"|how (?:to|do (?:i|you|we)) (?:prevent|avoid|spot|recogni[sz]e|tell|reduce|lower)|is it true|difference between|worried about (?:getting|having|developing)|afraid of (?:getting|having)"
    r"|(?:prevent|avoid|screening for|screened for|vaccine (?:for|against)|vaccinated against|test for|tested for)|(?:can|may|might|could)(?: \S+)? (?:cause|lead to)|wondering (?:about|what)"
    r"|sintomas de|senales de|riesgo de|que es|prevenir|symptome (?:von|einer|eines)|anzeichen (?:von|einer|eines)|risiko (?:von|fur)|was ist|vorbeugen)(?= )"
)
_TOLD = re.compile(
    r" (?:(?:learn|learned|read|reading|heard) (?:about|that)|(?:article|essay|homework|paper|lecture|exam|quiz|class|course|podcast|documentary|video|news) (?:about|on|that|said|says)"
    r"|movie|film|novel|crime series|tv series|episode|tv show|book|(?:a|the|my) story|character|on tv|video game|pelicula)(?= )"
)
_SET_IN = re.compile(
    r" in (?:the|a|that|this) (?:movie|film|book|novel|show|series|episode|game|story|video)(?= )"
)
_OWN = re.compile(r" (?:i|im|ive|my|me|mi|tengo|siento|estoy|ich|mein|meine|mir)(?= )")
_SOMEBODYS = re.compile(
    _OWN.pattern.replace("(?:i|", "(?:he|hes|his|she|shes|her|we|our|they|er|sie|tiene|i|")
)
"""Who has it: then it is no question in general, and no story."""
_IDIOMS = re.compile(
    r" (?:(?:nearly|almost|about|practically) (?:gave|had|having|giving) (?:me |him |her |us |them )?a (?:heart attack|stroke)|(?:gave|give|giving) (?:me|him|her|us|them) a (?:heart attack|stroke)"
    r"|(?:die|died|dying) (?:of|from|with) (?:laughter|boredom|embarrassment|shame|laughing|curiosity|hunger)|dying (?:to|for) (?:know|see|try|go|meet|hear|get|have|a|some)|to die for"
    r"|kill(?:s|ed|ing)? (?:time|two birds|the mood|the vibe|the lights?|the engine|it)|(?:is|are|was) killing it|(?:boss|mom|mum|mother|dad|father|teacher|parents|coach) (?:will|would|is going to|are going to|s going to|gonna|ll) (?:kill|murder) (?:me|us)"
    r"|(?:phone|battery|car|laptop|computer|plant|plants|printer|tv|watch|wifi|engine) (?:just |has |is |keeps )*(?:died|dying|dead|dies)|dead (?:tired|line|serious|battery|end|phone|on my feet)"
    r"|heart ?(?:broken|break|breaking|breaker)|broke my heart|breaks my heart|pain in the (?:neck|butt|ass)|sick (?:of|and tired)|blew my mind|blow my mind|head exploded?|mind exploded?"
    r"|fever pitch|gold fever|spring fever|cabin fever|hit the (?:roof|ceiling|gym|road|books?|sack|hay)|stroke of (?:luck|genius|midnight)|back ?stroke|different strokes"
    r"|shot (?:in the dark|of espresso|of whisky)|knife edge|bleeding (?:edge|heart)|blood (?:boil\S*|type|test|tests|work|donation)|jump(?:ed)? the gun|(?:throat|mouth|eyes|muscles|everything|pee|nose|stomach|ears|my (?:legs|arms|thighs|calves|feet))(?: is| are| feels?| was| were)?(?: literally| like(?: its| theyre)?)? on fire|(?:feel|feels|felt|feeling)(?: literally)?(?: like)?(?: \S+){0,3} on fire|(?:like|as if|as though)(?: \S+){0,2} (?:swallow\S*|eating|gargl\S*|drinking)(?: \S+)? (?:razor ?blades?|razors?|glass|knives|nails|needles|sandpaper|gravel)|(?:like|full of) (?:razors?|razor ?blades|knives|glass|sandpaper|needles|nails)(?= (?:in my throat|when i swallow|going down|every time|to swallow|[.,!]))"
    r"|(?:murder|crime) scene|(?:i swear )?im (?:literally |so |absolutely )?dying(?: over here| haha| lol)?(?= [,.!])|murder(?:ing)? me|so hungry i could (?:die|faint)|starving to death|bored to (?:death|tears)|scared (?:to death|the life out of me)|worried (?:to death|sick)|freezing to death|sweating (?:over|about) (?:the|this|my)|(?:nearly|almost|about) (?:died|fainted) (?:of|from|laughing|when i saw|looking|at the (?:price|bill|sight))"
    r"|drowning in (?:work|emails?|homework|paperwork|laundry|debt|deadlines|snot|tears|bills|stuff)|crying (?:laughing|with laughter)|losing my (?:mind|shit)|going (?:crazy|insane|nuts)|(?:drives?|driving|drove) me (?:crazy|insane|nuts|up the wall)|out of (?:my|his|her) mind with (?:boredom|worry)|shoot (?:me|hoops|an email|a text|pool|photos)|bite (?:the bullet|your tongue|to eat)|hungry (?:as|like) (?:a|an) \S+|brain (?:is )?(?:fried|dead|freeze|fart)|me muero de (?:hambre|sueno|risa|ganas|pena|verguenza|la tos|calor|frio|aburrimiento)|muert[oa] de (?:hambre|sueno|risa|miedo|cansancio|frio|verguenza)|mir platzt (?:der kopf|der kragen)|sterbe vor (?:hunger|langeweile|lachen|scham)"
    r"|choked up|breath of fresh air|takes? my breath away|took my breath away|breathtaking|on fire (?:today|lately|this (?:week|month|season|year))|(?:mama|papa|madre|padre|padres|jef[ea]|maestr[oa]|profesora?) (?:me|nos) (?:va|van) a matar|(?:mama|papa|mutter|vater|chef|chefin|eltern|lehrer(?:in)?) (?:bringt|bringen|wird|werden) mich (?:um|umbringen))(?= )"
)
"""Figures of speech: nothing in them is a finding."""
_ELSEWHERE = re.compile(
    r"(?:no|sin|nunca|tampoco|niega|kein\w*|nicht|ohne|nie|weder|noch|لا|ليس|بدون|ولا)"
)
_REACH = 4
"""Words before a phrase in which Spanish, German and Arabic deny it."""
_NOT_ACROSS = frozenset((".", ",", ";", "pero", "aber", "sondern", "porque", "weil", "که"))
_SPANISH_HAVING = word_set(
    "tengo tiene tenemos hay siento siente he ha me le se noto nota hubo tuve"
)
_ONLY_LOOKS_DENIED = re.compile(
    r" (?:(?:never|nunca|noch nie|nie)(?: [^\s.,;:!?]+){1,2} (?:(?:a )?worse|such|anything (?:like|so|as)|this (?:kind|sort|much)|so (?:\S+)|algo (?:asi|como)|tanto|so ?was|solche)"
    r"|(?:noch )?nie (?:so|solche)|nunca (?:tan|tanto)|never(?=(?: [^\s.,;:!?]+){1,7} (?:(?:like|as bad as) (?:this|that|it|now)|(?:this|so|that) (?:bad|severe|strong|intense|much|hard|awful)) )"
    r"|nunca(?=(?: [^\s.,;:!?]+){1,7} (?:asi|como este|como esta|tan fuerte) )|nie(?=(?: [^\s.,;:!?]+){1,6} (?:wie (?:das|jetzt|diese)|so (?:stark|schlimm)) )"
    r"|without (?:any )?(?:warning|notice|reason|cause|apparent|provocation|doing|thinking)|sin (?:previo )?(?:aviso|motivo|razon)|ohne (?:vorwarnung|grund|warnung))(?= )"
)
"""`Never had such pain`, `without warning`: what follows is there."""
_ZH_DENIED = re.compile(r"(?:没有|没|无|不|未|并未|否认)[^，。；,.]{0,3}$")


# ---------------------------------------------------------------- finding


def mentions(text: str) -> list[Mention]:
    """Every finding in a text, once for each place where it stands."""
    seen = folded(text)
    blank = _IDIOMS.sub(lambda found: " " + "_" * (len(found[0]) - 1), seen.text)
    heard = _heard(seen)
    denied = negated(heard.tokens)
    found = []
    for pattern in _patterns():
        for compiled_, is_denial in ((pattern.plain, False), (pattern.denying, True)):
            for match in compiled_.finditer(blank) if compiled_ else ():
                status = _status(
                    heard,
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
    words = seen.text[match.start() : match.end()].split()
    if not is_denial:
        if denied[first] or _DENIALS & set(words) or _denied_elsewhere(seen, first):
            return Status.DENIED
        is_last_denied = denied[min(last, len(denied) - 1)] and not _ENDINGS & set(words)
        if is_last_denied and not denied[first] and len(words) > 1:
            return Status.DENIED  # `pain, not in my chest`
    sentence, at = _around(seen.text, match.start(), match.end())
    own = (sentence, at, at + len(match[0]))
    ending = _NEXT if is_condition else _CLAUSE
    if _is_of(_FAMILY, *own, _MINE) or _is_of(_FAMILY_HISTORY, *own, ending):
        return Status.PAST
    if _STILL.search(sentence):
        return Status.PRESENT
    if _is_of(_HAD, *own, ending) or _is_over(*own):
        return Status.PAST
    if is_condition and _is_of(_FAMILY_HAD, *own, ending):
        return Status.PAST
    return Status.SPOKEN_OF if _is_spoken_of(*own) else Status.PRESENT


def _is_of(
    pattern: re.Pattern[str], sentence: str, start: int, end: int, ending: re.Pattern[str]
) -> bool:
    """Whether the pattern stands in the same clause as these words."""
    return any(
        not _begins_between(ending, sentence, min(found.end(), end), max(found.start(), start))
        for found in pattern.finditer(sentence)
    )


def _begins_between(pattern: re.Pattern[str], text: str, start: int, end: int) -> bool:
    found = pattern.search(text, start)
    return found is not None and found.start() < end


def _is_over(sentence: str, start: int, end: int) -> bool:
    """Whether what dates something months or years back is said of these words.

    It is said of its own clause, or of all in the past that follows when the statement begins with it.
    """
    for found in _PAST.finditer(sentence):
        if len(sentence[: found.start()].split()) < _BEGINS and found.start() <= start:
            return not _begins_between(_NOW, sentence, found.end(), end)
    return _is_of(_PAST, sentence, start, end, _CLAUSE)


def _is_spoken_of(sentence: str, start: int, end: int) -> bool:
    """Whether it is in a question in general, or a story: nobody who has it comes in between."""
    return _SET_IN.search(sentence, end) is not None or any(
        not whose.search(sentence, found.end(), start + 1)
        for pattern, whose in ((_ASKED, _SOMEBODYS), (_TOLD, _OWN))
        for found in pattern.finditer(sentence, 0, end + 1)
        if found.start() < start
    )


def _heard(seen: Folded) -> Folded:
    """The text for what denies: without what only looks like a denial; `stopped …` ends at a comma.

    A denial goes on after a comma only in a list that ends with `or`: `no fever, chest pain since an hour` is a pain.
    """
    tokens, text = list(seen.tokens), seen.text
    for found in _ONLY_LOOKS_DENIED.finditer(text):
        first, last = seen.token_at(found.start()), seen.token_at(found.end() - 1)
        for at in range(first, last + 1):
            tokens[at] = Token("_", tokens[at].start, tokens[at].end)
        text = text[: found.start() + 1] + "_" * (len(found[0]) - 1) + text[found.end() :]
    is_ending = False
    words = [token.text for token in tokens]
    for at, token in enumerate(tokens):
        is_new = token.text == "," and not _is_listed(words, at)
        if token.text in (",", ".", "and"):
            if is_ending or is_new:
                tokens[at] = Token(";", token.start, token.end)
            is_ending = False
        is_ending = is_ending or token.text in (*_ENDINGS, "off", "discontinued")
    return replace(seen, tokens=tokens, text=text)


def _is_listed(words: Sequence[str], comma: int) -> bool:
    for word in words[comma + 1 :]:
        if word in (".", ";", "!", "?", "but"):
            return False
        if word in ("or", "nor"):
            return True
    return False


def _around(text: str, start: int, end: int) -> tuple[str, int]:
    """The statement that holds this place, and where in it the place begins."""
    begin = max((each.end() for each in _SENTENCE.finditer(text, 0, start + 1)), default=0)
    after = _SENTENCE.search(text, end)
    return text[begin : after.start() + 1 if after else len(text)], start - begin


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
