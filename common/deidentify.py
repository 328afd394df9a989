"""A DICOM data set without identifiers: PS3.15, Annex E. Runs in the process that reads what strangers send.

The Basic Application Level Confidentiality Profile, with the options Clean
Pixel Data (what is burnt in is found outside, and blacked out by `burnt_out`) and
Retain Longitudinal Temporal Information With Modified Dates. What an attribute
needs is the standard's own table, `deidentification.json`; where it leaves a choice by
the kind of object, the one that keeps the object valid is taken: X/Z is Z, X/D, Z/D and
X/Z/D are D. Beyond the table: private attributes and every person's name go, and so does
whatever text repeats an identifier that the file has elsewhere.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy

from common.imaging import Alias, Box, RemovedTag
from common.rendering import is_inverse

METHOD = "PS3.15 Basic Profile, Clean Pixel Data, Modified Dates"

_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113101", "Clean Pixel Data Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""Of DICOM's own coding scheme: PS3.16, CID 7050."""

IDENTIFYING = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientBirthDate",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "OperatorsName",
    "RequestingPhysician",
    "ResponsiblePerson",
    "MilitaryRank",
    "MedicalRecordLocator",
    "IssuerOfPatientID",
    "StudyID",
    "StationName",
    "DeviceSerialNumber",
)
"""Whose values are looked for in all other text."""

_TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR", "AE", "CS", "UN"))
_DUMMY = {
    "AE": "ANONYMIZED",
    "AS": "000D",
    "CS": "ANONYMIZED",
    "DS": "0",
    "IS": "0",
    "LO": "ANONYMIZED",
    "LT": "ANONYMIZED",
    "PN": "ANONYMIZED",
    "SH": "ANONYMIZED",
    "ST": "ANONYMIZED",
    "UC": "ANONYMIZED",
    "UR": "urn:anonymized",
    "UT": "ANONYMIZED",
    "DA": "19000101",
    "DT": "19000101",
    "TM": "000000",
    "OB": b"\0\0",
    "UN": b"\0\0",
}


@dataclass
class Done:
    """What was done, to be reported."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By tag, keyword and action."""
    private: int = 0
    held: set[str] = field(default_factory=set)
    """Keywords that had a value which identifies."""

    def tags(self) -> list[RemovedTag]:
        return [
            RemovedTag(tag=tag, keyword=keyword, action=action, count=count)
            for (tag, keyword, action), count in sorted(self.counts.items())
        ]


@lru_cache
def table() -> dict[str, str]:
    """PS3.15's table E.1-1 (editions in the file): the basic profile's action by tag, X for any digit."""
    parts = (_stored()["basic_profile"], _stored()["later"])
    return {tag: action for part in parts for action, tags in part.items() for tag in tags}


@lru_cache
def _dates() -> frozenset[str]:
    return frozenset(_stored()["modified_dates"])


@lru_cache
def _stored() -> Any:
    return json.loads((Path(__file__).parent / "deidentification.json").read_text())


def action_of(tag: Any) -> str | None:
    """The table's action for a tag; X for one that nobody knows, None for any other that it does not name."""
    from pydicom.datadict import dictionary_has_tag, repeater_has_tag

    name = f"{int(tag):08X}"
    found = table().get(name)
    if found is None and 0x5000 <= tag.group <= 0x50FF:
        found = table()["50XXXXXX"]
    if found is None and 0x6000 <= tag.group <= 0x60FF:
        found = table().get(f"60XX{name[4:]}")
    if found is None and tag.group > 0x0002 and not tag.is_private:
        is_known = dictionary_has_tag(tag) or repeater_has_tag(tag)
        return None if is_known else "X"
    return found


def deidentify(data: Any, alias: Alias, *, has_pixels: bool) -> Done:
    """Change the data set and what is nested in it, in place; its pixels are elsewhere."""
    done = Done()
    known = _known(data)
    _clean(data, alias, done, known)
    _mark(data, alias)
    if has_pixels:
        data.BurnedInAnnotation = "NO"
    return done


def _known(data: Any) -> list[re.Pattern[str]]:
    """The identifiers that the file names itself, as they may stand in other text."""
    words: set[str] = set()
    for keyword in IDENTIFYING:
        for value in _values(data.get(keyword)):
            words.add(value)
            words.update(part for part in re.split(r"[\^=\s,]+", value) if len(part) > 2)
    kept = [word for word in words if len(word) > 2 and word.upper() not in _COMMON]
    return [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in kept]


_COMMON = frozenset(
    (
        "MR",
        "MRS",
        "DR",
        "THE",
        "AND",
        "HOSPITAL",
        "CLINIC",
        "MEDICAL",
        "CENTER",
        "CENTRE",
        "ANONYMIZED",
    )
)
"""Parts of names that are words in any text."""


def _values(value: Any) -> Iterator[str]:
    if value is None:
        return
    many = value if type(value).__name__ == "MultiValue" or isinstance(value, list) else [value]
    yield from (text for each in many if (text := str(each).strip()))


def _clean(data: Any, alias: Alias, done: Done, known: list[re.Pattern[str]]) -> None:
    for tag in list(data.keys()):
        if tag.is_private:
            done.private += 1
            del data[tag]
            continue
        element = data[tag]
        action = _action(element, known)
        if action is None:
            if element.VR == "SQ":
                for item in element.value or []:
                    _clean(item, alias, done, known)
            continue
        _apply(data, element, action, alias, done, known)


def _action(element: Any, known: list[re.Pattern[str]]) -> str | None:
    """What is to be done, simplified to one of X, Z, D, U, C; None to keep it (or what is nested in it)."""
    found = action_of(element.tag)
    if found is None and element.tag.group <= 0x0002:
        return None
    if f"{int(element.tag):08X}" in _dates() and element.VR in ("DA", "DT", "TM"):
        return "C"
    match found:
        case "X/Z/U*":
            return None  # a sequence of references: its UIDs are replaced
        case "X/Z":
            return "Z"
        case "X/D" | "Z/D" | "X/Z/D":
            return "D"
        case None:
            return _beyond_table(element, known)
    return found


def _beyond_table(element: Any, known: list[re.Pattern[str]]) -> str | None:
    if element.VR == "PN":
        return "Z"
    if element.VR in ("DA", "DT"):
        return "C"
    if element.VR == "UI":
        # Those of the standard say what something is, not which one it is.
        own = [uid for uid in _values(element.value) if not uid.startswith("1.2.840.10008.")]
        return "U" if own else None
    if element.VR in _TEXT_VRS:
        text = " ".join(_values(_as_text(element.value)))
        if any(pattern.search(text) for pattern in known):
            return "Z"
    return None


def _as_text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _apply(
    data: Any, element: Any, action: str, alias: Alias, done: Done, known: list[re.Pattern[str]]
) -> None:
    has_value = bool(element.value) if element.VR != "SQ" else bool(len(element.value or []))
    tag = element.tag
    if has_value and element.keyword:
        done.held.add(element.keyword)
    done.counts[f"{int(tag):08X}", element.keyword, action] += 1
    if action == "X":
        del data[tag]
    elif action == "U":
        element.value = _replaced(element.value, alias)
    elif action == "C":
        moved = _moved(element, alias.shift_days)
        element.value = moved if moved is not None else (_DUMMY[element.VR] if has_value else None)
    elif element.VR == "SQ":
        element.value = []
    elif action == "Z" or not has_value:
        element.value = None if element.VR != "PN" else ""
    else:
        element.value = _DUMMY.get(element.VR)


def _replaced(value: Any, alias: Alias) -> Any:
    uids = list(_values(value))
    if not uids:
        return ""
    new = [each if each.startswith("1.2.840.10008.") else alias.uid(each) for each in uids]
    return new if len(new) > 1 else new[0]


def _moved(element: Any, days: int) -> Any:
    """The dates, moved; times of the clock stay, for whole days keep what lies between. None if unreadable."""
    if element.VR == "TM":
        return element.value
    moved = []
    for text in _values(element.value):
        plain = text.replace(".", "", 2) if element.VR == "DA" else text
        found = re.match(r"(\d{4})(\d{2})(\d{2})", plain)
        if found is None:
            return None
        try:
            day = date(int(found[1]), int(found[2]), int(found[3])) + timedelta(days=days)
        except (ValueError, OverflowError):
            return None
        rest = plain[8:] if element.VR == "DT" else ""
        moved.append(f"{day:%Y%m%d}{rest}")
    if not moved:
        return None
    return moved if len(moved) > 1 else moved[0]


def _mark(data: Any, alias: Alias) -> None:
    """Say in the file that, and how, it was de-identified (PS3.3 C.7.1.1 and C.12.1.1.4.3)."""
    from pydicom.dataset import Dataset

    data.PatientName = alias.name
    data.PatientID = alias.name
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = METHOD
    data.LongitudinalTemporalInformationModified = "MODIFIED"
    codes = []
    for value, meaning in _CODES:
        code = Dataset()
        code.CodeValue = value
        code.CodingSchemeDesignator = "DCM"
        code.CodeMeaning = meaning
        codes.append(code)
    data.DeidentificationMethodCodeSequence = codes


# ---------------------------------------------------------------- pixels


def burnt_out(data: Any, values: Any, boxes: list[Box]) -> Any:
    """A frame's stored values with these regions black, as they are shown."""
    if not boxes:
        return values
    out = numpy.array(values)
    black = _black(data, out)
    for box in boxes:
        out[box.top : box.bottom, box.left : box.right] = black
    return out


def _black(data: Any, values: Any) -> Any:
    kind = str(data.get("PhotometricInterpretation", ""))
    if kind == "PALETTE COLOR":
        return _darkest_index(data)
    if values.ndim == 3:
        return 0
    return values.max() if is_inverse(data) else values.min()


def _darkest_index(data: Any) -> int:
    from pydicom.pixels.processing import apply_color_lut

    count = int(data.RedPaletteColorLookupTableDescriptor[0]) or 65536
    first = int(data.RedPaletteColorLookupTableDescriptor[1])
    indexes = numpy.arange(first, first + min(count, 65536)).reshape(1, -1)
    colours = apply_color_lut(indexes, data).astype(numpy.int64).sum(axis=-1)
    return int(indexes[0, int(colours.argmin())])
