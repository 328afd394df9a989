"""Demo images: what the pydicom package carries, and sent as an app sends them.

What is made of them is the platform's own work: some seconds after the start
each has its preview and its copy without identifiers. They are made once; again is
no harm.
"""

from collections.abc import Sequence
from pathlib import Path

import pydicom

from common.images import medical_images
from common.models import User
from local import seed_uploads

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
        sent += await seed_uploads.send(
            medical_images, id, patient_id, doctor_id, file, "application/dicom", content
        )
    return sent
