"""Where images live in Firestore: `medical_images`; what was found, below each in `private`."""

from common.crypto import Vault
from common.firestore import Batch, Order, Where
from common.images import (
    FINDINGS,
    FindingsPrivate,
    MedicalImage,
    Study,
    image_findings,
    instances,
    medical_images,
    studies,
)
from common.imaging import ImageAnalysis
from common.pages import PageQuery
from common.uploads import UploadState

from .schemas import ImageFilter

_NEWEST: Order = [("create_time", "DESCENDING")]


async def list_(patient_id: str | None, wish: ImageFilter) -> tuple[list[MedicalImage], str | None]:
    """Newest first."""
    equal = {
        "patient_id": patient_id,
        "state": wish.status,
        "modality": wish.modality,
        "study_id": wish.study_id,
    }
    where: Where = [(name, "==", value) for name, value in equal.items() if value is not None]
    return await medical_images.list_(where=where, order=_NEWEST, page=wish)


async def list_studies(patient_id: str, page: PageQuery) -> tuple[list[Study], str | None]:
    """Newest first, by when their first image came."""
    return await studies.list_(patient_id, order=_NEWEST, page=page)


async def images_in(patient_id: str, study_id: str) -> int:
    where: Where = [
        ("patient_id", "==", patient_id),
        ("study_id", "==", study_id),
        ("state", "==", UploadState.COMPLETED),
    ]
    return await medical_images.count(where=where)


async def analysis(image_id: str, vault: Vault) -> ImageAnalysis | None:
    found = await image_findings.get(image_id, FINDINGS)
    if found is None:
        return None
    return vault.open_all(found.path, found.sealed, FindingsPrivate).analysis


async def forget(batch: Batch, record: MedicalImage) -> None:
    """What goes with an image's record."""
    batch.delete(image_findings.path(record.id, FINDINGS))
    if record.instance_key is not None:
        batch.delete(instances.path(record.patient_id, record.instance_key))
