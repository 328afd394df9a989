"""The use cases of images: announce or send one, find it, look at it, delete it."""

import asyncio

from common import access, audit, crypto, storage
from common.auth import Principal
from common.crypto import Vault
from common.idempotency import Once
from common.images import MedicalImage, SeriesPrivate, Study, StudyPrivate, medical_images
from common.imaging import Deidentification, ImageMetadata, Rendition
from common.intake import Intake, Targets
from common.models import Role
from common.problems import (
    Invalid,
    NotFound,
    StatusConflict,
)
from common.storage import Bucket
from common.uploads import UploadState

from . import repository
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

_intake = Intake(medical_images, "medical-images", "image")

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
    """Announce an image; with `content`, store it at once. Raises as `Intake.take` does."""

    def answer(record: MedicalImage, targets: Targets) -> ImageUploadCreated:
        return ImageUploadCreated(image=ImageSummary.of(record, wish.file_name, None), **targets)

    return await _intake.take(caller, wish, content, once, answer)


async def renew_upload(caller: Principal, image_id: str) -> ImageUploadCreated:
    """Raises `NotFound`, `Forbidden`; `StatusConflict` once the file has come."""
    record, targets = await _intake.renew(caller, image_id)
    vault = await crypto.vault_of(record.patient_id)
    return ImageUploadCreated(image=_summary(record, vault), **targets)


# ---------------------------------------------------------------- reading


async def list_(caller: Principal, wish: ImageFilter) -> tuple[list[ImageSummary], str | None]:
    """Raises `NotFound`, `Invalid`, `PageTokenInvalid`."""
    patient_id, ground = await _intake.asked_for(caller, wish.patient_id)
    event = audit.event(caller, "medical-images.list", "medical_images", patient_id, reason=ground)
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
    record, ground = await _intake.seen(caller, image_id, "medical-images.read")
    event = audit.event(
        caller, "medical-images.read", record.path, record.patient_id, reason=ground
    )
    vault = await audit.reading(event, crypto.vault_of(record.patient_id))
    return record, _summary(record, vault)


async def analysis(caller: Principal, image_id: str) -> tuple[MedicalImage, ImageAnalysisPublic]:
    """Raises `NotFound`; `StatusConflict` until there is one."""
    record, ground = await _intake.seen(caller, image_id, "medical-images.analysis")
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
    record, ground = await _intake.seen(caller, image_id, action)
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
    """Raises as `Intake.delete` does."""
    record = await _intake.delete(caller, image_id, repository.forget)
    await storage.delete_all(record.object_name, storage.IMAGES)
