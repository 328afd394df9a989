"""Where a patient's documents lie, and the patient's own, for whatever shows or adds to the record."""

from common.clinical import BreakGlass, HistoryRecord, Patient
from common.firestore import Collection
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
