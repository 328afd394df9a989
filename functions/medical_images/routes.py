"""Paths and schemas of the medical images service; each route calls one use case."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from common.app import Allowed
from common.auth import PROBLEMS, Caller
from common.files import MOST_AT_ONCE, documented, sent
from common.idempotency import ByHand
from common.images import CONTENT_TYPES, MedicalImage
from common.pages import Page
from common.problems import (
    BodyTooLarge,
    LegalHold,
    MalformedJson,
    NotFound,
    PageTokenInvalid,
    PatientArchived,
    PatientRecordMissing,
    RecordChanged,
    StatusConflict,
    UnsupportedMediaType,
    responses,
)
from common.reasons import NotTaken, Reason
from common.schemas import ID_PATTERN
from common.uploads import Described
from common.verdict import HEAD_BYTES, kind_of

from . import service
from .schemas import (
    DownloadTarget,
    ImageAnalysisPublic,
    ImageFilter,
    ImageSummary,
    ImageUploadCreate,
    ImageUploadCreated,
    RenditionChoice,
    StudyFilter,
    StudyPublic,
)

router = APIRouter(tags=["medical images"])

T = TypeVar("T")

ImageId = Annotated[str, Path(alias="image_id", pattern=ID_PATTERN)]

BODIES: dict[str, Allowed] = {
    "/medical-images/upload": (MOST_AT_ONCE, ("application/json", "multipart/form-data")),
}
"""What this path takes besides a little JSON."""


@router.post(
    "/medical-images/upload",
    status_code=201,
    responses=responses(
        *PROBLEMS,
        MalformedJson,
        NotFound,
        PatientArchived,
        PatientRecordMissing,
        BodyTooLarge,
        UnsupportedMediaType,
    ),
    openapi_extra=documented(ImageUploadCreate, Described),
)
async def upload_image(
    caller: Caller, request: Request, once: ByHand, response: Response
) -> ImageUploadCreated:
    """Announce an image, and get signed URLs to send it to; or send one of up to 25 MiB at once.

    A signed URL lasts 15 minutes and takes exactly the file that was
    announced: its headers are to be sent as given. What arrives is processed
    by itself; follow `medical_images/{id}` in Firestore, or ask for it here.
    """
    wish, content = await sent(request, ImageUploadCreate, Described, MOST_AT_ONCE, _kind_of)
    created = await service.upload(caller, wish, content, once)
    response.headers["Location"] = f"/v1/medical-images/{created.image.image_id}"
    return created


def _kind_of(content: bytes) -> str | None:
    try:
        return CONTENT_TYPES[kind_of(content[:HEAD_BYTES])][0]
    except NotTaken as refused:
        # What is two kinds of file at once is refused where the reason can be told.
        return CONTENT_TYPES["dicom"][0] if refused.reason is Reason.HIDDEN_FILE else None


@router.get("/medical-images", responses=responses(*PROBLEMS, NotFound, PageTokenInvalid))
async def list_images(caller: Caller, wish: Annotated[ImageFilter, Query()]) -> Page[ImageSummary]:
    """Newest first. Doctors name the patient; patients get their own, administrators all."""
    found, token = await service.list_(caller, wish)
    return Page(items=found, next_page_token=token)


@router.get("/medical-images/studies", responses=responses(*PROBLEMS, NotFound, PageTokenInvalid))
async def list_studies(caller: Caller, wish: Annotated[StudyFilter, Query()]) -> Page[StudyPublic]:
    """A patient's imaging studies, the newest first; `?study_id=` of the list of images gives one's images."""
    found, token = await service.list_studies(caller, wish)
    return Page(items=found, next_page_token=token)


@router.get(
    "/medical-images/analysis/{image_id}", responses=responses(*PROBLEMS, NotFound, StatusConflict)
)
async def get_analysis(
    caller: Caller, image_id: ImageId, response: Response
) -> ImageAnalysisPublic:
    """What was found in it: labels, text, quality, identifiers and what became of them."""
    record, shown = await service.analysis(caller, image_id)
    return _tagged(response, record, shown)


@router.get("/medical-images/{image_id}", responses=responses(*PROBLEMS, NotFound))
async def get_image(caller: Caller, image_id: ImageId, response: Response) -> ImageSummary:
    """How far it is, and what it is."""
    record, shown = await service.get(caller, image_id)
    return _tagged(response, record, shown)


@router.get(
    "/medical-images/{image_id}/preview", responses=responses(*PROBLEMS, NotFound, StatusConflict)
)
async def get_preview(
    caller: Caller, image_id: ImageId, wish: Annotated[RenditionChoice, Query()]
) -> DownloadTarget:
    """A picture of it, as PNG: at most 1,024 pixels, a thumbnail of 256, or a contact sheet."""
    return await service.preview(caller, image_id, wish.size)


@router.get(
    "/medical-images/{image_id}/content", responses=responses(*PROBLEMS, NotFound, StatusConflict)
)
async def get_content(caller: Caller, image_id: ImageId) -> DownloadTarget:
    """The file as it came, with all that identifies the patient."""
    return await service.content(caller, image_id)


@router.get(
    "/medical-images/{image_id}/deidentified",
    responses=responses(*PROBLEMS, NotFound, StatusConflict),
)
async def get_deidentified(caller: Caller, image_id: ImageId) -> DownloadTarget:
    """The copy to be shared: without identifiers in attributes (DICOM PS3.15), nor text, or what looks like it, in its pixels.

    Reading can miss what is small or faint: look at it before you pass it on.
    """
    return await service.deidentified(caller, image_id)


@router.post(
    "/medical-images/{image_id}/upload", responses=responses(*PROBLEMS, NotFound, StatusConflict)
)
async def renew_image_upload(caller: Caller, image_id: ImageId) -> ImageUploadCreated:
    """New signed URLs for an image that has not come yet."""
    return await service.renew_upload(caller, image_id)


@router.delete(
    "/medical-images/{image_id}",
    status_code=204,
    responses=responses(*PROBLEMS, NotFound, LegalHold, PatientArchived, RecordChanged),
)
async def delete_image(caller: Caller, image_id: ImageId) -> None:
    """Delete the image and every copy: its previews, what was found, the de-identified one."""
    await service.delete(caller, image_id)


def _tagged(response: Response, record: MedicalImage, shown: T) -> T:
    response.headers["ETag"] = record.etag
    return shown
