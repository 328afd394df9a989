"""The vocabulary: cleaning, folding, and the directory's derived keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from common.directory import directory_keys, facet, fold, name_facet
from common.firestore import now
from common.models import (
    Doctor,
    Line,
    Location,
    Phone,
    Specialty,
    TimeZone,
)

line = TypeAdapter(Line)


def doctor(**fields: object) -> Doctor:
    usual: dict[str, object] = {
        "create_time": now(),
        "update_time": now(),
        "name": "Dr. Ana García López",
        "specialties": [Specialty.CARDIOLOGY],
        "qualifications": [],
        "languages": ["es-MX", "en"],
        "location": Location(address="a", city="São Paulo", country="BR"),
        "is_verified": True,
    }
    return Doctor.model_validate({**usual, **fields})


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller-Núñez", "muller nunez"),
        ("  O’Brien   ", "o brien"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("Ａｄａ", "ada"),
        ("王小明", "王小明"),
        ("!!!", ""),
    ],
)
def test_folding_forgets_case_accents_and_punctuation(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(min_size=1, max_size=60))
def test_a_line_is_refused_or_clean(text: str) -> None:
    try:
        cleaned = line.validate_python(text)
    except ValidationError:
        return
    assert cleaned == cleaned.strip() != ""
    assert "\n" not in cleaned
    assert "\x00" not in cleaned
    assert line.validate_python(cleaned) == cleaned


def test_phone_numbers_become_e164() -> None:
    phone = TypeAdapter(Phone)
    assert phone.validate_python("+49 (0)170 1234567") == "+491701234567"
    for bad in ("0170 1234567", "+1 555", "call me", "+999999999999"):
        with pytest.raises(ValidationError):
            phone.validate_python(bad)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kathmandu", "UTC", "America/Argentina/Ushuaia"]
)
def test_time_zones_of_the_database_are_taken(zone: str) -> None:
    assert TypeAdapter(TimeZone).validate_python(zone) == zone


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "/etc/passwd", "../UTC", "Europe/berlin/", "UTC\x00"]
)
def test_other_words_are_no_time_zones(zone: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TimeZone).validate_python(zone)


def test_a_doctor_who_is_not_listed_is_in_no_facet() -> None:
    assert directory_keys(doctor(is_verified=False))["facets"] == []
    assert directory_keys(doctor(is_active=False))["facets"] == []


def test_each_combination_of_filters_that_fits_is_a_facet_and_no_other() -> None:
    facets = directory_keys(doctor())["facets"]
    assert isinstance(facets, list)
    for fitting in (
        facet(),
        facet("cardiology"),
        facet("cardiology", "SAO PAULO", "es", accepting=True),
        facet(language="es-MX"),
        name_facet("ana"),
        name_facet("Lop"),
        name_facet("garcía ló"),
    ):
        assert fitting in facets
    for other in (
        facet("urology"),
        facet(accepting=False),
        facet(language="de"),
        facet("cardiology", "Rio"),
        name_facet("opez"),
        name_facet("ana lopez"),
    ):
        assert other not in facets
    assert len(facets) == len(set(facets))


def test_the_largest_profile_stays_far_below_firestores_limits() -> None:
    facets = directory_keys(
        doctor(
            name=" ".join(["Wolfeschlegelsteinhausenbergerdorff"] * 5)[:200],
            specialties=list(Specialty)[:5],
            languages=["es-MX", "en-GB", "de-AT", "fr-CA", "zh-TW", "pt-BR"],
            location=Location(address="a" * 200, city="b" * 200, country="DE"),
        )
    )["facets"]
    assert isinstance(facets, list)
    assert len(facets) < 1_000
    assert sum(map(len, facets)) < 100_000
