"""Files that the demo people sent: announced and stored as an app's are; what is made of them is the platform's own work."""

from typing import Any

from common import access, crypto, storage
from common.firestore import Batch, Collection, now
from common.patients import patients
from common.problems import AlreadyExists
from common.storage import Bucket
from common.uploads import LOOK_AFTER, Upload


async def send(
    records: Collection[Any],
    id: str,
    patient_id: str,
    doctor_id: str,
    file_name: str,
    content_type: str,
    content: bytes,
    **more: str,
) -> bool:
    """Whether it was sent now; again is no harm."""
    moment = now()
    vault = await crypto.vault_of(patient_id)
    path = records.path(id)
    record: Upload = records.model(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        author_uid=doctor_id,
        content_type=content_type,
        size_bytes=len(content),
        due_time=moment + LOOK_AFTER,
        sealed={"file_name": vault.seal(path, "file_name", file_name)},
        **more,
    )
    record.stored_as(path, "")
    batch = Batch()
    batch.create(path, record)
    patient = await patients.get(patient_id)
    if patient is not None:
        access.visit(batch, patient, doctor_id, moment)
    await batch.commit()
    try:
        await storage.create(Bucket.UPLOADS, record.object_name, content, content_type)
    except AlreadyExists:
        return False
    return True
