"""Demo images: what the pydicom package carries, and sent as an app sends them.

What is made of them is the platform's own work: some seconds after the start
each has its preview and its copy without identifiers. They are made once; again is
no harm.
"""

from collections.abc import Sequence
from pathlib import Path

import pydicom

from common import access, crypto, storage
from common.firestore import Batch, now
from common.images import MedicalImage, medical_images, object_name
from common.models import User
from common.patients import patients
from common.problems import AlreadyExists
from common.storage import Bucket
from common.uploads import LOOK_AFTER

_FILES = (
    "examples_palette.dcm",  # an ultrasound image, with text burnt into it
    "MR_small_jp2klossless.dcm",
    "693_J2KI.dcm",  # a slice of a head
)
_CARRIED = Path(pydicom.__file__).parent / "data" / "test_files"


async def store(people: Sequence[User], doctor_ids: Sequence[str]) -> int:
    """Returns how many were sent."""
    sent = 0
    for number, file in enumerate(_FILES):
        patient_id, doctor_id = people[number % len(people)].id, doctor_ids[0]
        id = f"demo-image-{number + 1}"
        if await medical_images.get(id) is not None:
            continue
        content = (_CARRIED / file).read_bytes()
        await _announce(id, file, patient_id, doctor_id, len(content))
        try:
            name = object_name(patient_id, id)
            await storage.create(Bucket.UPLOADS, name, content, "application/dicom")
        except AlreadyExists:
            continue
        sent += 1
    return sent


async def _announce(id: str, file: str, patient_id: str, doctor_id: str, size: int) -> None:
    moment = now()
    record = MedicalImage(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        author_uid=doctor_id,
        content_type="application/dicom",
        size_bytes=size,
        due_time=moment + LOOK_AFTER,
    )
    path = medical_images.path(id)
    vault = await crypto.vault_of(patient_id)
    record.sealed = {"file_name": vault.seal(path, "file_name", file)}
    batch = Batch()
    batch.create(path, record)
    patient = await patients.get(patient_id)
    if patient is not None:
        access.visit(batch, patient, doctor_id, moment)
    await batch.commit()
