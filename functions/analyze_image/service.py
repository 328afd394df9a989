"""What happens to an uploaded image: claimed, checked, described, shown, de-identified, looked at.

Nothing reads a file before its verdict: size, hash, malware, kind. What it
holds is read in a process of its own (`common/picture.py`); this one only
passes pictures on.

Every step can be cut off. The message comes again, takes its own claim over,
and starts from the file; what a step had made is made again under the same name.
The record becomes `completed` in one batch with all that was found.
"""

import logging
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import IO, Any

from common import arrivals, crypto, opinions, pictures, storage, telemetry, vision
from common.clinical import Patient
from common.crypto import Vault
from common.directory import fold
from common.events import ObjectStored
from common.firestore import now
from common.images import MedicalImage, alias_of, medical_images, parts_of
from common.imaging import (
    Alias,
    Box,
    Deidentification,
    DeidentificationReport,
    FoundText,
    ImageAnalysis,
    ImageMetadata,
)
from common.outside import Failed, Refused
from common.pictures import Examined, Picture, Readable
from common.preconditions import applied
from common.problems import NotFound, RecordChanged, Unavailable
from common.reasons import NotTaken, Reason
from common.resumption import change
from common.storage import Bucket, StoredObject
from common.telemetry import Metric
from common.uploads import CHECK_WITHIN, MAX_ATTEMPTS, UploadState
from common.verdict import HEAD_BYTES, ImageKind, kind_of
from common.vision import Word

from . import repository

_PASSES = 3
"""How often text is blacked out and looked for again, before the copy is given up."""
_GROWTH = 4
"""Pixels by which what is still read is blacked out further, each time."""
_SHOWN, _READ, _CLEANED = 30, 60, 80
"""Percent."""

_log = logging.getLogger("healthhub.analyze")


async def analyze(event: ObjectStored) -> None:
    """Raises `NotFound` for an object that belongs to no record; whatever else is tried again."""
    names = parts_of(event.name)
    if names is None:
        raise NotFound
    record = await applied(lambda: _claim(event, *names))
    if record is None:
        return
    with telemetry.continued(record.traceparent, "analyze_image"):
        await _work_on(record, event)


async def _claim(event: ObjectStored, patient_id: str, id: str) -> MedicalImage | None:
    try:
        return await arrivals.claim(medical_images, event, patient_id, id)
    except NotFound:
        # Its record was deleted while it was on its way.
        await storage.delete_all(event.name, storage.IMAGES)
        raise


async def _work_on(record: MedicalImage, event: ObjectStored) -> None:
    stored = await storage.find(Bucket.UPLOADS, event.name)
    if stored is None or stored.generation != event.generation:
        return  # deleted, or there is a newer one, of which we are told too
    try:
        with tempfile.TemporaryFile() as file:
            await _Work(record, stored, event, file).do()
    except RecordChanged:
        _log.info("somebody else went on with it", extra={"fields": {"path": record.path}})
    except NotFound:
        await storage.delete_all(record.object_name, storage.IMAGES)
        raise  # deleted meanwhile, and so must be what was made of it


@dataclass
class Reading:
    """The text in an image's pixels, and what became of it."""

    words: list[Word] = field(default_factory=list)
    regions: list[Box] = field(default_factory=list)
    """To be blacked out."""
    passes: int = 0
    residual: int = 0
    frames: int = 0
    middle: bytes | None = None
    """The middle frame, with these regions black."""


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

    async def _check_new(self, instance: repository.Instance) -> None:
        """Raises `NotTaken` if the patient's record has this image already."""
        other = await repository.same(self._record, instance)
        if other is not None:
            self._duplicate_of = other.image_id
            is_same = other.sha256 == instance.sha256
            raise NotTaken(Reason.DUPLICATE if is_same else Reason.CONFLICTING_INSTANCE)

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
            reading = await read_text(picture)
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
                    text=word.text,
                    confidence=word.confidence,
                    frame=word.frame,
                    box=word.box,
                    is_removed=not word.is_marker,
                )
                for word in reading.words
            ],
            safe_search=seen.safe_search,
            dominant_colors=seen.dominant_colors,
            quality=examined.quality,
            identifiers_in_tags=examined.identifying,
            identifiers_in_pixels=sum(not word.is_marker for word in reading.words),
            report=report,
            model=vision.MODEL,
            model_version=vision.VERSION,
            analysis_time=now(),
        )

    async def _clean(
        self, picture: Picture, reading: Reading, alias: Alias
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
                "regions": reading.regions,
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
            await self._check_new(instance)  # two copies may have come together
            await repository.complete(self._record, metadata, analysis, instance, study, vault)

        await applied(store)
        telemetry.count(Metric.IMAGES, state=UploadState.COMPLETED)

    async def _tell(self, progress: int, **fields: Any) -> None:
        moment = now()
        more = {"progress": progress, "due_time": moment + CHECK_WITHIN, "update_time": moment}
        self._record = await change(self._record, {**more, **fields})

    async def _refuse(self, reason: Reason) -> None:
        also = {"duplicate_of": self._duplicate_of}
        if not await arrivals.refuse(medical_images, self._record, self._stored, reason, also):
            return
        telemetry.count(Metric.IMAGES, state=UploadState.REJECTED)
        name = self._record.object_name
        if reason is not Reason.VISION_FAILED:
            await storage.delete_all(name, (Bucket.PREVIEWS, Bucket.DEIDENTIFIED))
        if reason is Reason.DUPLICATE:
            await storage.delete(Bucket.UPLOADS, name)


async def read_text(picture: Picture) -> Reading:
    """Look for text, black it out, and look again, until none is left or it is of no use.

    Raises `Failed`, `Refused`.
    """
    found = Reading()
    for attempt in range(_PASSES + 1):
        seen = [each async for each in picture.readable(found.regions)]
        words = await vision.read(seen)
        if attempt == 0:
            found.words, found.frames = words, len(seen)
        left = [word.box for word in words if _is_to_go(word, attempt)]
        found.middle = _middle(seen)
        found.residual = len(left)
        if not left or attempt == _PASSES:
            break
        grown = [_grown(box, _GROWTH * attempt) for box in left]
        found.regions = _merged([*found.regions, *grown])
        found.passes = attempt + 1
    return found


def _is_to_go(word: Word, attempt: int) -> bool:
    """At first all but markers of side. Later single characters may stay: they are nobody, and mostly nothing."""
    return not word.is_marker and (attempt == 0 or sum(map(str.isalnum, word.text)) > 1)


def _middle(seen: list[Readable]) -> bytes | None:
    return next((each.png for each in seen if each.is_middle), None)


def _grown(box: Box, by: int) -> Box:
    return Box(
        left=max(0, box.left - by),
        top=max(0, box.top - by),
        right=box.right + by,
        bottom=box.bottom + by,
    )


def _merged(boxes: list[Box]) -> list[Box]:
    """Those of one line, and those that lie in each other, as one: strips between them would look like letters."""
    left = sorted(boxes, key=lambda each: (each.top, each.left))
    merged: list[Box] = []
    while left:
        box = left.pop(0)
        near = [other for other in left if _is_near(box, other)]
        if not near:
            merged.append(box)
            continue
        left = [other for other in left if other not in near]
        left.insert(0, _around([box, *near]))
    return sorted(merged, key=lambda each: (each.top, each.left))


def _is_near(box: Box, other: Box) -> bool:
    down = min(box.bottom, other.bottom) - max(box.top, other.top)
    across = min(box.right, other.right) - max(box.left, other.left)
    least = min(box.bottom - box.top, other.bottom - other.top)
    return across > -least and down > least / 2


def _around(boxes: list[Box]) -> Box:
    return Box(
        left=min(each.left for each in boxes),
        top=min(each.top for each in boxes),
        right=max(each.right for each in boxes),
        bottom=max(each.bottom for each in boxes),
    )


_CONTENT_TYPES = {
    "dicom": "application/dicom",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "webp": "image/webp",
}


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
