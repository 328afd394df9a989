"""What happens to an uploaded image: claimed, checked, described, shown, de-identified, looked at.

Nothing reads a file before its verdict: size, hash, malware, kind. What it
holds is read in a process of its own (`common/picture.py`); this one only
passes pictures on.

Every step can be cut off. The message comes again, takes its own claim over,
and starts from the file; what a step had made is made again under the same name.
The record becomes `completed` in one batch with all that was found.
"""

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any

from common import arrivals, burnt_in, crypto, opinions, pictures, storage, telemetry, vision
from common.clinical import Patient
from common.crypto import Vault
from common.directory import fold
from common.events import ObjectStored
from common.firestore import now
from common.images import ImageInstance, MedicalImage, alias_of, medical_images, parts_of
from common.imaging import (
    Alias,
    Deidentification,
    DeidentificationReport,
    FoundText,
    ImageAnalysis,
    ImageMetadata,
)
from common.outside import Failed, Refused
from common.pictures import Examined, Picture
from common.preconditions import applied
from common.problems import NotFound, Unavailable
from common.reasons import NotTaken, Reason
from common.resumption import change
from common.storage import Bucket, StoredObject
from common.telemetry import Metric
from common.uploads import CHECK_WITHIN, MAX_ATTEMPTS, UploadState
from common.verdict import HEAD_BYTES, ImageKind, kind_of

from . import repository

_SHOWN, _READ, _CLEANED = 30, 60, 80
"""Percent."""
_MOST_WORDS, _MOST_LETTERS, _MOST_REGIONS, _MOST_TAGS = 1000, 100, 2000, 1000
"""What is kept of each: all stands in one document, which may have 1 MiB."""


async def analyze(event: ObjectStored) -> None:
    """Raises `NotFound` for an object that belongs to no record; whatever else is tried again."""

    async def work(record: MedicalImage, stored: StoredObject) -> None:
        with tempfile.TemporaryFile() as file:
            await _Work(record, stored, event, file).do()

    async def forget(patient_id: str, id: str) -> None:
        await storage.delete_all(event.name, storage.IMAGES)

    await arrivals.work_on(medical_images, event, parts_of(event.name), work, forget)


class _Work:
    """One image in hand; its record is changed only as this last left it."""

    def __init__(
        self, record: MedicalImage, stored: StoredObject, event: ObjectStored, file: IO[bytes]
    ) -> None:
        self._record = record
        self._stored = stored
        self._event = event
        self._file = file
        self._duplicate_of: str | None = None

    async def do(self) -> None:
        try:
            sha256 = await arrivals.scan(self._record, self._stored, self._event, self._file)
            kind = await self._verdict()
            vault = await crypto.vault_of(self._record.patient_id)
            alias = await alias_of(self._record.patient_id, vault)
            async with pictures.opened(self._file, kind) as picture:
                examined = await picture.examine()
                instance = repository.Instance.of(alias, examined.metadata, sha256)
                await self._check_new(instance)
                await self._show(examined, vault)
                analysis = await self._analysis(picture, examined, alias, vault)
            await self._complete(examined.metadata, analysis, instance, vault, alias)
        except NotTaken as refused:
            await self._refuse(refused.reason)

    async def _verdict(self) -> ImageKind:
        self._file.seek(0)
        kind = kind_of(self._file.read(HEAD_BYTES))
        self._file.flush()
        self._file.seek(0)
        return kind

    async def _check_new(self, instance: repository.Instance) -> ImageInstance | None:
        """The instance's document, if there is one. Raises `NotTaken` if it is another image of the record."""
        held = await repository.held(self._record, instance)
        if held is None or held.image_id == self._record.id:
            return held
        if await repository.is_there(held.image_id):
            self._duplicate_of = held.image_id
            is_same = held.sha256 == instance.sha256
            raise NotTaken(Reason.DUPLICATE if is_same else Reason.CONFLICTING_INSTANCE)
        return held

    async def _show(self, examined: Examined, vault: Vault) -> None:
        """Store what the image is shown by, and tell what it is; from here on it is believed to be one."""
        for rendition, png in examined.renditions.items():
            name = self._record.rendition_name(rendition)
            await storage.write(Bucket.PREVIEWS, name, _whole(png), "image/png")
        metadata = examined.metadata
        metadata.differs_from_record = await self._differences(examined.patient)
        path = self._record.path
        sealed = {
            **self._record.sealed,
            "metadata": vault.seal(path, "metadata", metadata.model_dump(mode="json")),
        }
        await self._tell(
            _SHOWN,
            state=UploadState.PROCESSING,
            content_type=_CONTENT_TYPES[metadata.kind],
            modality=metadata.modality,
            frame_count=metadata.frame_count,
            renditions=list(examined.renditions),
            sealed=sealed,
        )

    async def _differences(self, named: dict[str, str]) -> list[str]:
        """What the file says otherwise of the patient than their record: somebody's image may be another's."""
        patient = await self._patient()
        found = []
        born = "".join(char for char in named.get("birth_date", "") if char.isdigit())
        if born and born != f"{patient.birth_date:%Y%m%d}":
            found.append("birth_date")
        parts = fold(named.get("name", "").replace("^", " ")).split()
        if parts and not set(parts) & set(fold(patient.name).split()):
            found.append("name")
        sex = {"M": "male", "F": "female"}.get(named.get("sex", ""))
        if sex and patient.sex in ("male", "female") and sex != patient.sex:
            found.append("sex")
        return found

    async def _patient(self) -> Patient:
        found = await repository.patient(self._record.patient_id)
        if found is None:
            raise NotFound
        return found

    async def _analysis(
        self, picture: Picture, examined: Examined, alias: Alias, vault: Vault
    ) -> ImageAnalysis:
        try:
            reading = await burnt_in.read_text(picture, examined.surroundings)
            await self._tell(_READ)
            report = await self._clean(picture, reading, alias)
            await self._tell(_CLEANED)
            # Others see the de-identified image only; without one, nobody does.
            is_shared = report.status is Deidentification.DONE
            shared = reading.middle if is_shared else None
            seen = vision.Seen() if shared is None else await vision.look(shared)
        except (Failed, Refused) as error:
            if isinstance(error, Failed) and self._record.attempts < MAX_ATTEMPTS:
                raise Unavailable("Image analysis does not answer.") from None
            raise NotTaken(Reason.VISION_FAILED) from None
        opinion = None
        if shared is not None and (analyser := opinions.analyser()) is not None:
            patient = await self._patient()
            opinion = await analyser.opinion(shared, examined.metadata, patient, vault)
        return ImageAnalysis(
            opinion=opinion,
            labels=seen.labels,
            text=[
                FoundText(
                    text=word.text[:_MOST_LETTERS],
                    confidence=word.confidence,
                    frame=word.frame,
                    box=word.box,
                    is_removed=not word.is_marker,
                )
                for word in reading.words[:_MOST_WORDS]
            ],
            safe_search=seen.safe_search,
            dominant_colors=seen.dominant_colors,
            quality=examined.quality,
            identifiers_in_tags=examined.identifying,
            identifiers_in_pixels=reading.word_count(),
            report=report,
            model=vision.MODEL,
            model_version=vision.VERSION,
            analysis_time=now(),
        )

    async def _clean(
        self, picture: Picture, reading: burnt_in.Reading, alias: Alias
    ) -> DeidentificationReport:
        """Store the copy without identifiers, if there can be one; what was done."""
        copy = picture.cleaned(reading.regions, alias)
        kind = await anext(copy, b"")
        is_left = reading.residual > 0
        if kind and not is_left:
            name = self._record.object_name
            await storage.write(Bucket.DEIDENTIFIED, name, copy, kind.decode())
        else:
            async for _ in copy:
                pass  # to its end, where it says what was done
        assert picture.report is not None  # noqa: S101 - it was read to its end
        report = picture.report.model_copy(
            update={
                "tags": picture.report.tags[:_MOST_TAGS],
                "regions": reading.regions[:_MOST_REGIONS],
                "unread_count": reading.unread,
                "frames_read": reading.frames,
                "passes": reading.passes,
                "residual_count": reading.residual,
            }
        )
        if is_left:
            report.status = Deidentification.TEXT_LEFT
        if report.status is not Deidentification.DONE:
            # Perhaps of an earlier attempt, which read less.
            await storage.delete(Bucket.DEIDENTIFIED, self._record.object_name)
        return report

    async def _complete(
        self,
        metadata: ImageMetadata,
        analysis: ImageAnalysis,
        instance: repository.Instance,
        vault: Vault,
        alias: Alias,
    ) -> None:
        study = repository.study_of(self._record.patient_id, metadata, alias)

        async def store() -> None:
            held = await self._check_new(instance)  # two copies may have come together
            await repository.complete(
                self._record, metadata, analysis, instance, held, study, vault
            )

        await applied(store)
        telemetry.count(
            Metric.IMAGES, state=UploadState.COMPLETED, deidentification=analysis.report.status
        )

    async def _tell(self, progress: int, **fields: Any) -> None:
        moment = now()
        more = {"progress": progress, "due_time": moment + CHECK_WITHIN, "update_time": moment}
        self._record = await change(self._record, {**more, **fields})

    async def _refuse(self, reason: Reason) -> None:
        also = {"duplicate_of": self._duplicate_of}
        if not await arrivals.refuse(medical_images, self._record, self._stored, reason, also):
            return
        name = self._record.object_name
        if reason is not Reason.VISION_FAILED:
            await storage.delete_all(name, (Bucket.PREVIEWS, Bucket.DEIDENTIFIED))
        if reason is Reason.DUPLICATE:
            await storage.delete(Bucket.UPLOADS, name)


_CONTENT_TYPES = {
    "dicom": "application/dicom",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "webp": "image/webp",
}


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
