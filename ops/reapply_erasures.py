"""After a restore: erase again what had been erased when the copy was older than the erasure.

Without its key nothing of such a record can be read, but names and dates of
it are back, and must go.
"""

from common import crypto, retention
from common.patients import patients
from common.problems import NotFound, RecordChanged


async def reapply_erasures() -> int:
    """Returns how many patients were erased again."""
    erased = 0
    async for key in crypto.patient_keys.all_():
        if key.keyset is not None:
            continue
        patient = await patients.get(key.id)
        while patient is not None:
            try:
                if not patient.is_being_erased:
                    patient = await retention.begin_erasure(patient, "erasure")
                await retention.finish_erasure(patient, "erasure")
                erased += 1
                break
            except (RecordChanged, NotFound):
                patient = await patients.get(key.id)
    return erased
