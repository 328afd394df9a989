"""Takes out of a text who it is about, and puts it back into an answer.

Each identifier becomes a token that stands for the same one throughout:
`[PERSON_1]`, `[PHONE_2]`. What the record knows is found wherever it stands;
what it does not know is found by its form. The kinds are those of the HIPAA
safe harbor (45 CFR 164.514(b)(2)) that speech can hold. Ages over 89 are one
of them; doses, values and durations are none, and stay.

Forms are known in English, Spanish and German. What is written in another language
does not leave: who asks here looks at `language_of` first.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from common.spoken import word_set


class Kind(StrEnum):
    PERSON = "PERSON"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    ADDRESS = "ADDRESS"
    DATE = "DATE"
    ID = "ID"
    URL = "URL"
    AGE = "AGE"


@dataclass(frozen=True)
class Identifier:
    """One that the record knows."""

    kind: Kind
    value: str


class NotRedacted(Exception):
    """Something that identifies somebody is left: nothing may leave."""


_MONTHS = (
    r"(?:january|february|march|april|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|may)"
)
_MONTHS_ABROAD = (
    r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre"
    r"|januar|jänner|februar|märz|april|mai|juni|juli|oktober|dezember)"
)
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?)"
_ORDINAL = (
    r"(?:(?:twenty|thirty)[ -])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    r"|(?:tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth"
    r"|nineteenth|twentieth|thirtieth)"
)
_SPOKEN_DIGIT = (
    r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|\d"
    r"|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|null|eins|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun)"
)
_KIN = (
    r"(?:wife|husband|partner|daughter|son|mother|father|mom|mum|dad|sister|brother|aunt|uncle|(?:mother|father|sister|brother)-in-law"
    r"|grandmother|grandfather|grandma|grandpa|friend|neighbor|neighbour|boss|roommate|nurse|cousin|ex|landlord|carer|babysitter)"
)
_NAME = r"[A-ZÀ-Þ][\w'’-]+"
_STREET = r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|place|square|terrace)"

_OLD = (
    r"(?:9\d|1[01]\d|ninety(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?|one hundred(?: (?:and )?\w+)?"
    r"|noventa(?: y \w+)?|cien|(?:\w+und)?neunzig)"
)
"""Over 89, as a number or in words."""

_FORMS: Sequence[tuple[Kind, re.Pattern[str]]] = (
    (
        Kind.EMAIL,
        re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[\w.]+ at [\w]+ dot (?:com|org|net)\b"),
    ),
    (
        Kind.URL,
        re.compile(
            r"\b(?:https?://|www\.)\S+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|io|app|info|uk|es|de|mx|health)(?:/\S*)?(?![\w.@])",
            re.I,
        ),
    ),
    (Kind.ID, re.compile(r"\b\d{3}-\d{2}-\d{4}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    (
        Kind.DATE,
        re.compile(
            r"\b\d{4}[-/]\d{2}[-/]\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b\d{1,2}\.\d{1,2}\.\d{4}\b"
            rf"|\b\d{{1,2}}-{_MONTHS}-\d{{2,4}}\b",
            re.I,
        ),
    ),
    (
        Kind.DATE,
        re.compile(
            rf"\b{_MONTHS}\.? (?:the )?(?:{_DAY}|{_ORDINAL})\b(?:,? (?:of )?(?:19|20)\d\d\b)?"
            rf"|\b(?:the )?(?:{_DAY}|{_ORDINAL}) (?:of )?{_MONTHS}\b(?:,? (?:19|20)\d\d\b)?"
            rf"|\b{_MONTHS},? (?:of )?(?:19|20)\d\d\b",
            re.I,
        ),
    ),
    (
        Kind.DATE,
        re.compile(
            rf"\b\d{{1,2}}\.? (?:de )?{_MONTHS_ABROAD}\b(?:,? (?:de |del )?(?:19|20)\d\d\b)?"
            rf"|\b{_MONTHS_ABROAD} (?:de |del )?(?:19|20)\d\d\b|(?:(?<=\bam )|(?<=\bden )|(?<=\bdem )|(?<=\bvom ))(?:[0-2]?\d|3[01])\.(?:0?\d|1[0-2])\.(?:\d\d\b)?(?!\d)",
            re.I,
        ),
    ),
    (
        Kind.ADDRESS,
        re.compile(
            rf"\b(?:calle|avenida|avda\.?|plaza|paseo|camino|carrera) (?:de (?:la |los |las )?|del )?{_NAME}(?: {_NAME})*,? (?:n[º°o]\.? ?)?\d{{1,4}}\b"
            rf"|\b[\wÄÖÜäöüß]+(?:straße|strasse|str\.|weg|gasse|allee|platz|ring) \d{{1,4}}[a-z]?\b",
            re.I,
        ),
    ),
    (
        Kind.ADDRESS,
        re.compile(
            rf"\b\d{{1,5}}[a-z]? (?:[NSEW]\.? )?(?:{_NAME}|[a-z]+)(?: {_NAME})? {_STREET}\b\.?"
            r"|\bP\.? ?O\.? Box \d+",
            re.I,
        ),
    ),
    (
        Kind.ADDRESS,
        re.compile(
            rf"\b\d{{1,5}}[A-Za-z]? (?:[Rr]ue|[Vv]ia|[Rr]ua|[Pp]iazza)(?: (?:d[aeiou]s?|del|della|{_NAME}))+"
            rf"|\b(?:Am|An der|Im|Zum|Zur|Auf dem) {_NAME}(?: {_NAME})? \d{{1,3}}\b"
            r"|(?<=, )\d{4,5}(?= [A-ZÀ-Þ\[])|\b[A-Z]{3} \d{4}\b|\b[A-Z]{2} \d{5}(?:-\d{4})?\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
        ),
    ),
    (
        Kind.PHONE,
        re.compile(
            r"(?<![\w/.])\+?\(?\d{1,4}\)?(?:[ .-]?\(0\))?(?:[ .-]?\(?\d{2,5}\)?){1}(?:[ .-]\(?\d{2,5}\)?){1,4}(?!\w|[/.]\d)"
            r"|(?<![\w.-])\d{3}-\d{4}(?![\w-]|[/.]\d| ?(?:mg|mcg|ml|units|iu|kcal|steps))"
        ),
    ),
    (Kind.ID, re.compile(r"(?<![\w.-])\d{2,4}-\d{5,}(?![\w-])")),
    (Kind.ID, re.compile(rf"\b{_SPOKEN_DIGIT}(?:[ ,-]+{_SPOKEN_DIGIT}){{5,}}\b", re.I)),
    (Kind.ID, re.compile(r"\b(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9-]{6,}\b")),
    (Kind.ID, re.compile(r"(?<![\d.,])\d{6,}(?![\d.,]\d)")),
    (
        Kind.AGE,
        re.compile(
            rf"\b{_OLD}(?= ?-?(?:years?|yrs?)\b| ?y/?o\b| años| jahre|-?jährig)"
            rf"|(?<=\bage ){_OLD}|(?<=\baged ){_OLD}|(?<=\bturned ){_OLD}|(?<=\bjust turned ){_OLD}"
            rf"|(?:(?<=\bis )|(?<=\bam )|(?<=\bat )|(?<=\bsoon )|(?<=\bwird )){_OLD}(?=,| and\b| or\b| to be\b| my\b|$|\.(?!\d))",
            re.I,
        ),
    ),
)
_NAMED: Sequence[re.Pattern[str]] = (
    re.compile(
        rf"\b(?:[Dd]r|[Mm]r|[Mm]rs|[Mm]s|[Mm]iss|[Dd]octor|[Nn]urse|[Pp]rofessor)\.? ({_NAME}(?: {_NAME})?)"
    ),
    re.compile(rf"\b[Mm]y name(?:'s| is) ({_NAME}(?: {_NAME})*)"),
    re.compile(r"\bmy name(?:'s| is) ([a-z]+(?: [a-z]+)?)"),
    re.compile(rf"\b(?:named|called) ({_NAME}(?: {_NAME})?)"),
    re.compile(
        rf"\b(?:[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir|[Tt]he) (?:\w+ )?{_KIN},? ({_NAME}(?: {_NAME})?)"
    ),
    re.compile(
        r"\b(?:[Dd]octor|[Dd]r\.?|[Mm]ister|[Mm]issus) ((?!who|that|said|says|told|visit|appointment|gave|about|and|or|to|will|for|at|in|on|if|today|please|office)[a-z]{3,})\b"
    ),
)
_NAMED_ABROAD: Sequence[re.Pattern[str]] = (
    re.compile(
        rf"\b(?:[Mm]e llamo|[Mm]i nombre es|[Ii]ch hei(?:ß|ss)e|[Mm]ein [Nn]ame ist) ({_NAME}(?: {_NAME})*)"
    ),
    re.compile(
        rf"\b(?:[Dd]ra?|[Ss]r|[Ss]ra|[Ss]rta|[Dd]octora?|[Ss]eñora?|[Ss]eñorita|[Ee]nfermer[ao]|[Hh]errn?|[Ff]rau|[Dd]oktor|[Ss]chwester)\.? ({_NAME}(?: {_NAME})?)"
    ),
    re.compile(
        rf"\b(?:[Mm]i|[Ss]u) (?:espos[ao]|marido|mujer|hij[ao]|madre|padre|mam[áa]|pap[áa]|herman[ao]|abuel[ao]|t[íi][ao]|novi[ao]|amig[ao]|vecin[ao]|jef[ae]|prim[ao]|compañer[ao]),? (?:don |doña )?({_NAME}(?: {_NAME})?)"
    ),
    re.compile(
        rf"\b(?:[Mm]eine?[mnrs]?|[Uu]nsere?[mnrs]?|[Ss]eine?[mnrs]?|[Ii]hre?[mnrs]?) (?:Frau|Mann|Tochter|Sohn|Mutter|Vater|Mama|Papa|Schwester|Bruder|Oma|Opa|Tante|Onkel|Freundin|Freund|Nachbarin|Nachbar|Chefin|Chef|Kollegin|Kollege),? ({_NAME}(?: {_NAME})?)"
    ),
)
_TOKEN = re.compile(rf"\[(?:{'|'.join(kind.value for kind in Kind)})_\d+\]")
_FEW = 6
"""Words in which no frequent one need be: `headache, fever, nausea`."""
_SHORTEST = 2
_LONG = 5
"""Of what the second look searches; shorter runs of letters are found in other words."""
_TITLES = word_set("""
    dr mr mrs ms md of de la el da do the and van von den
""")
"""Parts of names that are nobody's."""


_WORD = r"(?:[A-ZÀ-Þ]['’][A-Z][a-z]+|[A-ZÀ-Þ][a-zà-ÿ'’]+)(?![A-Za-zÀ-ÿ0-9])"
_CAPITALISED = re.compile(
    rf"(?:(?<=[^\W_] )|(?<=, )|(?<=\] )|(?<=\())({_WORD}(?:[- ]{_WORD})*)"
    rf"|(?:^|(?<=[.!?] ))({_WORD}(?: {_WORD})+)"
)
"""In the middle of a sentence, or two at its beginning, as English and Spanish write names; German writes every noun so."""
_NOBODY = word_set("""
    monday tuesday wednesday thursday friday saturday sunday january february march april may
    june july august september october november december christmas easter english spanish german
    french chinese arabic american british european covid parkinson parkinsons alzheimer
    alzheimers crohn crohns hashimoto hashimotos graves raynaud raynauds bell bells down downs
    lyme tourette tourettes hodgkin hodgkins addison addisons cushing cushings meniere menieres
    sjogren sjogrens wilson wilsons huntington huntingtons baker bakers achilles caesarean
    cesarean type vitamin god ok internet google english doctor dr mr mrs ms miss nhs er gp a i
    and or in on the my no yes el la los las de y es mi un una que con por para se lo si
""")
"""Words that are written with a capital and are nobody's name: days, languages, diseases that are named after people."""


@dataclass
class Redactor:
    """For one conversation with a model."""

    known: Sequence[Identifier]
    _tokens: dict[str, str] = field(default_factory=dict)
    _values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._patterns = list(_patterns(self.known))

    def redact(self, text: str) -> str:
        """Raises `NotRedacted` rather than let something through."""
        # Addresses of mail and web first: a name within one would tear it.
        for kind, pattern in (*_FORMS[:2], *self._patterns, *_FORMS[2:]):
            text = self._replaced(kind, pattern, text)
        for pattern in (*_NAMED, *_NAMED_ABROAD):
            text = pattern.sub(self._named, text)
        if language_of(text) != "de":
            text = _CAPITALISED.sub(self._capitalised, text)
        self.check(text)
        return text

    def check(self, text: str) -> None:
        """Look once more, with another eye: at what the record knows, without spaces and marks."""
        plain = f" {_spaced(_TOKEN.sub(' ', text))} "
        squeezed = plain.replace(" ", "")
        for identifier in self.known:
            value = _spaced(identifier.value)
            is_spelled = any(c.isdigit() for c in value) and value.replace(" ", "") in squeezed
            if len(value) >= _LONG and (f" {value} " in plain or is_spelled):
                raise NotRedacted(identifier.kind)
        for kind, pattern in (*self._patterns, *_FORMS):
            if pattern.search(_TOKEN.sub(" ", text)):
                raise NotRedacted(kind)

    def restore(self, text: str) -> str:
        """Put back what was taken out; a token that was never given stays as it is."""
        return _TOKEN.sub(lambda match: self._values.get(match[0], match[0]), text)

    @property
    def counts(self) -> dict[str, int]:
        """How many were taken out, by kind."""
        found: dict[str, int] = {}
        for token in self._values:
            kind = token[1:].rsplit("_", 1)[0]
            found[kind] = found.get(kind, 0) + 1
        return found

    def _replaced(self, kind: Kind, pattern: re.Pattern[str], text: str) -> str:
        parts = re.split(f"({_TOKEN.pattern})", text)
        for position in range(0, len(parts), 2):
            parts[position] = pattern.sub(
                lambda match: self._token(kind, match[0]), parts[position]
            )
        return "".join(parts)

    def _named(self, match: re.Match[str]) -> str:
        name = match[1]
        return match[0][: match.start(1) - match.start()] + self._token(Kind.PERSON, name)

    def _capitalised(self, match: re.Match[str]) -> str:
        """A token for a word that nothing but a name explains."""
        words = re.split(r"[ -]", match[0])
        is_beginning = match[1] is None  # where any word has a capital
        if all(_is_nobodys(word) for word in (words[1:] if is_beginning else words)):
            return match[0]
        kept = 0
        while _is_nobodys(words[0]):
            kept += len(words.pop(0)) + 1
        return match[0][:kept] + self._token(Kind.PERSON, match[0][kept:])

    def _token(self, kind: Kind, value: str) -> str:
        key = f"{kind}:{value.lower().strip()}"
        if key not in self._tokens:
            number = sum(token.startswith(f"[{kind}_") for token in self._values) + 1
            token = f"[{kind}_{number}]"
            self._tokens[key] = token
            self._values[token] = value
        return self._tokens[key]


@lru_cache(maxsize=4096)
def _is_nobodys(word: str) -> bool:
    """Whether a capitalised word is one of medicine's, or of no name."""
    plain = word.lower().replace("'", "").replace("’", "")
    # Imported here: only what is redacted needs the tables, and they take a third of a second to read.
    from common.drugs import is_word

    return plain in _NOBODY or plain.removesuffix("s") in _NOBODY or is_word(plain)


def without_tokens(text: str) -> str:
    """The text without what stands for identifiers."""
    return _TOKEN.sub(" ", text)


def foreign_identifiers(text: str, known: str) -> list[str]:
    """What identifies somebody by its form in `text`, and does not stand in `known`: a model made it up, or had it elsewhere."""
    plain = without_tokens(text)
    found = [match[0].strip() for _, pattern in _FORMS for match in pattern.finditer(plain)]
    return [each for each in found if each not in known]


_OFTEN = {
    "en": word_set("""
    the and is are i my have has it of to in was for with not but this that on what can you a an
    been be do
"""),
    "es": word_set("""
    el la los las de que y en un una es mi me por con no se lo para como pero tengo está muy
    desde hay al del su
"""),
    "de": word_set("""
    der die das und ist ich nicht mein meine ein eine mit zu auf habe hat seit es den dem von
    bei im auch wie was sie er
"""),
}


_OFTEN_ELSEWHERE = (
    word_set("""
    le la les de du des un une et est je j mon ma mes ai il elle ne pas que qui dans sur pour avec
    au aux en depuis mal très ce cette c d l suis vous mais ou
"""),
    word_set("""
    il lo la i gli le di del della un una e è sono ho mio mia mi non che per con da dal in si ma
    molto ha anche come al alla
"""),
    word_set("""
    o a os as de do da dos das um uma e é estou tenho meu minha não que em no na por para com se
    mas muito há desde eu está ao
"""),
    word_set("""
    de het een en is ik heb mijn niet dat van voor met op te in zijn er maar ook al sinds hij zij
    ze wat hoe bij aan
"""),
)
"""Of French, Italian, Portuguese and Dutch, whose identifiers have forms that are not known here."""


def language_of(text: str) -> str | None:
    """`en`, `es` or `de`, by the words that are frequent in each; None for anything else."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    letters = [letter for letter in text if letter.isalpha()]
    if not words or sum(ord(letter) < 0x250 for letter in letters) < 0.9 * len(letters):
        return None
    scores = {code: sum(word in often for word in words) for code, often in _OFTEN.items()}
    best = max(scores, key=lambda code: scores[code])
    if any(sum(word in often for word in words) > scores[best] for often in _OFTEN_ELSEWHERE):
        return None
    if scores[best] == 0:
        return "en" if len(words) <= _FEW and text.isascii() else None
    return best


def _patterns(known: Iterable[Identifier]) -> Iterable[tuple[Kind, re.Pattern[str]]]:
    """Of each identifier as a whole and, of a person's name, of each part."""
    seen: set[str] = set()
    values: list[Identifier] = []
    for identifier in known:
        values.append(identifier)
        if identifier.kind is Kind.PERSON:
            parts = re.split(r"[\s.,]+", identifier.value)
            values.extend(Identifier(Kind.PERSON, part) for part in parts)
    for identifier in sorted(values, key=lambda each: -len(each.value)):
        value = identifier.value.strip()
        if len(value) < _SHORTEST or value.lower() in _TITLES or value.lower() in seen:
            continue
        seen.add(value.lower())
        parts = [part for part in re.split(r"[\s.-]+", value) if part]
        spelled = r"[\s.-]*".join("".join(map(_with_accents, part)) for part in parts)
        yield identifier.kind, re.compile(rf"(?<!\w){spelled}(?:'s|’s)?(?!\w)", re.I)


_ACCENTED = {
    "a": "áàâäãå",
    "e": "éèêë",
    "i": "íìîï",
    "o": "óòôöõø",
    "u": "úùûü",
    "n": "ñ",
    "c": "çć",
    "s": "śš",
    "z": "źżž",
}


def _with_accents(letter: str) -> str:
    """With any accent and without: `José` is heard as `Jose`, and a record may lack what a person writes."""
    bare = unicodedata.normalize("NFD", letter)[0]
    others = {letter, bare, *_ACCENTED.get(bare.lower(), "")}
    return re.escape(letter) if len(others) == 1 else f"[{''.join(map(re.escape, sorted(others)))}]"


def _spaced(text: str) -> str:
    """Words and digits in lower case, without accents and marks."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", bare.lower()))
