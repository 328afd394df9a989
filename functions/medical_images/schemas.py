"""What travels to and from the medical images service."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator

from common.images import CONTENT_TYPES, MOST_BYTES, MedicalImage
from common.imaging import Deidentification, ImageAnalysis, ImageMetadata, Rendition
from common.pages import PageQuery
from common.reasons import Reason
from common.schemas import Body, Id
from common.uploads import Announcement, UploadState, UploadTarget, summary_of

ACCEPTED = {name: names[0] for names in CONTENT_TYPES.values() for name in names}


class ImageUploadCreate(Announcement):
    content_type: Annotated[str, Field(max_length=100, examples=["application/dicom"])]
    """DICOM, PNG, JPEG, TIFF or WebP; what the file really is decides."""
    size_bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]

    @field_validator("content_type")
    @classmethod
    def _is_image(cls, value: str) -> str:
        kind = value.split(";")[0].strip().lower()
        if kind not in ACCEPTED:
            raise ValueError("Not a kind of image that is taken: DICOM, PNG, JPEG, TIFF, WebP")
        return ACCEPTED[kind]


class ImageFilter(PageQuery):
    patient_id: Id | None = None
    status: Annotated[UploadState | None, Field(description="State of the processing.")] = None
    modality: Annotated[
        str | None, Field(pattern=r"^[A-Z0-9_]{1,16}$", description="DICOM's term, e.g. `CT`.")
    ] = None
    study_id: Annotated[
        Id | None, Field(description="Of one study, as `GET /medical-images/studies` names it.")
    ] = None


class StudyFilter(PageQuery):
    patient_id: Id | None = None


class RenditionChoice(Body):
    size: Annotated[
        Rendition,
        Field(description="`contact_sheet` shows up to 16 frames of a multi-frame image."),
    ] = Rendition.PREVIEW


class ImageSummary(BaseModel):
    image_id: str
    state: UploadState
    reason: Reason | None
    detail: str | None
    """What the reason means, for people."""
    progress: int
    """Percent."""
    attempts: int
    update_time: datetime
    patient_id: str
    author_id: str
    appointment_id: str | None
    file_name: str | None
    content_type: str
    size_bytes: int
    study_id: str | None
    series_id: str | None
    duplicate_of: str | None
    """The image that the record has already."""
    renditions: list[Rendition]
    """How it can be shown."""
    deidentification: Deidentification | None
    """Whether there is a copy without identifiers, or why not."""
    metadata: ImageMetadata | None
    create_time: datetime

    @classmethod
    def of(
        cls, record: MedicalImage, file_name: str | None, metadata: ImageMetadata | None
    ) -> Self:
        return cls(
            image_id=record.id,
            **summary_of(record, file_name),
            study_id=record.study_id,
            series_id=record.series_id,
            duplicate_of=record.duplicate_of,
            renditions=record.renditions,
            deidentification=record.deidentification,
            metadata=metadata,
        )


class ImageAnalysisPublic(ImageAnalysis):
    image_id: str
    disclaimer: str


class ImageUploadCreated(BaseModel):
    image: ImageSummary
    upload: UploadTarget | None
    """For the whole file in one request. Null if the file came with this one."""
    resumable_upload: UploadTarget | None
    """For large files and weak connections: the answer's `Location` takes the content in pieces."""


class DownloadTarget(BaseModel):
    """Where a file can be read, without a token, until `expires_at`."""

    url: str
    content_type: str
    expires_at: datetime


class SeriesPublic(BaseModel):
    series_id: str
    series_instance_uid: str | None
    description: str | None
    number: int | None


class StudyPublic(BaseModel):
    study_id: str
    study_instance_uid: str | None
    description: str | None
    study_date: date | None
    accession_number: str | None
    modalities: list[str]
    series: list[SeriesPublic]
    image_count: int
    create_time: datetime


DISCLAIMER = "Found by machine; it may be wrong or miss things. It is no diagnosis and takes no doctor's place."
