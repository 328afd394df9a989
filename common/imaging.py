"""What is said of an image: its metadata in FHIR's and DICOM's words, its quality, what was found, what was removed."""

import hashlib
import hmac
import math
from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel

_MOST_SHIFT_DAYS = 3650


class Rendition(StrEnum):
    """What is made of an image to be looked at: PNG."""

    PREVIEW = "preview"
    """The middle frame, its longest side at most 1,024 pixels."""
    THUMBNAIL = "thumbnail"
    """The same, at most 256."""
    CONTACT_SHEET = "contact_sheet"
    """Up to 16 frames of a multi-frame image, from the first to the last."""


class Deidentification(StrEnum):
    """Whether there is a copy without identifiers, or why not."""

    DONE = "done"
    TEXT_LEFT = "text_left"
    """Text could still be read from the pixels after all was blacked out that was found."""
    DOCUMENT = "document"
    """It holds a whole document (PDF, CDA), which can't be cleaned."""


class ImageMetadata(BaseModel):
    """In FHIR ImagingStudy's words where it has them; null where the file does not say."""

    kind: str
    """`dicom`, `png`, `jpeg`, `tiff` or `webp`."""
    modality: str | None = None
    body_site: str | None = None
    laterality: str | None = None
    """`R`, `L`, `U` (unpaired) or `B` (both)."""
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    sop_class_uid: str | None = None
    sop_class: str | None = None
    """The name of the SOP class."""
    study_description: str | None = None
    series_description: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    accession_number: str | None = None
    manufacturer: str | None = None
    manufacturer_model: str | None = None
    study_date: date | None = None
    acquisition_time: datetime | None = None
    """Without a zone where the file gives none: the time on the clock there."""
    rows: int | None = None
    columns: int | None = None
    frame_count: int | None = None
    pixel_spacing: list[float] | None = None
    """Millimetres from row to row and from column to column."""
    slice_thickness: float | None = None
    """Millimetres."""
    bits_stored: int | None = None
    photometric_interpretation: str | None = None
    transfer_syntax_uid: str | None = None
    transfer_syntax: str | None = None
    has_pixels: bool = True
    differs_from_record: list[str] = []
    """What the file says otherwise of the patient than their record: `birth_date`, `name`, `sex`."""


class Box(BaseModel):
    """In pixels of the frame, from its upper left corner."""

    left: int
    top: int
    right: int
    bottom: int

    def scaled(self, by: float) -> "Box":
        """The least box of whole pixels that holds this one, in a picture of another size."""
        return Box(
            left=int(self.left * by),
            top=int(self.top * by),
            right=math.ceil(self.right * by),
            bottom=math.ceil(self.bottom * by),
        )


class FoundText(BaseModel):
    text: str
    confidence: float | None = None
    frame: int | None = None
    """From 0; None where several frames were read as one."""
    box: Box
    is_removed: bool
    """False for markers of side, which stay."""


class Label(BaseModel):
    description: str
    score: float


class Quality(BaseModel):
    """Of the middle frame, as it is shown: 0 is black, 1 is white."""

    exposure: float
    """The mean."""
    contrast: float
    """The distance between the 5th and the 95th percentile."""
    sharpness: float
    """The variance of the Laplacian, of pixels from 0 to 255; below about 100 a photograph looks blurred."""
    clipped: float
    """The share of pixels that are fully black or white inside the picture."""


class RemovedTag(BaseModel):
    """What was done to an attribute, everywhere in the file."""

    tag: str
    keyword: str
    action: str
    """PS3.15's: D dummy, Z emptied, X removed, U replaced, C shifted or cleaned."""
    count: int


class DeidentificationReport(BaseModel):
    status: Deidentification
    profile: str
    """Which profile and options, of which edition."""
    tags: list[RemovedTag] = []
    private_count: int = 0
    """Private attributes that were dropped."""
    regions: list[Box] = []
    """Blacked out in every frame."""
    unread_count: int = 0
    """Of these, those that look like lettering which nobody could read."""
    frames_read: int = 0
    passes: int = 0
    """How often the text was blacked out and read again."""
    residual_count: int = 0
    """Words that could still be read."""


class Opinion(BaseModel):
    """What a specialised model says of the image; off unless it is configured."""

    summary: str
    findings: list[str] = []
    limitations: str
    """What can't be told from this picture."""
    model: str


class ImageAnalysis(BaseModel):
    """What was found; all but `text` in the de-identified copy."""

    labels: list[Label] = []
    text: list[FoundText] = []
    """Read from the image as it came."""
    safe_search: dict[str, str] = {}
    dominant_colors: list[str] = []
    """`#rrggbb`, the most frequent first."""
    quality: Quality | None = None
    identifiers_in_tags: list[str] = []
    """Keywords of attributes that held something identifying."""
    identifiers_in_pixels: int = 0
    """Words that were blacked out."""
    opinion: Opinion | None = None
    report: DeidentificationReport
    model: str
    model_version: str
    analysis_time: datetime


# ---------------------------------------------------------------- pseudonyms


class Alias:
    """What stands for one patient's identifiers: the same each time, and nothing without the secret."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def key_of(self, kind: str, text: str) -> str:
        """For names of documents."""
        return self._digest(kind, text)[:32]

    def uid(self, uid: str) -> str:
        """A UID in place of another: PS3.5 B.2, derived from a UUID."""
        return f"2.25.{int(self._digest('uid', uid)[:32], 16)}"

    @property
    def name(self) -> str:
        return f"ANON-{self._digest('name', '')[:12].upper()}"

    @property
    def shift_days(self) -> int:
        """By which every date is moved: between 1 and 3,650, towards the past."""
        return -(1 + int(self._digest("shift", "")[:8], 16) % _MOST_SHIFT_DAYS)

    def _digest(self, kind: str, text: str) -> str:
        return hmac.new(self.secret, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()
