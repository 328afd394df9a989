"""Who may call what: every operation of the API for six identities. What is not here is refused.

A path's `{user_id}` is the patient's, its `{doctor_id}` the doctor's; both
have a counterpart of the same role who is a stranger to them.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.client import A_PROFILE, PASSWORD

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

    def body_for(self, identity: str) -> Any:
        return self.bodies.get(identity, self.body)


def _public(operation: str, status: int = 200, body: Any = None) -> Row:
    return Row(operation, (status,) * 6, body)


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
]
