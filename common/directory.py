"""How lists find doctors and patients: by facets that each document carries.

docs/decisions/0004-the-directory-has-facets.md says why.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any

from common.firestore import Batch, Collection
from common.models import Doctor

doctors = Collection(Doctor, "doctors")


def directory_keys(doctor: Doctor) -> dict[str, object]:
    """The derived fields by which the directory finds a doctor.

    Firestore allows one `array_contains` in a query, so each combination of
    filters is stored as one facet (some 300 at most), and so is each prefix of the
    name from each of its words on (`ana gar`, `gar`). A doctor who is not
    listed has none, and so is in no answer. One index then serves every
    combination, and a page costs as many reads as it has rows.
    """
    name_key = fold(doctor.name)
    facets = [*_filter_facets(doctor), *name_facets(name_key)] if doctor.is_listed else []
    return {"name_key": name_key, "facets": facets}


async def unlist(batch: Batch, doctor_id: str, moment: datetime) -> None:
    """Take a doctor out of the directory in this batch, if they are in it."""
    doctor = await doctors.get(doctor_id)
    if doctor is not None and doctor.is_active:
        doctor.is_active = False
        gone = {"is_active": False, "update_time": moment, **directory_keys(doctor)}
        batch.update(doctors.path(doctor_id), gone)


def facet(
    specialty: str | None = None,
    city: str | None = None,
    language: str | None = None,
    accepting: bool | None = None,
) -> str:
    """The name of one combination of directory filters."""
    yes = {None: "", True: "1", False: "0"}[accepting]
    return f"{specialty or ''}|{fold(city or '')}|{(language or '').lower()}|{yes}"


def name_facet(prefix: str) -> str:
    return "n:" + fold(prefix)[:24].rstrip()


def _filter_facets(doctor: Doctor) -> Iterator[str]:
    for combination in product(
        [None, *doctor.specialties],
        [None, doctor.location.city],
        [None, *_spoken(doctor.languages)],
        [None, doctor.is_accepting_patients],
    ):
        yield facet(*combination)


def _spoken(languages: list[str]) -> list[str]:
    """Each tag and its language alone: who asks for `es` finds a speaker of `es-MX`."""
    return sorted({tag for language in languages for tag in (language, language.split("-")[0])})


def name_keys(name: str) -> dict[str, Any]:
    """The fields by which a list of patients finds and orders a name."""
    key = fold(name)
    return {"name_key": key, "name_facets": list(name_facets(key))}


def name_facets(name_key: str) -> Iterator[str]:
    """Each prefix of a name, from each of its words on."""
    words = name_key.split()
    seen: set[str] = set()
    for start in range(len(words)):
        rest = " ".join(words[start:])
        seen.update(name_facet(rest[:end]) for end in range(1, min(len(rest), 24) + 1))
    yield from sorted(seen)


def fold(text: str) -> str:
    """Lower case without accents or punctuation, for search and order: `Müller-Núñez` → `muller nunez`."""
    spread = unicodedata.normalize("NFKD", text)
    spread = unicodedata.normalize("NFKD", spread.casefold()).casefold()
    kept = (c for c in spread if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w]+", " ", "".join(kept)).split())
