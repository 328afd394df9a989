"""What medicines are at odds with: the table is sound, and what it says is found in a chart."""

from typing import Any

import pytest

from common import drugs
from common.conflicts import Chart, Conflict, ConflictKind, Evidence, Item, find
from common.drugs import Severity, table


def items(kind: str, *texts: str | tuple[str, str]) -> list[Item]:
    return [
        Item(Evidence(kind=kind, text=each), None)
        if isinstance(each, str)
        else Item(Evidence(kind=kind, text=each[0]), each[1])
        for each in texts
    ]


def conflicts(*medications: str, **more: Any) -> list[Conflict]:
    return find(
        Chart(
            medications=items("medication", *medications),
            allergies=items("allergy", *more.pop("allergies", ())),
            conditions=items("condition", *more.pop("conditions", ())),
            **more,
        )
    )


def test_the_table_is_large_enough_and_every_row_has_its_source() -> None:
    found = table()
    severe = [row for row in found.interactions if row.severity is not Severity.CAUTION]
    assert len(severe) >= 150
    for rows in (found.interactions, found.allergies, found.pregnancy, found.age, found.conditions):
        assert all(row.source in found.sources for row in rows)


def test_every_name_in_the_table_is_a_drug_or_a_class() -> None:
    found = table()
    known = {name for listed in drugs._names().values() for _, name in listed}

    def is_known(name: str) -> bool:
        return name.removeprefix("class:") in found.classes if ":" in name else name in known

    named = [name for row in found.interactions for name in (row.a, row.b)]
    named += [row.drug for row in found.pregnancy] + [row.drug for row in found.age]
    named += [row.drug for row in found.conditions]
    named += [name for row in found.allergies for name in row.conflicts]
    named += [name for each in found.classes.values() for name in each.members]
    assert [name for name in named if not is_known(name)] == []


def test_no_pair_stands_twice() -> None:
    pairs = [frozenset((row.a, row.b)) for row in table().interactions]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize(
    ("medications", "more", "kind", "title"),
    [
        (["Coumadin 5 mg", "Advil"], {}, "interaction", "Ibuprofen and warfarin"),
        (["sildenafil", "nitroglycerin"], {}, "interaction", "Nitroglycerin and sildenafil"),
        (["Augmentin"], {"allergies": ["penicillins"]}, "allergy", ""),
        (["Ibuprofen", "Naproxen"], {}, "duplicate_therapy", ""),
        (["Metformin 500", "metformin 1000"], {}, "duplicate_therapy", "Metformin twice"),
        (["isotretinoin"], {"is_pregnant": True}, "pregnancy", "Isotretinoin in pregnancy"),
        (["codeine"], {"age_years": 6.0}, "age", "Codeine below 12 years of age"),
        (["diazepam"], {"age_years": 80.0}, "age", "Diazepam from 65 years of age on"),
        (["propranolol"], {"conditions": ["Asthma"]}, "condition", "Propranolol with asthma"),
        (["propranolol"], {"conditions": [("Bronchial disease", "J45.9")]}, "condition", ""),
    ],
)
def test_a_conflict_is_found(
    medications: list[str], more: dict[str, Any], kind: str, title: str
) -> None:
    found = [each for each in conflicts(*medications, **more) if each.kind == kind]
    assert found
    assert all(each.evidence for each in found)
    assert not title or title in {each.title for each in found}


@pytest.mark.parametrize(
    ("medications", "more"),
    [
        (["Paracetamol"], {}),
        (["Warfarin"], {}),
        (["isotretinoin"], {"is_pregnant": False}),
        (["codeine"], {"age_years": 30.0}),
        (["Amoxicillin"], {"allergies": ["Peanuts"]}),
        ([], {"allergies": ["Penicillin"]}),
        (["a drug that nobody knows"], {}),
    ],
)
def test_nothing_is_found_where_nothing_is(medications: list[str], more: dict[str, Any]) -> None:
    assert conflicts(*medications, **more) == []


def test_of_several_rows_about_the_same_two_the_worst_counts_once() -> None:
    found = [
        each for each in conflicts("clarithromycin", "simvastatin") if each.kind == "interaction"
    ]
    assert [each.title for each in found] == ["Clarithromycin and simvastatin"]
    assert found[0].severity is Severity.CONTRAINDICATED


def test_allergies_come_first_and_the_worst_of_each_kind_before_the_others() -> None:
    found = conflicts(
        "Warfarin",
        "Ibuprofen",
        "Amoxicillin",
        "Lisinopril",
        allergies=["Penicillin"],
        age_years=80.0,
    )
    order = list(ConflictKind)
    kinds = [order.index(each.kind) for each in found]
    assert kinds == sorted(kinds)
    assert kinds[0] == 0
    severities = [
        list(Severity).index(each.severity) for each in found if each.kind == "interaction"
    ]
    assert severities == sorted(severities)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Eliquis 5 mg twice daily", ["apixaban"]),
        ("I take Tylenol and no aspirin", ["acetaminophen"]),
        ("opioids", ["opioid"]),
        ("sulfamethoxazole trimethoprim", ["sulfamethoxazole trimethoprim"]),
        ("nothing", []),
        ("", []),
    ],
)
def test_drugs_are_known_by_their_names(text: str, names: list[str]) -> None:
    assert drugs.ingredients_of([text]) == names
