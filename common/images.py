"""Medical images: the record of each, what is known of it, its study, and what was found.

A record tells apps how far it is. What describes the patient or the image is
sealed: what lists need, in the record itself; what was found in it, below.
"""

import secrets
from datetime import date
from typing import TYPE_CHECKING

from pydantic import BaseModel

from common.firestore import Batch, Collection, now
from common.imaging import Alias, Deidentification, ImageAnalysis, Rendition
from common.models import Record
from common.problems import AlreadyExists
from common.telemetry import Metric
from common.uploads import Upload

if TYPE_CHECKING:
    from common.crypto import Vault

PREFIX = "images"

CONTENT_TYPES = {
    "dicom": ("application/dicom",),
    "png": ("image/png",),
    "jpeg": ("image/jpeg", "image/jpg"),
    "tiff": ("image/tiff",),
    "webp": ("image/webp",),
}
"""By kind; the first is the usual one."""

MOST_BYTES = 500_000_000


class MedicalImage(Upload):
    """`medical_images/{image_id}`"""

    modality: str | None = None
    """DICOM's defined term (PS3.3 C.7.3.1.1.1), e.g. CT; None for photographs."""
    study_id: str | None = None
    """Ours, the same for all images of one study of this patient; tells nothing."""
    series_id: str | None = None
    frame_count: int | None = None
    renditions: list[Rendition] = []
    deidentification: Deidentification | None = None
    duplicate_of: str | None = None
    """The image that this patient's record has already."""
    instance_key: str | None = None
    """Of `patients/{patient_id}/image_instances`."""
    # sealed: `file_name`, and `metadata` once it is known

    @property
    def worker(self) -> str:
        return "analyze_image"

    @property
    def metric(self) -> Metric:
        return Metric.IMAGES

    @property
    def object_name(self) -> str:
        return object_name(self.patient_id, self.id)

    @property
    def is_deidentified(self) -> bool:
        return self.deidentification is Deidentification.DONE

    def rendition_name(self, rendition: Rendition) -> str:
        """In the bucket of previews."""
        return f"{self.object_name}/{rendition}.png"


def object_name(patient_id: str, image_id: str) -> str:
    """Of the file as it came; below it lies what was made of it, in buckets of its own."""
    return f"{PREFIX}/{patient_id}/{image_id}"


def parts_of(name: str) -> tuple[str, str] | None:
    """(patient, image) of `images/{patient}/{id}`."""
    kind, *rest = name.split("/")
    if kind != PREFIX or len(rest) != 2 or not all(rest):
        return None
    return rest[0], rest[1]


class ImageFindings(Record):
    """`medical_images/{image_id}/private/findings`"""

    sealed: dict[str, bytes]


class FindingsPrivate(BaseModel):
    analysis: ImageAnalysis


FINDINGS = "findings"


# ---------------------------------------------------------------- studies


class SeriesPrivate(BaseModel):
    uid: str | None = None
    description: str | None = None
    number: int | None = None


class Study(Record):
    """`patients/{patient_id}/imaging_studies/{study_id}`: written once, and once more for each series.

    It counts nothing: five hundred slices that come together would wait for
    each other.
    """

    modalities: list[str] = []
    series: dict[str, bytes] = {}
    """By our id; `SeriesPrivate`, sealed as `series.{id}`."""
    sealed: dict[str, bytes] = {}


class StudyPrivate(BaseModel):
    uid: str | None = None
    description: str | None = None
    study_date: date | None = None
    accession_number: str | None = None


class ImageInstance(Record):
    """`patients/{patient_id}/image_instances/{key}`: which image this patient's SOP instance, or file, is.

    Its name follows from the instance, so that of two copies one is taken.
    """

    image_id: str
    sha256: str


class Pseudonyms(Record):
    """`patients/{patient_id}/deidentification/secret`: what pseudonyms and shifts of dates follow from."""

    sealed: dict[str, bytes]


medical_images = Collection(MedicalImage, "medical_images")
image_findings = Collection(ImageFindings, "medical_images/{}/private")
studies = Collection(Study, "patients/{}/imaging_studies")
instances = Collection(ImageInstance, "patients/{}/image_instances")
pseudonyms = Collection(Pseudonyms, "patients/{}/deidentification")

_SECRET = "secret"  # noqa: S105 - the document's name


async def alias_of(patient_id: str, vault: "Vault") -> Alias:
    """Made at the first image; destroying the patient's key makes what follows from it anonymous.

    Raises `Unavailable`.
    """
    path = pseudonyms.path(patient_id, _SECRET)
    if (found := await pseudonyms.get(patient_id, _SECRET)) is None:
        moment = now()
        sealed = {"secret": vault.seal(path, "secret", secrets.token_hex(32))}
        found = Pseudonyms(create_time=moment, update_time=moment, sealed=sealed)
        batch = Batch()
        batch.create(path, found)
        try:
            await batch.commit()
        except AlreadyExists:
            return await alias_of(patient_id, vault)
    return Alias(bytes.fromhex(vault.open(path, "secret", found.sealed["secret"])))
