"""Demo consultations: spoken by two voices of espeak-ng, and sent as an app sends them.

What is made of them is the platform's own work: a minute after the start each
has its transcript. They are made once; again is no harm.
"""

import io
import wave
from collections.abc import Sequence

from common.models import User
from common.transcripts import transcriptions
from local import seed_uploads
from local.voices import SAMPLE_RATE, speak

_DOCTOR, _PATIENT = "en-us+klatt3", "en-us+f5"

Turn = tuple[str, str]

_VISITS: Sequence[Sequence[Turn]] = (
    (
        (_DOCTOR, "Good morning. What brings you here today?"),
        (_PATIENT, "I have had a headache and a fever since yesterday."),
        (_DOCTOR, "Any chest pain or shortness of breath?"),
        (_PATIENT, "No."),
        (_DOCTOR, "Your temperature is one hundred and one."),
        (_DOCTOR, "I think this is the flu. Take ibuprofen four hundred milligrams twice a day."),
    ),
    (
        (_DOCTOR, "How is your blood pressure at home?"),
        (_PATIENT, "It was one hundred fifty over ninety this morning."),
        (_DOCTOR, "That is too high. Take ten milligrams of lisinopril every morning."),
        (_DOCTOR, "Come back in two weeks."),
    ),
    (
        (_PATIENT, "My left knee hurts when I walk."),
        (_DOCTOR, "Did you fall?"),
        (_PATIENT, "No, it began three weeks ago."),
        (_DOCTOR, "We will take an x-ray of the left knee."),
    ),
)


def spoken(turns: Sequence[Turn]) -> bytes:
    """A WAV file, with a pause between the turns."""
    pause = bytes(2 * int(0.7 * SAMPLE_RATE))
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        for voice, words in turns:
            written.writeframes(speak(words, voice=voice) + pause)
    return file.getvalue()


async def store(people: Sequence[User], doctor_ids: Sequence[str]) -> int:
    """Returns how many were sent."""
    sent = 0
    for number, turns in enumerate(_VISITS):
        patient_id, doctor_id = people[number % len(people)].id, doctor_ids[0]
        id = f"demo-visit-{number + 1}"
        if await transcriptions.get(id) is not None:
            continue
        content = spoken(turns)
        sent += await seed_uploads.send(
            transcriptions,
            id,
            patient_id,
            doctor_id,
            f"{id}.wav",
            "audio/wav",
            content,
            language="en-US",
        )
    return sent
