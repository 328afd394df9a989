"""Where patients live in Firestore: `patients`, and what of them their grants repeat."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from common import audit
from common.access import access_grants, is_current, repeated
from common.appointments import appointments, waitlist
from common.assistant import CONSENT, Consent, Exchange, consents, exchanges
from common.auth import users
from common.clinical import AccessGrant, HistoryRecord, Patient
from common.crypto import Vault
from common.directory import doctors, name_facet, name_keys
from common.firestore import Batch, Order, Where, now
from common.idempotency import Once
from common.images import MedicalImage, Study, medical_images, studies
from common.models import AuditEvent, Doctor, Role
from common.pages import PageQuery
from common.patients import history, patients, versions
from common.problems import RecordChanged
from common.scheduling import Appointment, WaitlistEntry, WaitlistStatus
from common.transcripts import Transcription, transcriptions
from common.uploads import UploadState

_BY_NAME: Order = [("name_key", "ASCENDING")]


async def is_patients_account(uid: str) -> bool:
    user = await users.get(uid)
    return user is not None and user.is_active and user.role is Role.PATIENT


async def doctor(doctor_id: str) -> Doctor | None:
    return await doctors.get(doctor_id)


async def list_(
    name: str | None, is_archived: bool, page: PageQuery
) -> tuple[list[Patient], str | None]:
    """By name."""
    return await patients.list_(where=_filter(name, is_archived), order=_BY_NAME, page=page)


async def list_of_doctor(
    doctor_id: str, name: str | None, is_archived: bool, page: PageQuery
) -> tuple[list[AccessGrant], str | None]:
    """The doctor's grants, by the patient's name; some may have ended."""
    where: Where = [("doctor_id", "==", doctor_id), *_filter(name, is_archived)]
    return await access_grants.list_(where=where, order=_BY_NAME, page=page, everywhere=True)


def _filter(name: str | None, is_archived: bool) -> Where:
    by_name: Where = [("name_facets", "array_contains", name_facet(name))] if name else []
    return [("is_archived", "==", is_archived), *by_name]


async def add(
    patient: Patient,
    grant: AccessGrant | None,
    once: Once,
    answer: Any,
    vault: Vault,
    event: AuditEvent,
) -> None:
    """Raises `AlreadyExists` when there is such a patient."""
    batch = Batch()
    batch.create(patient.path, patient)
    if grant is not None:
        batch.create(access_grants.path(patient.id, grant.doctor_id), grant)
    once.remember(batch, 201, answer, f"/v1/patients/{patient.id}", vault)
    audit.add(batch, event)
    await batch.commit()


async def change(
    patient: Patient, plain: Mapping[str, Any], sealed: Mapping[str, bytes], event: AuditEvent
) -> None:
    """Change the patient as read, and what grants repeat of it. Raises `RecordChanged`.

    Who adds a grant insists on the patient's revision, so one that comes later has what is new; one that
    came between the reading of the grants and the change is brought up to date after it.
    """
    fields: dict[str, Any] = {**plain, "update_time": now()}
    if "name" in plain:
        fields |= name_keys(plain["name"])
    batch = Batch()
    private = {f"sealed.{name}": value for name, value in sealed.items()}
    times = {f"changed_times.{name}": fields["update_time"] for name in (*plain, *sealed)}
    batch.update(patient.path, {**fields, **private, **times}, patient.revision)
    changed = {name: value for name, value in fields.items() if name in repeated(patient)}
    if changed:
        async for grant in access_grants.all_(patient.id):
            if is_current(grant, now()):  # one that is taken up again is brought up to date then
                batch.update(grant.path, changed)
    audit.add(batch, event)
    revision = (await batch.commit()).revisions[patient.path]
    if changed:
        await _catch_up(patient, changed, revision)


async def _catch_up(patient: Patient, changed: Mapping[str, Any], revision: str) -> None:
    batch = Batch()
    async for grant in access_grants.all_(patient.id):
        is_stale = any(getattr(grant, name) != value for name, value in changed.items())
        if is_stale and is_current(grant, now()):
            batch.update(grant.path, changed)
    if len(batch):
        kept = {"is_archived": changed.get("is_archived", patient.is_archived)}
        batch.verify(patient.path, kept, revision)
        with suppress(RecordChanged):  # whoever changed it since does the same
            await batch.commit()


async def newest_record(patient_id: str) -> HistoryRecord | None:
    """The one that was changed last."""
    found = await history.find(patient_id, order=[("update_time", "DESCENDING")], limit=1)
    return found[0] if found else None


def records(patient_id: str) -> AsyncIterator[HistoryRecord]:
    """The whole history, newest first."""
    return history.all_(patient_id, order=[("occurred_on", "DESCENDING")])


def versions_of(record: HistoryRecord, patient_id: str) -> AsyncIterator[HistoryRecord]:
    """What the record said before, oldest first."""
    return versions.all_(patient_id, record.id)


def visits(patient_id: str) -> AsyncIterator[Appointment]:
    """All appointments, by their start."""
    where: Where = [("patient_id", "==", patient_id)]
    return appointments.all_(where=where, order=[("start", "ASCENDING")])


def recordings(patient_id: str) -> AsyncIterator[Transcription]:
    """All, the newest first."""
    order: Order = [("create_time", "DESCENDING")]
    return transcriptions.all_(where=[("patient_id", "==", patient_id)], order=order)


def exchanges_of(patient_id: str) -> AsyncIterator[Exchange]:
    """What the patient asked the assistant."""
    return exchanges.all_(patient_id)


async def consent_of(patient_id: str) -> Consent | None:
    return await consents.get(patient_id, CONSENT)


def studies_of(patient_id: str) -> AsyncIterator[Study]:
    return studies.all_(patient_id)


def images(patient_id: str, study_id: str | None) -> AsyncIterator[MedicalImage]:
    """Those of a study that were analysed, or of none, the newest first."""
    where: Where = [
        ("patient_id", "==", patient_id),
        ("study_id", "==", study_id),
        ("state", "==", UploadState.COMPLETED),
    ]
    return medical_images.all_(where=where, order=[("create_time", "DESCENDING")])


async def waits(patient_id: str) -> AsyncIterator[WaitlistEntry]:
    """What the patient still waits for."""
    async for entry in waitlist.all_(where=[("patient_id", "==", patient_id)]):
        if entry.status in (WaitlistStatus.WAITING, WaitlistStatus.OFFERED):
            yield entry


def grants_of(patient_id: str) -> AsyncIterator[AccessGrant]:
    return access_grants.all_(patient_id)


async def name_of(uid: str) -> str | None:
    """What an account is called."""
    user = await users.get(uid)
    return None if user is None else user.display_name
