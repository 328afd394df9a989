"""Who may call what: every operation of the API for six identities. What is not here is refused.

A path's `{user_id}` and `{patient_id}` are the patient's, its `{doctor_id}`
the doctor's, who is on the patient's care team and entered `{record_id}`.
They have an appointment, `{appointment_id}`; `{fulfilled_id}` is over, and
`{offered_id}` is the patient's place on the waitlist, with an offer. Both have a
counterpart of the same role who is a stranger to them. The doctor recorded
`{transcription_id}`, which has a note; the file of `{pending_id}` has not come yet. So with
the images `{image_id}` and `{awaited_id}`.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.client import A_PATIENT, A_PROFILE, A_RECORD, A_SCHEDULE, PASSWORD

IDENTITIES = ("anonymous", "patient", "other patient", "doctor", "other doctor", "admin")


@dataclass(frozen=True)
class Row:
    operation: str
    statuses: tuple[int, int, int, int, int, int]
    """In the order of IDENTITIES."""
    body: Any = None
    is_destructive: bool = False
    """Whether each cell needs people of its own."""
    bodies: dict[str, Any] = field(default_factory=dict)
    """Where an identity has to send another body."""
    sound: str | None = None
    """The type of a body that is a little silence."""

    @property
    def template(self) -> str:
        """The operation as the OpenAPI document names it."""
        named = self.operation.split("?")[0].replace("{offered_id}", "{waitlist_id}")
        return named.replace("{pending_id}", "{transcription_id}").replace(
            "{awaited_id}", "{image_id}"
        )

    def body_for(self, identity: str) -> Any:
        return self.bodies.get(identity, self.body)


def _public(operation: str, status: int = 200, body: Any = None) -> Row:
    return Row(operation, (status,) * 6, body)


_BOOKING = {
    "doctor_id": "{doctor_id}",
    "start": "{free_start}",
    "type": "video",
    "reason": "A cough that stays",
}

ROWS = [
    _public("GET /health/users"),
    _public("GET /health/doctors"),
    _public(
        "POST /register",
        201,
        {"email": "{email}", "password": PASSWORD, "display_name": "A", "role": "patient"},
    ),
    _public("POST /login", 200, {"email": "{patient_email}", "password": PASSWORD}),
    _public("POST /refresh-token", 200, {"refresh_token": "{refresh_token}"}),
    _public("POST /password-reset", 202, {"email": "{email}"}),
    Row("POST /logout", (401, 204, 204, 204, 204, 204), is_destructive=True),
    Row("GET /users", (401, 403, 403, 403, 403, 200)),
    Row("GET /users/me", (401, 200, 200, 200, 200, 200)),
    Row("GET /users/{user_id}", (401, 200, 404, 404, 404, 200)),
    Row("PUT /users/{user_id}", (401, 200, 404, 404, 404, 200), {"language": "de"}),
    Row("DELETE /users/{user_id}", (401, 204, 404, 404, 404, 204), is_destructive=True),
    Row("PUT /users/{user_id}/role", (401, 403, 403, 403, 403, 200), {"role": "patient"}),
    Row(
        "POST /users/me/devices",
        (401, 201, 201, 201, 201, 201),
        {"token": "{push_token}", "platform": "ios"},
    ),
    Row("DELETE /users/me/devices/{token}", (401, 204, 204, 204, 204, 204)),
    _public("GET /doctors"),
    _public("GET /doctors/specializations"),
    _public("GET /doctors/by-specialty/{specialty}"),
    _public("GET /doctors/{doctor_id}"),
    Row(
        "POST /doctors",
        (401, 403, 403, 409, 409, 201),
        A_PROFILE,
        is_destructive=True,
        bodies={"admin": {**A_PROFILE, "user_id": "{new_doctor_id}"}},
    ),
    Row(
        "PUT /doctors/{doctor_id}",
        (401, 403, 403, 200, 403, 200),
        {"is_accepting_patients": False},
    ),
    Row("DELETE /doctors/{doctor_id}", (401, 403, 403, 204, 403, 204), is_destructive=True),
    Row(
        "PUT /doctors/{doctor_id}/verification",
        (401, 403, 403, 403, 403, 200),
        {"is_verified": True, "note": None},
    ),
    _public("GET /health/patients"),
    Row("GET /patients", (401, 403, 403, 200, 200, 200)),
    Row("POST /patients", (401, 409, 409, 201, 201, 201), A_PATIENT, is_destructive=True),
    Row("GET /patients/{patient_id}", (401, 200, 404, 200, 404, 200)),
    Row("PUT /patients/{patient_id}", (401, 200, 404, 200, 404, 200), {"blood_type": "A+"}),
    Row("DELETE /patients/{patient_id}", (401, 204, 404, 403, 404, 204), is_destructive=True),
    Row("POST /patients/{patient_id}/restore", (401, 403, 403, 403, 403, 200)),
    Row("GET /patients/{patient_id}/legal-hold", (401, 403, 403, 403, 403, 200)),
    Row(
        "PUT /patients/{patient_id}/legal-hold",
        (401, 403, 403, 403, 403, 200),
        {"is_held": False, "reason": None},
    ),
    # 409: it must still be kept. So far only an administrator comes.
    Row("POST /patients/{patient_id}/erasure", (401, 403, 403, 403, 403, 409)),
    Row("GET /patients/{patient_id}/export", (401, 200, 404, 403, 404, 200)),
    Row("GET /patients/{patient_id}/history", (401, 200, 404, 200, 404, 200)),
    Row("POST /patients/{patient_id}/history", (401, 403, 404, 201, 404, 201), A_RECORD),
    Row("GET /patients/{patient_id}/history/{record_id}", (401, 200, 404, 200, 404, 200)),
    Row(
        "PUT /patients/{patient_id}/history/{record_id}",
        (401, 403, 404, 200, 404, 200),
        {"title": "Amended"},
    ),
    Row("GET /patients/{patient_id}/history/{record_id}/versions", (401, 200, 404, 200, 404, 200)),
    Row("GET /patients/{patient_id}/care-team", (401, 200, 404, 403, 404, 200)),
    Row("GET /patients/{patient_id}/care-team/{doctor_id}", (401, 200, 404, 403, 404, 200)),
    Row("PUT /patients/{patient_id}/care-team/{doctor_id}", (401, 200, 404, 403, 404, 200), {}),
    Row(
        "DELETE /patients/{patient_id}/care-team/{doctor_id}",
        (401, 204, 404, 403, 404, 204),
        is_destructive=True,
    ),
    Row(
        "POST /patients/{patient_id}/break-glass",
        (401, 403, 403, 201, 201, 403),
        {"reason": "Unconscious in the emergency room"},
        is_destructive=True,
    ),
    Row("GET /patients/{patient_id}/access-log", (401, 200, 404, 403, 404, 200)),
    _public("GET /health/appointments"),
    Row("GET /doctors/{doctor_id}/schedule", (401, 200, 200, 200, 200, 200)),
    Row("PUT /doctors/{doctor_id}/schedule", (401, 403, 403, 200, 403, 200), A_SCHEDULE),
    _public("GET /doctors/{doctor_id}/reviews"),
    # Of a fulfilled visit of the patient's, once.
    Row(
        "POST /doctors/{doctor_id}/reviews",
        (401, 201, 404, 403, 403, 403),
        {"appointment_id": "{fulfilled_id}", "stars": 5},
        is_destructive=True,
    ),
    Row("GET /doctors/{doctor_id}/metrics", (401, 403, 403, 200, 403, 200)),
    Row("GET /appointments", (401, 200, 200, 200, 200, 200)),
    Row(
        "POST /appointments",
        (401, 201, 404, 201, 404, 201),
        {**_BOOKING, "patient_id": "{patient_id}"},
        is_destructive=True,
    ),
    _public("GET /appointments/available/{doctor_id}"),
    Row("GET /appointments/{appointment_id}", (401, 200, 404, 200, 404, 200)),
    Row(
        "PUT /appointments/{appointment_id}",
        (401, 200, 404, 200, 404, 200),
        {"notes": "Bring the letter"},
    ),
    Row(
        "DELETE /appointments/{appointment_id}",
        (401, 204, 404, 204, 404, 204),
        is_destructive=True,
    ),
    Row(
        "POST /appointments/reschedule/{appointment_id}",
        (401, 200, 404, 200, 404, 200),
        {"start": "{free_start}"},
        is_destructive=True,
    ),
    # 409: it is days ahead.
    Row(
        "POST /appointments/{appointment_id}/status",
        (401, 403, 404, 409, 404, 409),
        {"status": "arrived"},
    ),
    Row("GET /appointments/calendar/{user_id}", (401, 200, 404, 404, 404, 200)),
    Row(
        "POST /appointments/calendar/{user_id}/feed",
        (401, 201, 404, 404, 404, 201),
        is_destructive=True,
    ),
    _public("GET /appointments/calendar/{user_id}.ics?token={feed_secret}"),
    Row("GET /appointments/waitlist", (401, 200, 200, 403, 403, 200)),
    Row(
        "POST /appointments/waitlist",
        (401, 201, 404, 403, 403, 201),
        {
            "patient_id": "{patient_id}",
            "doctor_id": "{doctor_id}",
            "from": "{free_start}",
            "to": "{later}",
        },
    ),
    Row(
        "POST /appointments/waitlist/{offered_id}/accept",
        (401, 201, 404, 404, 404, 201),
        is_destructive=True,
    ),
    Row(
        "POST /appointments/waitlist/{offered_id}/decline",
        (401, 200, 404, 404, 404, 200),
        is_destructive=True,
    ),
    Row(
        "DELETE /appointments/waitlist/{offered_id}",
        (401, 204, 404, 404, 404, 204),
        is_destructive=True,
    ),
    _public("GET /health/transcriptions"),
    Row(
        "POST /transcriptions/upload",
        (401, 201, 404, 201, 404, 403),
        {
            "patient_id": "{patient_id}",
            "file_name": "visit.wav",
            "content_type": "audio/wav",
            "size_bytes": 1000,
        },
    ),
    Row(
        "POST /transcriptions/stream?patient_id={patient_id}",
        (401, 200, 404, 200, 404, 403),
        sound="audio/l16",
    ),
    Row("GET /transcriptions?patient_id={patient_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /transcriptions/{transcription_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /transcriptions/status/{transcription_id}", (401, 200, 404, 200, 404, 200)),
    Row("POST /transcriptions/{pending_id}/upload", (401, 403, 404, 200, 404, 403)),
    Row(
        "DELETE /transcriptions/{transcription_id}",
        (401, 403, 404, 204, 404, 204),
        is_destructive=True,
    ),
    Row("POST /transcriptions/{transcription_id}/note", (401, 403, 404, 201, 404, 403)),
    Row(
        "PUT /transcriptions/{transcription_id}/note",
        (401, 403, 404, 200, 404, 403),
        {"subjective": [], "objective": [], "assessment": [], "plan": []},
    ),
    Row("GET /transcriptions/{transcription_id}/note/versions", (401, 403, 404, 200, 404, 403)),
    Row(
        "POST /transcriptions/{transcription_id}/note/sign",
        (401, 403, 404, 200, 404, 403),
        {"accept_unsupported": True},
        is_destructive=True,
    ),
    _public("GET /health/medical_images"),
    Row(
        "POST /medical-images/upload",
        (401, 201, 404, 201, 404, 403),
        {
            "patient_id": "{patient_id}",
            "file_name": "ct.dcm",
            "content_type": "application/dicom",
            "size_bytes": 1000,
        },
    ),
    Row("GET /medical-images?patient_id={patient_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/studies?patient_id={patient_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/{image_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/analysis/{image_id}", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/{image_id}/preview", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/{image_id}/content", (401, 200, 404, 200, 404, 200)),
    Row("GET /medical-images/{image_id}/deidentified", (401, 200, 404, 200, 404, 200)),
    Row("POST /medical-images/{awaited_id}/upload", (401, 403, 404, 200, 404, 403)),
    Row(
        "DELETE /medical-images/{image_id}",
        (401, 403, 404, 204, 404, 204),
        is_destructive=True,
    ),
    _public("GET /health/ai_interactions"),
    Row(
        "POST /ai-interactions/chat",
        (401, 200, 200, 200, 200, 200),
        {"message": "My heart is being squeezed and my left arm hurts"},
    ),
    Row("GET /ai-interactions/history/{user_id}", (401, 200, 404, 404, 404, 200)),
    # An administrator learns that there are conversations, not what was said.
    Row("GET /ai-interactions/history/{user_id}/{conversation_id}", (401, 200, 404, 404, 404, 403)),
    Row(
        "DELETE /ai-interactions/history/{user_id}",
        (401, 204, 404, 404, 404, 204),
        is_destructive=True,
    ),
    Row(
        "DELETE /ai-interactions/history/{user_id}/{conversation_id}",
        (401, 204, 404, 404, 404, 204),
        is_destructive=True,
    ),
    Row("GET /ai-interactions/prompts/{user_id}", (401, 200, 404, 404, 404, 200)),
    Row("GET /ai-interactions/consent/{patient_id}", (401, 200, 404, 200, 404, 200)),
    Row(
        "PUT /ai-interactions/consent/{patient_id}",
        (401, 200, 404, 403, 404, 200),
        {"is_given": False},
    ),
    Row(
        "POST /ai-interactions/analyze",
        (401, 200, 200, 200, 200, 200),
        {"symptoms": ["crushing chest pain"], "age": 60, "sex": "male"},
    ),
    Row("GET /ai-interactions/recommendations/{patient_id}", (401, 403, 404, 200, 404, 200)),
    Row("GET /ai-interactions/knowledge?q=headache", (401, 200, 200, 200, 200, 200)),
    Row("GET /ai-interactions/knowledge/{entry_id}", (401, 200, 200, 200, 200, 200)),
    Row(
        "POST /ai-interactions/knowledge",
        (401, 403, 403, 403, 403, 201),
        {
            "entry_id": "{new_entry_id}",
            "title": "Matrix",
            "text": "An entry that only an administrator may write, for a test.",
            "source": {"title": "A test", "url": "https://example.org/"},
            "date": "2026-11-29",
        },
        is_destructive=True,
    ),
    Row(
        "DELETE /ai-interactions/knowledge/{entry_id}",
        (401, 403, 403, 403, 403, 204),
        is_destructive=True,
    ),
]
