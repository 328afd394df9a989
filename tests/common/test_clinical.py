"""The words of the clinical record: codes with their check digits, and values with their units."""

from typing import Any

import pytest
from pydantic import ValidationError

from common.clinical import CodeSystem, Measurement, is_code

# Real ones, from the systems' own public pages and examples.
REAL = {
    CodeSystem.ICD_10: ["E11.9", "J45", "U07.1", "S52.501A", "M1A.0110", "C7A.00"],
    CodeSystem.SNOMED: ["195967001", "73211009", "38341003", "91936005", "22298006"],
    CodeSystem.LOINC: ["4548-4", "2345-7", "718-7", "8480-6", "882-1", "85354-9"],
    CodeSystem.RXNORM: ["435", "1049502", "7980"],
}


@pytest.mark.parametrize(("system", "code"), [(s, code) for s in REAL for code in REAL[s]])
def test_real_codes_are_taken(system: CodeSystem, code: str) -> None:
    assert is_code(system, code)


@pytest.mark.parametrize("system", [CodeSystem.SNOMED, CodeSystem.LOINC])
def test_one_wrong_digit_is_noticed(system: CodeSystem) -> None:
    for code in REAL[system]:
        for place, digit in enumerate(code):
            if digit != "-":
                wrong = code[:place] + str((int(digit) + 1) % 10) + code[place + 1 :]
                assert not is_code(system, wrong), wrong


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (CodeSystem.ICD_10, "e11.9"),
        (CodeSystem.ICD_10, "E11."),
        (CodeSystem.ICD_10, "E11.90000"),
        (CodeSystem.ICD_10, "E11.9\n"),
        (CodeSystem.SNOMED, "019596700"),
        (CodeSystem.SNOMED, "19596"),
        (CodeSystem.LOINC, "45484"),
        (CodeSystem.LOINC, "-4"),
        (CodeSystem.RXNORM, "0"),
        (CodeSystem.RXNORM, "123456789"),
        (CodeSystem.RXNORM, "١٢٣"),
    ],
)
def test_what_can_not_be_a_code_is_refused(system: CodeSystem, code: str) -> None:
    assert not is_code(system, code)


@pytest.mark.parametrize(
    "fields",
    [
        {"value": "1", "unit": "mg/dL"},
        {"value": 1.5, "unit": "10*3/uL"},
        {"value": "-3.25", "unit": "Cel", "low": "-4", "high": "4"},
        {"value": "0", "unit": "1"},
        {"text": "negative"},
    ],
)
def test_a_measurement_is_a_quantity_or_words(fields: dict[str, Any]) -> None:
    assert Measurement.model_validate({"name": "A", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": "1"},
        {"value": "1", "text": "a", "unit": "1"},
        {"text": "a", "unit": "1"},
        {"text": "a", "low": "1"},
        {"value": "Infinity", "unit": "1"},
        {"value": "1" * 19, "unit": "1"},
        {"value": "1", "unit": "mg dL"},
        {"value": "1", "unit": ""},
    ],
)
def test_what_is_neither_or_both_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Measurement.model_validate({"name": "A", **fields})
