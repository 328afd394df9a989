"""What an app sends as a file: its record's states, from the wish to the result.

    pending_upload → uploaded → processing → completed | failed | rejected

`uploaded`: it has come, and is being checked. `failed` may be tried again by an
operator; `rejected` is the file's own fault. Each state says when to look
whether it got stuck (`due_time`), so that one query finds what did.
"""

from abc import abstractmethod
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from common.firestore import now
from common.models import Line, Record
from common.reasons import REASONS, Reason
from common.schemas import Body, Id
from common.storage import SignedUrl
from common.telemetry import Metric


class UploadState(StrEnum):
    PENDING_UPLOAD = "pending_upload"
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        return self in (UploadState.COMPLETED, UploadState.FAILED, UploadState.REJECTED)


UPLOAD_WITHIN = timedelta(days=1)
CHECK_WITHIN = timedelta(minutes=10)
"""Longer than a function may run, so that nobody is working on it any more."""
LOOK_AFTER = timedelta(minutes=20)
"""When to look whether a file has come without word of it: its URL has ended by then."""
MAX_ATTEMPTS = 5


class Upload(Record):
    """What every uploaded file's record has. Apps listen to it; what is clinical is elsewhere or sealed."""

    patient_id: str
    author_uid: str
    appointment_id: str | None = None
    state: UploadState = UploadState.PENDING_UPLOAD
    reason: Reason | None = None
    progress: int = 0
    """Percent."""
    attempts: int = 0
    """How often processing was begun."""
    content_type: str
    """As it was announced and, once checked, as it is."""
    size_bytes: int
    sha256: str | None = None
    generation: int = 0
    """Of the object that is or was worked on; an older one never wins."""
    claimed_by: str = ""
    """The message whose delivery works on it, until `due_time`."""
    traceparent: str = ""
    """Of the request that announced it: what is done with the file goes on with its trace."""
    due_time: datetime | None = None
    """When to look whether it is stuck; None: it can't be."""
    sealed: dict[str, bytes] = {}
    """`file_name`, for one: people call files after people."""

    @property
    @abstractmethod
    def worker(self) -> str:
        """The function that is told when the file has come."""

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """Which counts how such files ended."""

    @property
    @abstractmethod
    def object_name(self) -> str:
        """Of the file, in the bucket of uploads."""

    def is_claimed_by_another(self, message_id: str, moment: datetime) -> bool:
        """Whether somebody else works on it: a message that comes again lost its first worker."""
        if self.state.is_final or self.claimed_by in ("", message_id):
            return False
        return self.due_time is not None and moment < self.due_time


class UploadTarget(BaseModel):
    """Where an app sends a file: once, exactly so, and before `expires_at`."""

    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime

    @classmethod
    def of(cls, signed: SignedUrl) -> "UploadTarget":
        return cls(
            url=signed.url,
            method=signed.method,
            headers=signed.headers,
            expires_at=signed.expire_time,
        )


class Described(Body):
    """What is said of a file besides its content."""

    patient_id: Id | None = None
    """Left out by patients; doctors say whose it is."""
    appointment_id: Id | None = None


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Announcement(Described):
    """A file that is to come. Which kinds and sizes are taken, each service says itself."""

    file_name: Line
    content_type: str
    size_bytes: int
    sha256: Sha256 | None = None
    """In hex; then a file that was damaged on its way is noticed."""


def status_of(record: Upload) -> dict[str, Any]:
    """How far it is, as every service tells it."""
    return {
        "state": record.state,
        "reason": record.reason,
        "detail": REASONS[record.reason] if record.reason else None,
        "progress": record.progress,
        "attempts": record.attempts,
        "update_time": record.update_time,
    }


def summary_of(record: Upload, file_name: str | None) -> dict[str, Any]:
    """How far it is, whose it is, and what it was called."""
    return {
        **status_of(record),
        "patient_id": record.patient_id,
        "author_id": record.author_uid,
        "appointment_id": record.appointment_id,
        "file_name": file_name,
        "content_type": record.content_type,
        "size_bytes": record.size_bytes,
        "create_time": record.create_time,
    }


def over(state: UploadState, reason: Reason | None = None) -> dict[str, object]:
    """The fields of a record that has reached a final state."""
    return {
        "state": state,
        "reason": reason,
        "progress": 100 if state is UploadState.COMPLETED else 0,
        "due_time": None,
        "claimed_by": "",
        "update_time": now(),
    }
