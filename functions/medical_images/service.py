"""The use cases of images: announce or send one, find it, look at it, delete it."""

import asyncio
from secrets import token_hex

from common import access, audit, crypto, storage, telemetry
from common.auth import Principal
from common.clinical import Ground, Patient
from common.crypto import Vault
from common.firestore import now
from common.idempotency import Once, Replay
from common.images import MedicalImage, SeriesPrivate, Study, StudyPrivate, medical_images
from common.imaging import Deidentification, ImageMetadata, Rendition
from common.models import Role
from common.patients import changeable
from common.preconditions import applied
from common.problems import (
    Forbidden,
    Invalid,
    LegalHold,
    NotFound,
    PatientRecordMissing,
    StatusConflict,
)
from common.storage import Bucket
from common.transcripts import sorted_by_time
from common.uploads import LOOK_AFTER, UploadState, UploadTarget

from . import policy, repository
from .schemas import (
    DISCLAIMER,
    DownloadTarget,
    ImageAnalysisPublic,
    ImageFilter,
    ImageSummary,
    ImageUploadCreate,
    ImageUploadCreated,
    SeriesPublic,
    StudyFilter,
    StudyPublic,
)

_NOT_DEIDENTIFIED = {
    Deidentification.TEXT_LEFT: "Text could not be removed from its pixels, so there is no copy to share.",
    Deidentification.DOCUMENT: "It holds a document, which can't be cleaned, so there is no copy to share.",
}
_SUFFIXES = {
    "application/dicom": "dcm",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/tiff": "tif",
    "image/webp": "webp",
}

# ---------------------------------------------------------------- uploading


async def upload(
    caller: Principal, wish: ImageUploadCreate, content: bytes | None, once: Once
) -> ImageUploadCreated:
    """Announce an image; with `content`, store it at once.

    Raises `NotFound`, `Forbidden`, `Invalid`, `PatientArchived`,
    `PatientRecordMissing`, `Unavailable`.
    """
    if (first := await once.reserve()) is not None:
        raise Replay(first)
    try:
        return await _upload(caller, wish, content, once)
    except BaseException:
        await once.release()
        raise


async def _upload(
    caller: Principal, wish: ImageUploadCreate, content: bytes | None, once: Once
) -> ImageUploadCreated:
    patient_id, ground = await _whose(caller, wish.patient_id)
    if wish.appointment_id is not None:
        await _check_appointment(wish.appointment_id, patient_id)
    vault = await crypto.vault_of(patient_id)
    record = _new_record(caller, patient_id, wish, vault)
    created = ImageUploadCreated(
        image=ImageSummary.of(record, wish.file_name, None),
        upload=None if content is not None else await _target(record),
        resumable_upload=None if content is not None else await _target(record, resumable=True),
    )
    if content is not None:
        # Before the record, whoever is told of the file would find nothing that it belongs to.
        await _put(caller, record, ground, Once(), created, vault)
        await storage.create(Bucket.UPLOADS, record.object_name, content, record.content_type)
        await repository.remember(once, created, record, vault)
    else:
        await _put(caller, record, ground, once, created, vault)
    return created


async def _put(
    caller: Principal,
    record: MedicalImage,
    ground: Ground,
    once: Once,
    answer: ImageUploadCreated,
    vault: Vault,
) -> None:
    async def change() -> None:
        patient = await changeable(record.patient_id)
        event = audit.event(caller, "medical-images.create", record.path, patient.id, reason=ground)
        await repository.add(patient, record, once, answer, vault, event)

    await applied(change)


async def _whose(caller: Principal, asked: str | None) -> tuple[str, Ground]:
    """Whose image it is, and why the caller may."""
    if asked is None and caller.role is not Role.PATIENT:
        raise Invalid.field("/patient_id", "Say whose image this is")
    patient_id = asked or caller.uid
    action, path = "medical-images.create", f"patients/{patient_id}"
    ground = await access.ground(caller, patient_id, action, path)
    if not policy.can_upload(ground):
        raise await audit.refuse(caller, action, path, patient_id, Forbidden())
    try:
        await changeable(patient_id)
    except NotFound:
        if ground is Ground.SELF:
            raise PatientRecordMissing from None
        raise
    return patient_id, ground


async def _check_appointment(appointment_id: str, patient_id: str) -> None:
    found = await repository.appointment(appointment_id)
    if found is None or found.patient_id != patient_id:
        raise Invalid.field("/appointment_id", "This patient has no such appointment")


def _new_record(
    caller: Principal, patient_id: str, wish: ImageUploadCreate, vault: Vault
) -> MedicalImage:
    moment = now()
    record = MedicalImage(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        author_uid=caller.uid,
        appointment_id=wish.appointment_id,
        content_type=wish.content_type,
        size_bytes=wish.size_bytes,
        sha256=wish.sha256,
        traceparent=telemetry.traceparent(),
        due_time=moment + LOOK_AFTER,
    )
    path = medical_images.path(f"{sorted_by_time(moment)}{token_hex(8)}")
    record.stored_as(path, "")
    record.sealed = {"file_name": vault.seal(path, "file_name", wish.file_name)}
    return record


async def _target(record: MedicalImage, *, resumable: bool = False) -> UploadTarget:
    return UploadTarget.of(
        await storage.upload_url(
            record.object_name, record.content_type, record.size_bytes, resumable=resumable
        )
    )


async def renew_upload(caller: Principal, image_id: str) -> ImageUploadCreated:
    """Raises `NotFound`, `Forbidden`; `StatusConflict` once the file has come."""
    action = "medical-images.renew-upload"
    record, ground = await _seen(caller, image_id, action)
    if not policy.can_renew_upload(caller, record):
        raise await audit.refuse(caller, action, record.path, record.patient_id, Forbidden())
    if record.state is not UploadState.PENDING_UPLOAD:
        raise StatusConflict("This image has come already.")
    event = audit.event(caller, action, record.path, record.patient_id, reason=ground)
    vault = await crypto.vault_of(record.patient_id)
    moment = now()
    fields = {"due_time": moment + LOOK_AFTER, "update_time": moment}
    await repository.change(record, fields, event)
    return ImageUploadCreated(
        image=_summary(record, vault),
        upload=await _target(record),
        resumable_upload=await _target(record, resumable=True),
    )


# ---------------------------------------------------------------- reading


async def _seen(caller: Principal, image_id: str, action: str) -> tuple[MedicalImage, Ground]:
    """An image that the caller may know of, and why. Raises `NotFound`."""
    record = await repository.get(image_id)
    if record is None:
        path = medical_images.path(image_id)
        raise await audit.refuse(caller, action, path, None, NotFound())
    return record, await access.ground(caller, record.patient_id, action, record.path)


async def list_(caller: Principal, wish: ImageFilter) -> tuple[list[ImageSummary], str | None]:
    """Raises `NotFound`, `Invalid`, `PageTokenInvalid`."""
    patient_id = wish.patient_id
    if patient_id is None and caller.role is Role.PATIENT:
        patient_id = caller.uid
    if patient_id is None and not policy.can_list_all(caller):
        raise Invalid.field("?patient_id", "Say whose images you want")
    action, ground = "medical-images.list", Ground.ADMIN
    if patient_id is not None:
        ground = await access.ground(caller, patient_id, action, f"patients/{patient_id}")
    event = audit.event(caller, action, "medical_images", patient_id, reason=ground)
    found, token = await audit.reading(event, repository.list_(patient_id, wish))
    if patient_id is None or not found:
        return [ImageSummary.of(record, None, None) for record in found], token
    vault = await crypto.vault_of(patient_id)
    return [_summary(record, vault) for record in found], token


async def list_studies(
    caller: Principal, wish: StudyFilter
) -> tuple[list[StudyPublic], str | None]:
    """Raises `NotFound`, `Invalid`, `PageTokenInvalid`."""
    patient_id = wish.patient_id
    if patient_id is None:
        if caller.role is not Role.PATIENT:
            raise Invalid.field("?patient_id", "Say whose studies you want")
        patient_id = caller.uid
    action, path = "medical-images.list", f"patients/{patient_id}"
    ground = await access.ground(caller, patient_id, action, path)
    event = audit.event(caller, action, "imaging_studies", patient_id, reason=ground)
    found, token = await audit.reading(event, repository.list_studies(patient_id, wish))
    if not found:
        return [], token
    vault = await crypto.vault_of(patient_id)
    counts = await asyncio.gather(*(repository.images_in(patient_id, each.id) for each in found))
    # One whose images were all deleted is kept for those that may still come.
    shown = zip(found, counts, strict=True)
    return [_study(study, count, vault) for study, count in shown if count], token


def _study(study: Study, count: int, vault: Vault) -> StudyPublic:
    private = vault.open_all(study.path, study.sealed, StudyPrivate)
    series = []
    for id, sealed in study.series.items():
        said = SeriesPrivate.model_validate(vault.open(study.path, f"series.{id}", sealed))
        series.append(
            SeriesPublic(
                series_id=id,
                series_instance_uid=said.uid,
                description=said.description,
                number=said.number,
            )
        )
    return StudyPublic(
        study_id=study.id,
        study_instance_uid=private.uid,
        description=private.description,
        study_date=private.study_date,
        accession_number=private.accession_number,
        modalities=study.modalities,
        series=sorted(series, key=lambda each: (each.number is None, each.number, each.series_id)),
        image_count=count,
        create_time=study.create_time,
    )


async def get(caller: Principal, image_id: str) -> tuple[MedicalImage, ImageSummary]:
    record, ground = await _seen(caller, image_id, "medical-images.read")
    event = audit.event(
        caller, "medical-images.read", record.path, record.patient_id, reason=ground
    )
    vault = await audit.reading(event, crypto.vault_of(record.patient_id))
    return record, _summary(record, vault)


async def analysis(caller: Principal, image_id: str) -> tuple[MedicalImage, ImageAnalysisPublic]:
    """Raises `NotFound`; `StatusConflict` until there is one."""
    record, ground = await _seen(caller, image_id, "medical-images.analysis")
    event = audit.event(
        caller, "medical-images.analysis", record.path, record.patient_id, reason=ground
    )
    vault = await crypto.vault_of(record.patient_id)
    found = await audit.reading(event, repository.analysis(record.id, vault))
    if found is None or record.state is not UploadState.COMPLETED:
        raise StatusConflict(_not_yet(record))
    shown = ImageAnalysisPublic(**dict(found), image_id=record.id, disclaimer=DISCLAIMER)
    return record, shown


async def preview(caller: Principal, image_id: str, size: Rendition) -> DownloadTarget:
    """Raises `NotFound`; `StatusConflict` where there is none, or not yet."""
    record = await _downloadable(caller, image_id, "medical-images.preview")
    if size not in record.renditions:
        if record.state is not UploadState.COMPLETED:
            raise StatusConflict(_not_yet(record))
        raise StatusConflict(
            "This file has no pixels to show."
            if not record.renditions
            else "It has one frame only, so there is no contact sheet."
        )
    name = record.rendition_name(size)
    return _download(await storage.download_url(Bucket.PREVIEWS, name), "image/png")


async def content(caller: Principal, image_id: str) -> DownloadTarget:
    """Raises `NotFound`; `StatusConflict` for what has not come or was refused."""
    record = await _downloadable(caller, image_id, "medical-images.content")
    # Before its verdict nobody reads it, and what was refused nobody gets.
    if record.state not in (UploadState.PROCESSING, UploadState.COMPLETED):
        raise StatusConflict(_not_yet(record))
    name = f"{record.id}.{_SUFFIXES.get(record.content_type, 'bin')}"
    url = await storage.download_url(Bucket.UPLOADS, record.object_name, save_as=name)
    return _download(url, record.content_type)


async def deidentified(caller: Principal, image_id: str) -> DownloadTarget:
    """Raises `NotFound`; `StatusConflict` where there is none, or not yet."""
    record = await _downloadable(caller, image_id, "medical-images.deidentified")
    if record.state is not UploadState.COMPLETED or record.deidentification is None:
        raise StatusConflict(_not_yet(record))
    if not record.is_deidentified:
        raise StatusConflict(_NOT_DEIDENTIFIED[record.deidentification])
    stored = await storage.find(Bucket.DEIDENTIFIED, record.object_name)
    if stored is None:
        raise NotFound
    name = f"deidentified.{_SUFFIXES.get(stored.content_type, 'bin')}"
    url = await storage.download_url(Bucket.DEIDENTIFIED, record.object_name, save_as=name)
    return _download(url, stored.content_type)


async def _downloadable(caller: Principal, image_id: str, action: str) -> MedicalImage:
    record, ground = await _seen(caller, image_id, action)
    await audit.record(audit.event(caller, action, record.path, record.patient_id, reason=ground))
    return record


def _download(signed: storage.SignedUrl, content_type: str) -> DownloadTarget:
    return DownloadTarget(url=signed.url, content_type=content_type, expires_at=signed.expire_time)


def _not_yet(record: MedicalImage) -> str:
    return {
        UploadState.PENDING_UPLOAD: "The file has not come yet.",
        UploadState.REJECTED: "The file was refused; its reason says why.",
        UploadState.FAILED: "The file could not be worked on; its reason says why.",
    }.get(record.state, "The file is still being worked on.")


def _summary(record: MedicalImage, vault: Vault) -> ImageSummary:
    opened = {name: vault.open(record.path, name, sealed) for name, sealed in record.sealed.items()}
    metadata = opened.get("metadata")
    return ImageSummary.of(
        record,
        opened.get("file_name"),
        ImageMetadata.model_validate(metadata) if metadata else None,
    )


# ---------------------------------------------------------------- deleting


async def delete(caller: Principal, image_id: str) -> None:
    """Raises `NotFound`, `Forbidden`, `LegalHold`, `PatientArchived`.

    The record goes first, as it was read and only while nothing holds it. A crash in between leaves
    files, which go with the patient's erasure.
    """
    action = "medical-images.delete"
    record, ground = await _seen(caller, image_id, action)
    if not policy.can_delete(caller, ground, record):
        raise await audit.refuse(caller, action, record.path, record.patient_id, Forbidden())
    # While storage is away nothing is begun: the record would go, and its files stay.
    await storage.find(Bucket.UPLOADS, record.object_name)

    async def change() -> None:
        patient = await changeable(record.patient_id)
        _refuse_held(patient)
        current = await repository.get(record.id)
        if current is None:
            raise NotFound
        event = audit.event(caller, action, record.path, record.patient_id, reason=ground)
        await repository.delete(patient, current, event)

    await applied(change)
    await storage.delete_all(record.object_name, storage.IMAGES)


def _refuse_held(patient: Patient) -> None:
    if patient.has_legal_hold:
        raise LegalHold
