"""An image's record, what was found in it, its study, and that it is in the record only once."""

from dataclasses import dataclass, field
from typing import Any

from common import audit
from common.clinical import Patient
from common.crypto import Vault
from common.firestore import Batch, now
from common.images import (
    FINDINGS,
    ImageFindings,
    ImageInstance,
    MedicalImage,
    SeriesPrivate,
    Study,
    StudyPrivate,
    image_findings,
    instances,
    medical_images,
    studies,
)
from common.imaging import Alias, ImageAnalysis, ImageMetadata
from common.patients import patients
from common.uploads import UploadState, over


@dataclass(frozen=True)
class Instance:
    """Which image this is: its SOP instance, or for photographs their content."""

    key: str
    sha256: str

    @classmethod
    def of(cls, alias: Alias, metadata: ImageMetadata, sha256: str) -> "Instance":
        uid = metadata.sop_instance_uid
        return cls(alias.key_of("instance", uid) if uid else alias.key_of("file", sha256), sha256)


@dataclass(frozen=True)
class InStudy:
    """Where an image belongs."""

    study_id: str | None
    series_id: str | None
    study: StudyPrivate = field(default_factory=StudyPrivate)
    series: SeriesPrivate = field(default_factory=SeriesPrivate)
    modality: str | None = None


def study_of(patient_id: str, metadata: ImageMetadata, alias: Alias) -> InStudy:
    study, series = metadata.study_instance_uid, metadata.series_instance_uid
    if study is None:
        return InStudy(None, None)
    return InStudy(
        study_id=alias.key_of("study", study),
        series_id=alias.key_of("series", series) if series else None,
        study=StudyPrivate(
            uid=study,
            description=metadata.study_description,
            study_date=metadata.study_date,
            accession_number=metadata.accession_number,
        ),
        series=SeriesPrivate(
            uid=series, description=metadata.series_description, number=metadata.series_number
        ),
        modality=metadata.modality,
    )


async def patient(patient_id: str) -> Patient | None:
    return await patients.get(patient_id)


async def held(record: MedicalImage, instance: Instance) -> ImageInstance | None:
    """Which image of this patient is this instance, as far as anybody knows."""
    return await instances.get(record.patient_id, instance.key)


async def is_there(image_id: str) -> bool:
    return await medical_images.get(image_id) is not None


async def complete(
    record: MedicalImage,
    metadata: ImageMetadata,
    analysis: ImageAnalysis,
    instance: Instance,
    held: ImageInstance | None,
    where: InStudy,
    vault: Vault,
) -> None:
    """The image with all that was found, in one batch; `held` is the instance's document, as it was read.

    Raises `RecordChanged`, also when another became this instance meanwhile, and `NotFound`.
    """
    moment = now()
    batch = Batch()
    batch.update(
        record.path,
        {
            **over(UploadState.COMPLETED),
            "deidentification": analysis.report.status,
            "instance_key": instance.key,
            "study_id": where.study_id,
            "series_id": where.series_id,
        },
        record.revision,
    )
    path = image_findings.path(record.id, FINDINGS)
    sealed = {"analysis": vault.seal(path, "analysis", analysis.model_dump(mode="json"))}
    batch.put(path, ImageFindings(create_time=moment, update_time=moment, sealed=sealed))
    _take_instance(batch, record, instance, held)
    if where.study_id is not None:
        await _join_study(batch, record.patient_id, where.study_id, where, vault)
    event = audit.event(None, "medical-images.store", record.path, record.patient_id)
    audit.add(batch, event)
    await batch.commit()


def _take_instance(
    batch: Batch, record: MedicalImage, instance: Instance, held: ImageInstance | None
) -> None:
    path = instances.path(record.patient_id, instance.key)
    moment = now()
    taken = ImageInstance(
        create_time=moment, update_time=moment, image_id=record.id, sha256=instance.sha256
    )
    if held is None:
        batch.create(path, taken)
    elif held.image_id != record.id:
        # Of an image that was deleted; its caller has looked.
        fields: dict[str, Any] = taken.model_dump()
        batch.update(path, fields, held.revision)


async def _join_study(
    batch: Batch, patient_id: str, study_id: str, where: InStudy, vault: Vault
) -> None:
    path = studies.path(patient_id, study_id)
    found = await studies.get(patient_id, study_id)
    moment = now()
    series = {}
    if where.series_id is not None and (found is None or where.series_id not in found.series):
        field_name = f"series.{where.series_id}"
        series[where.series_id] = vault.seal(path, field_name, where.series.model_dump(mode="json"))
    modalities = {where.modality} if where.modality else set()
    if found is None:
        study = Study(
            create_time=moment,
            update_time=moment,
            modalities=sorted(modalities),
            series=series,
            sealed=vault.seal_all(path, where.study),
        )
        batch.create(path, study)
    elif series or not modalities <= set(found.modalities):
        fields = {
            "series": {**found.series, **series},
            "modalities": sorted({*found.modalities, *modalities}),
            "update_time": moment,
        }
        batch.update(path, fields, found.revision)
