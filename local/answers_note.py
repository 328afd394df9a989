"""The stand-in model's SOAP notes: the transcript's own sentences, sorted by cue words.

A sentence goes where its words point: what the patient tells into subjective,
what was measured or found into objective, what the doctor takes it for into
assessment, what is ordered into plan. Nothing is put in other words, and
nothing is concluded. The cues are English; of other languages only the
patient's sentences are found, and only if the speaker is named.
"""

import re
from collections import Counter
from typing import Any

from local.answers_text import Message, sentences, unpack, words

SECTIONS = ("subjective", "objective", "assessment", "plan")

Segment = dict[str, Any]
Line = dict[str, Any]


def _cues(*parts: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(parts)})", re.IGNORECASE)


_SIGNS = (
    r"(?:blood pressure|temperature|heart rate|pulse|saturation|oxygen|respiratory rate|weight|bmi)"
)
_TEST = r"(?:x-?rays?|blood tests?|ecg|ekg|ultrasound|mri|ct|scans?|results?|swab|urine)"
_VALUE = _cues(
    r"\d{2,3} ?(?:/|over) ?\d{2,3}\b",
    r"\d+(?:[.,]\d+)? ?(?:°|%|(?:degrees|celsius|fahrenheit|bpm|beats|percent|kg|kilos?|"
    r"kilograms?|pounds|lbs?|mmhg|per minute)\b)",
    rf"{_SIGNS}\b[^.]{{0,40}}?\d",
    r"over (?:fifty|sixty|seventy|eighty|ninety|a hundred)\b",
)
_RESULT = _cues(
    rf"{_TEST}(?: results?)? (?:shows?|showed|was|were|came back|looks?|looked|"
    r"(?:is|are) (?:normal|clear|negative|positive|fine|high|low|raised))\b"
)
_FINDING = _cues(
    rf"{_SIGNS} (?:is|was|looks)\b",
    r"crackles|wheez|murmur|tender|swollen|swelling|inflamed|on examination|rebound|palpa",
    r"(?:lungs?|chest|throat|ears?|abdomen|tummy|belly|skin|eyes?|pupils|reflexes|heart sounds?|"
    r"lymph nodes|joint|knee|ankle|tonsils) (?:is|are|sounds?|looks?|feels?)\b",
    r"i (?:can )?(?:see|hear|feel) (?:a|an|some|no|any|the|your)\b",
    r"range of motion|no (?:rash|edema|oedema|redness)\b",
)
_JUDGED = _cues(
    r"i think|i believe|i suspect|suspect|diagnos|consistent with|looks like|sounds like|"
    r"seems (?:like|to be)|appears to be|suggests?|(?:most )?likely|probably|points to"
)
_NAMED = _cues(r"this is|that is|that's|it is an?|it's an?|you have an?|you've got|you have")
_ORDER = _cues(
    r"start(?! of)\b|take(?! care| a seat| a deep| your time| off| a look| place)\b|prescri|"
    r"increas|decrease|reduce|stop\b|continue|keep (?:taking|using)|switch|come back|follow[- ]?up",
    r"refer|(?:do|get|have|order|arrange|need|send|repeat|want|like|for) (?:you for )?"
    rf"(?:an?|some|the|your)? ?{_TEST}\b",
    r"x-?ray|blood tests?\b|see you (?:again|in|on|next)\b|(?:schedule|book|arrange|order)\b",
    r"go to (?:the|an?) (?:hospital|emergency|pharmacy|er\b|a&e)",
    r"drink plenty|rest(?! of)\b|avoid|apply\b|physio|exercise|i'd like you to|"
    r"i want you to|"
    r"(?:we'll|we will|i'll|i will|let's) (?:do|get|give|send|write|arrange|repeat|try|add|put)\b",
)
_ANNOUNCED = _cues(
    r"(?:let me|let's|i'll just|i will just|i'm going to|can you|could you|please)\b[^,;]*"
    r"\b(?:check|listen|look|examine|measure|take your|feel|open|lie|sit|breathe|tell)\b",
    r"(?:take a deep breath|breathe in|breathe out|open your mouth|lie down|say ah)",
)
_ASKING = re.compile(
    r"(?:do|does|did|are|is|was|were|have|has|any|how|what|when|where|which|who|why|can|could|"
    r"would|will|should)\b.*\?$|.*[?؟]$",
    re.IGNORECASE | re.DOTALL,
)
_REQUESTED = re.compile(r"(?:can|could|will|would) you\b", re.IGNORECASE)
_TOLD = _cues(
    r"i(?:'ve| have(?! reviewed| examined)| had|'m(?! going| sorry)| am(?! going)| was| feel|"
    r" felt| get| take| can't| don't| couldn't| smoke| noticed)\b",
    r"my\b|it (?:hurts|started|began|gets worse)|for the (?:last|past)\b",
)
_SYMPTOM = _cues(
    r"pain|ache|aching|cough|fever|nausea|vomit|dizz|tired|fatigue|headache|sore|rash|itch|bleed|"
    r"breath|allerg|denie|diarrh|chills|sweat|sleep|appetite|smok|alcohol|medication|tablets|"
    r"numb|swell|swollen|burning|cramp|hurt|weak"
)
_YOURS = _cues(r"your?\b|let me\b|prescri|examin")
_CHAT = _cues(
    r"weather|traffic|parking|weekend|holidays?\b|football|the kids|grandchildren|found the place|"
    r"lovely day|nice day|have a seat|come (?:on )?in\b|nice to|good to see|how are you|thank"
)
_POLITE = frozenset(
    words(
        "a afternoon again ah all alright am and are bye care come course d day doctor evening "
        "fine good goodbye great have hello here hey hi hmm how i in is it later ll m madam "
        "meet mhm morning much nice no nurse of oh ok okay perfect please problem re right s "
        "seat see sir so sure take thank thanks that the then to today too uh um ve very "
        "welcome well yeah yes you your"
    )
)
_JOINT = re.compile(
    r"(;\s+|,\s+(?:(?:and|so|but|then)\s+)*|\s+(?:and|so|but|then)\s+"
    r"(?=(?:i|i'll|i'd|we|we'll|let's|take|start|stop|come|this|it's|your)\b))",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"(?:(?:patient|doctor|dr|clinician|speaker ?\w*)\s*:\s*"
    r"|(?:hello|hi|good (?:morning|afternoon|evening)|thank you|thanks|okay|ok|alright|all right|"
    r"well|yes|yeah|so|and|but|then|um+|uh+|oh)(?:,? doctor)?\b(?:\s*[,.!…]+\s*|\s+(?!\W)))+",
    re.IGNORECASE,
)
_ROLES = {"patient": "patient", "doctor": "doctor", "dr": "doctor", "clinician": "doctor"}


def segments_in(messages: list[Message]) -> list[Segment] | None:
    """The transcript: the last JSON object in the user's messages that has segments."""
    for message in reversed([m for m in messages if m.role == "user"]):
        for value in reversed(unpack(message.text)[0]):
            if isinstance(value.get("segments"), list):
                segments = [s for s in value["segments"] if isinstance(s, dict)]
                return [s for s in segments if isinstance(s.get("text"), str) and "id" in s]
    return None


def note(segments: list[Segment]) -> dict[str, list[Line]]:
    """`{section: [{text, segment_ids}, …]}`; what was said twice cites both segments."""
    roles = _roles(segments)
    lines: dict[str, dict[str, list[str]]] = {section: {} for section in SECTIONS}
    for segment in segments:
        role = roles.get(_label(segment))
        for sentence in sentences(segment["text"].replace("’", "'")):
            for section, clause in _clauses(sentence, role):
                cited = lines[section].setdefault(cleaned(clause), [])
                if str(segment["id"]) not in cited:
                    cited.append(str(segment["id"]))
    return {
        section: [{"text": text, "segment_ids": ids} for text, ids in said.items()]
        for section, said in lines.items()
    }


def cleaned(clause: str) -> str:
    """The same words as a sentence: without fillers, with a capital and a full stop."""
    text = re.sub(r"\b(?:um+|uh+|erm)\b,?\s*", "", clause, flags=re.IGNORECASE)
    text = re.sub(r"\s+", " ", text).strip()
    text = _LEADING.sub("", text, count=1) if _LEADING.match(text) else text
    text = re.sub(r"\bi(?='|\s|$)", "I", text.strip(" ,;:-"))
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "…", "。")) else ".")


def _label(segment: Segment) -> str:
    return str(segment.get("speaker") or "").casefold().strip(". ")


def _roles(segments: list[Segment]) -> dict[str, str]:
    """Who each speaker is: by name, or by how much they speak of "you" or of themselves."""
    leaning: Counter[str] = Counter()
    for segment in segments:
        leaning[_label(segment)] += len(_YOURS.findall(segment["text"]))
        leaning[_label(segment)] -= len(_TOLD.findall(segment["text"]))
    roles = {name: "doctor" if sum > 0 else "patient" for name, sum in leaning.items() if sum}
    roles.pop("", None)  # may be anybody
    return roles | {name: _ROLES[name] for name in leaning if name in _ROLES}


def _clauses(sentence: str, role: str | None) -> list[tuple[str, str]]:
    """A sentence, in parts where it goes to more than one section; none if it is small talk."""
    if role is None:
        role = _who(sentence)
    if role == "patient":
        return [("subjective", sentence)] if _telling(sentence) else []
    if _ASKING.match(sentence) and not (_REQUESTED.match(sentence) and _ORDER.search(sentence)):
        return []
    pieces = _JOINT.split(sentence)
    parts: list[tuple[str | None, str]] = []
    for text, joint in zip(pieces[::2], ["", *pieces[1::2]], strict=True):
        section = _section(text)
        if parts and (section is None or parts[-1][0] in (None, section)):
            before, said = parts.pop()
            parts.append((before or section, said + joint + text))
        else:
            parts.append((section, text))
    return [(section, text) for section, text in parts if section]


def _who(sentence: str) -> str | None:
    if _TOLD.search(sentence) and not _YOURS.search(sentence) and not _ORDER.match(sentence):
        return "patient"
    doctoral = any(_section(part) for part in _JOINT.split(sentence)[::2])
    return "patient" if _SYMPTOM.search(sentence) and not doctoral else None


def _telling(sentence: str) -> bool:
    """Whether a patient's sentence says something for a record."""
    if _ASKING.match(sentence) or set(words(sentence)) <= _POLITE:
        return False
    if _SYMPTOM.search(sentence):
        return True
    return len(words(sentence)) > 2 and not _CHAT.search(sentence)


def _section(clause: str) -> str | None:
    """Where a doctor's clause goes."""
    value = _VALUE.search(clause)
    if set(words(clause)) <= _POLITE or (_ANNOUNCED.match(clause) and not value):
        return None
    if _RESULT.search(clause):
        return "objective"
    if _ORDER.search(clause):
        return "plan"
    if value:
        return "objective"
    if _JUDGED.search(clause):
        return "assessment"
    if _FINDING.search(clause):
        return "objective"
    return "assessment" if _NAMED.search(clause) else None
