"""Medical terms by Google's Healthcare Natural Language API, in the words of our own.

https://cloud.google.com/healthcare-api/docs/how-tos/nlp
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from common.clients import access_token
from common.clinical import Code, CodeSystem, is_code
from common.outside import Failed, Outside, Refused
from common.settings import settings
from common.transcripts import Segment, Term, TermKind

if TYPE_CHECKING:
    import httpx

_DEADLINE = 20.0
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_MOST_CHARACTERS = 9_000
"""It takes 10,000 at once."""

_KINDS: Mapping[str, TermKind] = {
    "MEDICINE": TermKind.MEDICATION,
    "MED_DOSE": TermKind.DOSAGE,
    "MED_STRENGTH": TermKind.DOSAGE,
    "PROBLEM": TermKind.CONDITION,
    "PROCEDURE": TermKind.PROCEDURE,
    "SUBSTANCE_ABUSE": TermKind.CONDITION,
    "LAB_RESULT": TermKind.VITAL,
    "LABORATORY_DATA": TermKind.VITAL,
    "ANATOMICAL_STRUCTURE": TermKind.ANATOMY,
}
_VOCABULARIES = {
    "RXNORM": CodeSystem.RXNORM,
    "ICD10CM": CodeSystem.ICD_10,
    "SNOMEDCT_US": CodeSystem.SNOMED,
    "LNC": CodeSystem.LOINC,
}
_SURE_ENOUGH = 0.5

_nlp = Outside("healthcare-nlp", deadline=_DEADLINE)
_log = logging.getLogger("healthhub.healthcare")


async def terms_of(segments: Sequence[Segment]) -> list[Term] | None:
    """None when it does not answer: the caller then finds the terms without it."""
    found: list[Term] = []
    try:
        for chunk in _chunks(segments):
            found.extend(_terms(chunk, await _analyze("\n".join(s.text for s in chunk))))
    except (Failed, Refused) as error:
        fields = {"error": type(error).__name__}
        _log.warning("terms are found without the service", extra={"fields": fields})
        return None
    return found


def _chunks(segments: Sequence[Segment]) -> list[list[Segment]]:
    chunks: list[list[Segment]] = [[]]
    size = 0
    for segment in segments:
        if size + len(segment.text) > _MOST_CHARACTERS and chunks[-1]:
            chunks.append([])
            size = 0
        chunks[-1].append(segment)
        size += len(segment.text) + 1
    return [chunk for chunk in chunks if chunk]


async def _analyze(text: str) -> Mapping[str, Any]:
    async def ask() -> Mapping[str, Any]:
        url = f"{settings().healthcare_url}/v1/{settings().healthcare_nlp}/services/nlp"
        answer = await _http().post(
            f"{url}:analyzeEntities",
            json={"documentContent": text},
            headers={"Authorization": f"Bearer {await _token()}"},
        )
        if answer.status_code in (400, 404):
            raise Refused
        if answer.status_code != 200:
            raise Failed
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("entityMentions", []), list):
            raise Failed
        return found

    return await _nlp.call(ask)


def _terms(segments: Sequence[Segment], found: Mapping[str, Any]) -> list[Term]:
    vocabulary = {
        entity.get("entityId"): (entity.get("preferredTerm"), _code(entity))
        for entity in found.get("entities", [])
    }
    starts, start = [], 0
    for segment in segments:
        starts.append(start)
        start += len(segment.text) + 1
    terms = []
    for mention in found.get("entityMentions", []):
        kind = _KINDS.get(mention.get("type"))
        if kind is None or mention.get("confidence", 1) < _SURE_ENOUGH:
            continue
        begin = int(mention.get("text", {}).get("beginOffset", 0))
        text = str(mention["text"]["content"])
        index = max(i for i, each in enumerate(starts) if each <= begin)
        linked = [
            vocabulary.get(each.get("entityId")) for each in mention.get("linkedEntities", [])
        ]
        name, code = next((each for each in linked if each), (None, None))
        certainty = mention.get("certaintyAssessment", {}).get("value", "")
        terms.append(
            Term(
                text=text,
                kind=kind,
                name=name,
                code=code,
                segment_id=segments[index].id,
                speaker=segments[index].speaker,
                start=begin - starts[index],
                end=begin - starts[index] + len(text),
                negated=certainty in ("UNLIKELY", "VERY_UNLIKELY"),
            )
        )
    return terms


def _code(entity: Mapping[str, Any]) -> Code | None:
    """The first of its codes that we know the system of: `ICD10CM/R07.9`."""
    for each in entity.get("vocabularyCodes", []):
        vocabulary, _, value = str(each).partition("/")
        system = _VOCABULARIES.get(vocabulary)
        if system is not None and is_code(system, value):
            return Code(system=system, value=value)
    return None


async def _token() -> str:
    is_google = settings().healthcare_url.endswith(".googleapis.com")
    return await access_token(_SCOPE) if is_google else "owner"


@lru_cache
def _http() -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(timeout=_DEADLINE)
