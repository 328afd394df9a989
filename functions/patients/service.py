"""The use cases of patients' profiles: from the first entry to the erasure."""

import asyncio
from collections.abc import AsyncIterator, Set
from secrets import token_hex
from typing import Any

from common import access, audit, crypto, retention
from common.assistant import ExchangePrivate
from common.auth import Principal
from common.clinical import CLINICAL, Ground, HistoryPrivate, Patient, PatientPrivate
from common.crypto import Vault
from common.directory import name_keys
from common.firestore import ANY_REVISION, now
from common.idempotency import Once
from common.images import MedicalImage, StudyPrivate
from common.imaging import ImageMetadata
from common.patients import changeable, current, patients
from common.preconditions import applied, changed_since, time_of
from common.problems import (
    AlreadyExists,
    Forbidden,
    Invalid,
    LegalHold,
    NotFound,
    PatientArchived,
    PatientExists,
    RetentionNotOver,
)
from common.scheduling import AppointmentPrivate
from common.transcripts import read_said

from . import policy, repository
from .schemas import (
    LegalHoldChange,
    LegalHoldPublic,
    PatientCreate,
    PatientFilter,
    PatientPublic,
    PatientSummary,
    PatientUpdate,
)

_MOST_ROUNDS = 5


async def list_(caller: Principal, wish: PatientFilter) -> tuple[list[PatientSummary], str | None]:
    """Administrators see all patients, doctors those whom they may see. A page may be short."""
    event = audit.event(caller, "patients.list", "patients", None)
    if not policy.can_list(caller):
        raise await audit.refuse(caller, "patients.list", "patients", None, Forbidden())
    if caller.is_admin:
        page = repository.list_(wish.q, wish.is_archived, wish)
        found, token = await audit.reading(event, page)
        kept = [patient for patient in found if not patient.is_being_erased]
        return [_summary(patient.id, patient) for patient in kept], token
    return await audit.reading(event, _list_theirs(caller, wish))


async def _list_theirs(
    doctor: Principal, wish: PatientFilter
) -> tuple[list[PatientSummary], str | None]:
    profile = await repository.doctor(doctor.uid)
    if profile is None or not profile.is_listed:
        return [], None  # whatever was granted, an unverified doctor sees nobody
    for _ in range(_MOST_ROUNDS):
        grants, token = await repository.list_of_doctor(doctor.uid, wish.q, wish.is_archived, wish)
        shown = [grant for grant in grants if access.is_current(grant, now())]
        if shown or token is None:
            return [_summary(grant.patient_id, grant) for grant in shown], token
        wish = wish.model_copy(update={"page_token": token})
    return [], token


def _summary(patient_id: str, of: Any) -> PatientSummary:
    shown = {name: getattr(of, name) for name in ("name", "birth_date", "sex", "is_archived")}
    return PatientSummary(patient_id=patient_id, **shown)


# ---------------------------------------------------------------- profiles


async def create(
    caller: Principal, wish: PatientCreate, once: Once
) -> tuple[Patient, PatientPublic]:
    """Make a patient's record, and their key before it.

    The record of an account is named after it, so there is one at most. A
    doctor who enters a patient is on that patient's care team.

    Raises `Forbidden`, `Invalid` (an administrator named no patient's
    account), `PatientExists`.
    """
    if not policy.can_create(caller, wish.user_id):
        raise Forbidden
    patient_id = await _id_for(caller, wish.user_id)
    patient = _new_patient(caller, patient_id, wish)
    private = PatientPrivate.model_validate(wish.model_dump(), extra="ignore")
    try:
        vault = await crypto.new_vault(patient_id)
    except NotFound:
        raise PatientExists("This account's record was erased; it can't have another.") from None
    patient.sealed = vault.seal_all(patient.path, private)
    grant = None
    if not caller.is_admin and caller.uid != patient_id:
        grant = access.grant_for(patient, caller.uid)
        grant.is_on_care_team = True
    ground = access.ground_for(caller, patient_id, None, now()) or Ground.CARE_TEAM
    event = audit.event(caller, "patients.create", patient.path, patient_id, reason=ground)
    answer = _shown(patient, private, see_all=grant is None)
    try:
        await repository.add(patient, grant, once, answer, vault, event)
    except AlreadyExists:
        await once.replay()
        raise PatientExists from None
    return patient, answer


async def _id_for(caller: Principal, user_id: str | None) -> str:
    if user_id is not None and user_id != caller.uid:
        if not await repository.is_patients_account(user_id):
            raise Invalid.field("/user_id", "Not the account of an active patient")
        return user_id
    if caller.role == "patient":
        return caller.uid
    if not caller.is_admin:
        doctor = await repository.doctor(caller.uid)
        if doctor is None or not doctor.is_listed:
            raise Forbidden("Only verified doctors enter patients.")
    return token_hex(12)


def _new_patient(caller: Principal, patient_id: str, wish: PatientCreate) -> Patient:
    moment = now()
    patient = Patient(
        create_time=moment,
        update_time=moment,
        name=wish.name,
        birth_date=wish.birth_date,
        sex=wish.sex,
        created_by=caller.uid,
        clinical_time=moment if any(getattr(wish, name) for name in CLINICAL) else None,
        **name_keys(wish.name),
    )
    patient.stored_as(patients.path(patient_id), "")
    return patient


async def get(caller: Principal, patient_id: str) -> tuple[Patient, PatientPublic]:
    """Raises `NotFound`, also for a patient whom the caller may not know of."""
    path = patients.path(patient_id)
    ground = await access.ground(caller, patient_id, "patients.read", path)
    event = audit.event(caller, "patients.read", path, patient_id, reason=ground)
    patient, vault = await audit.reading(event, _with_vault(patient_id))
    return patient, _opened(patient, vault, ground)


async def _with_vault(patient_id: str) -> tuple[Patient, Vault]:
    patient, vault = await asyncio.gather(current(patient_id), crypto.vault_of(patient_id))
    return patient, vault


def _opened(patient: Patient, vault: Vault, ground: Ground) -> PatientPublic:
    private = vault.open_all(patient.path, patient.sealed, PatientPrivate)
    return _shown(patient, private, see_all=policy.can_see_national_id(ground))


def _shown(patient: Patient, private: PatientPrivate, see_all: bool) -> PatientPublic:
    shown = PatientPublic.of(patient, private)
    return shown if see_all else shown.model_copy(update={"national_id": None})


async def update(
    caller: Principal, patient_id: str, wish: PatientUpdate, revision: str = ANY_REVISION
) -> tuple[Patient, PatientPublic]:
    """Raises `NotFound`, `Forbidden`, `PatientArchived`, `RecordChanged`."""
    fields = wish.model_fields_set
    path = patients.path(patient_id)
    ground = await access.ground(caller, patient_id, "patients.update", path)
    if not policy.can_update(ground, fields):
        problem = Forbidden("Doctors don't change a patient's contacts, insurance or national id.")
        raise await audit.refuse(caller, "patients.update", path, patient_id, problem)
    vault = await crypto.vault_of(patient_id)
    sealed = vault.seal_all(path, wish, fields & PatientPrivate.model_fields.keys())
    plain = {name: getattr(wish, name) for name in fields & Patient.model_fields.keys()}
    if fields & CLINICAL:
        plain["clinical_time"] = now()

    async def change() -> None:
        patient = await _changeable(patient_id, revision, fields)
        event = audit.event(caller, "patients.update", path, patient_id, reason=ground)
        await repository.change(patient, plain, sealed, event)

    await applied(change, revision)
    # Read, not merged here: an ETag must belong to the very content that it comes with.
    patient, vault = await _with_vault(patient_id)
    return patient, _opened(patient, vault, ground)


async def _changeable(patient_id: str, revision: str, wanted: Set[str] = frozenset()) -> Patient:
    """The patient at this revision, to change these fields.

    Raises `NotFound`, `PatientArchived`, and `RecordChanged`, which names the
    fields that changed since.
    """
    patient = await changeable(patient_id)
    if revision not in (ANY_REVISION, patient.revision):
        since = time_of(revision)
        changed = [
            name
            for name, moment in sorted(patient.changed_times.items())
            if moment > since and name in PatientUpdate.model_fields
        ]
        raise changed_since(changed, wanted, patient.etag)
    return patient


# ---------------------------------------------------------------- the end of a record


async def archive(caller: Principal, patient_id: str, revision: str = ANY_REVISION) -> None:
    """Hidden from lists, read-only, and kept for its retention; again is no harm."""
    path = patients.path(patient_id)
    ground = await access.ground(caller, patient_id, "patients.archive", path)
    if not policy.can_archive(ground):
        raise await audit.refuse(caller, "patients.archive", path, patient_id, Forbidden())

    async def change() -> None:
        try:
            patient = await _changeable(patient_id, revision)
        except PatientArchived:
            return
        event = audit.event(caller, "patients.archive", path, patient_id, reason=ground)
        await repository.change(patient, {"is_archived": True, "archive_time": now()}, {}, event)

    await applied(change, revision)


async def restore(admin: Principal, patient_id: str) -> tuple[Patient, PatientPublic]:
    """Undo the archiving; again is no harm. Raises `Forbidden` for all but administrators."""
    await _administering(admin, patient_id, "patients.restore")
    fields = {"is_archived": False, "archive_time": None}
    patient = await _set_by_admin(admin, patient_id, fields, {}, "patients.restore")
    return patient, _opened(patient, await crypto.vault_of(patient_id), Ground.ADMIN)


async def hold(admin: Principal, patient_id: str, wish: LegalHoldChange) -> LegalHoldPublic:
    """Place or lift a legal hold: while it is there, nothing of the patient is deleted."""
    await _administering(admin, patient_id, "patients.hold")
    vault = await crypto.vault_of(patient_id)
    path = patients.path(patient_id)
    reason = {"legal_hold_reason": vault.seal(path, "legal_hold_reason", wish.reason)}
    fields = {"has_legal_hold": wish.is_held}
    action = "patients.hold" if wish.is_held else "patients.lift-hold"
    await _set_by_admin(admin, patient_id, fields, reason, action)
    return LegalHoldPublic(patient_id=patient_id, is_held=wish.is_held, reason=wish.reason)


async def get_hold(admin: Principal, patient_id: str) -> LegalHoldPublic:
    await _administering(admin, patient_id, "patients.read-hold")
    path = patients.path(patient_id)
    event = audit.event(admin, "patients.read-hold", path, patient_id, reason=Ground.ADMIN)
    patient, vault = await audit.reading(event, _with_vault(patient_id))
    private = vault.open_all(path, patient.sealed, PatientPrivate)
    return LegalHoldPublic(
        patient_id=patient_id, is_held=patient.has_legal_hold, reason=private.legal_hold_reason
    )


async def _administering(caller: Principal, patient_id: str, action: str) -> None:
    """Raises `Forbidden`, and records the attempt, for all but administrators."""
    if not policy.can_administer(caller):
        path = patients.path(patient_id)
        raise await audit.refuse(caller, action, path, patient_id, Forbidden())


async def _set_by_admin(
    admin: Principal, patient_id: str, fields: dict[str, Any], sealed: dict[str, bytes], action: str
) -> Patient:
    async def change() -> None:
        patient = await current(patient_id)
        event = audit.event(admin, action, patient.path, patient_id, reason=Ground.ADMIN)
        await repository.change(patient, fields, sealed, event)

    await applied(change)
    return await current(patient_id)


async def erase(admin: Principal, patient_id: str) -> None:
    """Destroy the patient's key and delete the record, once nothing keeps it.

    If it stops halfway, asking again or the next purge completes it.

    Raises `Forbidden`, `NotFound`, `LegalHold`, `RetentionNotOver`.
    """
    await _administering(admin, patient_id, "patients.erase")
    patient = await patients.get(patient_id)
    if patient is None:
        raise NotFound
    if not patient.is_being_erased:
        if patient.has_legal_hold:
            raise await _kept(admin, patient, LegalHold())
        newest, visit, upload = await asyncio.gather(
            repository.newest_record(patient_id),
            retention.last_visit(patient_id),
            retention.last_upload(patient_id),
        )
        end = retention.kept_until(patient, newest, visit, upload)
        if end is not None and end > now():
            raise await _kept(admin, patient, RetentionNotOver(f"Kept until {end:%Y-%m-%d}."))
        patient = await retention.begin_erasure(patient, "erasure", admin)
    await retention.finish_erasure(patient, "erasure", admin)


async def _kept(
    admin: Principal, patient: Patient, problem: LegalHold | RetentionNotOver
) -> Exception:
    return await audit.refuse(admin, "patients.erase", patient.path, patient.id, problem)


# ---------------------------------------------------------------- export


async def export(caller: Principal, patient_id: str) -> AsyncIterator[bytes]:
    """Everything that is held of the patient, as a FHIR R4 Bundle, piece by piece.

    Raises `NotFound` and `Forbidden` before the first piece.
    """
    path = patients.path(patient_id)
    ground = await access.ground(caller, patient_id, "patients.export", path)
    if not policy.can_export(ground):
        raise await audit.refuse(caller, "patients.export", path, patient_id, Forbidden())
    event = audit.event(caller, "patients.export", path, patient_id, reason=ground)
    patient, vault = await audit.reading(event, _with_vault(patient_id))
    from common import fhir  # only an export needs it

    return fhir.bundle(_everything(patient, vault))


async def _everything(patient: Patient, vault: Vault) -> AsyncIterator[dict[str, Any]]:
    """The resources: the patient and what the profile holds, the history, the people in it."""
    from common import fhir

    private = vault.open_all(patient.path, patient.sealed, PatientPrivate)
    people: set[str] = set()
    for resource in fhir.of_patient(patient, private):
        yield resource
    async for grant in repository.grants_of(patient.id):
        if access.is_on_care_team(grant, now()):
            people.add(grant.doctor_id)
    async for record in repository.records(patient.id):
        people |= {record.author_uid, record.editor_uid}
        said = vault.open_all(record.path, record.sealed, HistoryPrivate)
        for resource in fhir.of_record(patient.id, record.id, record, said):
            yield resource
        if record.version > 1:
            async for version in repository.versions_of(record, patient.id):
                if version.version >= record.version:
                    continue  # amended since the record was read
                people.add(version.editor_uid)
                said = vault.open_all(version.path, version.sealed, HistoryPrivate)
                for resource in fhir.of_record(patient.id, record.id, version, said):
                    yield resource
    async for visit in repository.visits(patient.id):
        people.add(visit.doctor_id)
        why = vault.open_all(visit.path, visit.sealed, AppointmentPrivate)
        yield fhir.of_appointment(visit, why)
    async for entry in repository.waits(patient.id):
        people |= {entry.doctor_id} if entry.doctor_id else set()
        yield fhir.of_wait(entry)
    async for recording in repository.recordings(patient.id):
        people.add(recording.author_uid)
        heard = await read_said(recording.id, vault)
        yield fhir.of_transcription(recording, [each.text for each in heard.segments])
    async for resource in _images(patient, vault, people):
        yield resource
    async for exchange in repository.exchanges_of(patient.id):
        if exchange.patient_id not in (None, patient.id):
            continue  # a doctor's own record does not hold what they asked about others
        asked = vault.open_all(exchange.path, exchange.sealed, ExchangePrivate)
        yield fhir.of_exchange(patient.id, exchange, asked)
    if (consent := await repository.consent_of(patient.id)) is not None:
        yield fhir.of_consent(patient.id, consent)
    for uid in sorted(people):
        doctor = await repository.doctor(uid)
        if doctor is not None:
            yield fhir.of_doctor(doctor)
        else:  # an administrator, or somebody who is gone
            yield fhir.of_author(uid, await repository.name_of(uid))


async def _images(
    patient: Patient, vault: Vault, people: set[str]
) -> AsyncIterator[dict[str, Any]]:
    """Studies with their instances, then what belongs to no study."""
    from common import fhir

    async for study in repository.studies_of(patient.id):
        private = vault.open_all(study.path, study.sealed, StudyPrivate)
        found = [
            (image, _metadata(image, vault))
            async for image in repository.images(patient.id, study.id)
        ]
        people |= {image.author_uid for image, _ in found}
        if found:
            yield fhir.of_study(patient.id, study, private, found)
    async for image in repository.images(patient.id, None):
        people.add(image.author_uid)
        name = vault.open(image.path, "file_name", image.sealed["file_name"])
        yield fhir.of_image(image, _metadata(image, vault), name)


def _metadata(image: MedicalImage, vault: Vault) -> ImageMetadata:
    return ImageMetadata.model_validate(
        vault.open(image.path, "metadata", image.sealed["metadata"])
    )
