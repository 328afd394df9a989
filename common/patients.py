"""Where a patient's documents lie, and the patient's own, for whatever shows or adds to the record."""

import time
from datetime import date
from secrets import token_hex

from common.clinical import BreakGlass, HistoryRecord, HistoryType, Patient
from common.firestore import Collection, now
from common.problems import NotFound, PatientArchived

patients = Collection(Patient, "patients")
history = Collection(HistoryRecord, "patients/{}/history")
versions = Collection(HistoryRecord, "patients/{}/history/{}/versions")
break_glass = Collection(BreakGlass, "patients/{}/break_glass")


async def current(patient_id: str) -> Patient:
    """The patient. Raises `NotFound`, also once their erasure has begun."""
    patient = await patients.get(patient_id)
    if patient is None or patient.is_being_erased:
        raise NotFound
    return patient


async def changeable(patient_id: str) -> Patient:
    """The patient, if their record may be added to or changed. Raises `NotFound`, `PatientArchived`.

    A batch that does so insists on this revision (`Batch.verify`), for the
    record may be archived meanwhile.
    """
    patient = await current(patient_id)
    if patient.is_archived:
        raise PatientArchived
    return patient


def new_history(
    patient_id: str, type: HistoryType, occurred_on: date, author_uid: str
) -> HistoryRecord:
    """A record without content yet.

    Named after the time of entry, so that records of one day lie in the order of their entry.
    """
    moment = now()
    record = HistoryRecord(
        create_time=moment,
        update_time=moment,
        type=type,
        occurred_on=occurred_on,
        author_uid=author_uid,
        editor_uid=author_uid,
        sealed={},
    )
    id = f"{time.time_ns() // 1_000_000:012x}{token_hex(6)}"
    record.stored_as(history.path(patient_id, id), "")
    return record
