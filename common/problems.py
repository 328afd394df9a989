"""Every error that a client can meet, as RFC 9457 problem documents.

    Problem
    ├── BadRequest                400
    │   ├── MalformedJson
    │   └── PageTokenInvalid
    ├── Unauthenticated           401
    │   ├── TokenInvalid
    │   ├── TokenExpired
    │   ├── TokenRevoked
    │   ├── AccountDisabled
    │   ├── SignInRefused
    │   │   └── SecondFactorRequired
    │   └── RefreshRefused
    ├── Forbidden                 403
    │   ├── ProfileMissing
    │   └── ConsentRequired
    ├── NotFound                  404
    ├── MethodNotAllowed          405
    ├── Conflict                  409
    │   ├── AlreadyExists
    │   ├── EmailTaken
    │   ├── DoctorExists
    │   ├── OwnRole
    │   ├── TooManyDevices
    │   ├── PatientExists
    │   ├── PatientArchived
    │   ├── CareTeamFull
    │   ├── SlotTaken
    │   ├── PatientBusy
    │   ├── PatientRecordMissing
    │   ├── NotAccepting
    │   ├── StatusConflict
    │   ├── NoteUnsupported
    │   ├── RedactionIncomplete
    │   ├── OfferEnded
    │   ├── WaitlistFull
    │   ├── ReviewExists
    │   ├── NotVisited
    │   ├── DoctorHasAppointments
    │   ├── LegalHold
    │   ├── RetentionNotOver
    │   └── IdempotencyInFlight
    ├── RecordChanged             412
    ├── BodyTooLarge              413
    ├── UnsupportedMediaType      415
    ├── Invalid                   422
    │   └── IdempotencyKeyReused
    ├── TooManyRequests           429
    │   └── BudgetSpent
    ├── Internal                  500
    └── Unavailable               503
        ├── Busy
        └── IdentityUnavailable

A detail is written for the person who reads it and never repeats what was
submitted: it may be patient data. docs/problems.md says of each what to do.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from common.logs import request_context

TYPE_PREFIX = "urn:healthhub:problem:"
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    pointer: str
    """JSON pointer into the body, or `?name` for a query parameter, `/name` for one in the path."""
    detail: str


class FreeSlot(BaseModel):
    """A slot that can be booked, or several in a row as one."""

    start: datetime
    """UTC."""
    end: datetime
    local_start: datetime
    """The same on the doctor's clock, with its offset."""
    local_end: datetime


class ProblemDocument(BaseModel):
    """RFC 9457. `type` names the problem, docs/problems.md says what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None
    next_free: list[FreeSlot] | None = None
    """Of `slot-taken`: the doctor's next free slots, three at most."""
    count: int | None = None
    """Of `doctor-has-appointments`: how many."""


class Problem(Exception):
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Problem"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.detail = detail or type(self).__doc__ or self.title
        self.errors = list(errors) if errors else None
        self.members = dict(members or {})
        self.headers = dict(headers or {})
        super().__init__(self.detail)

    @classmethod
    def slug(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def body(self) -> bytes:
        """The document. `instance` names this occurrence by its request id: a path could hold data."""
        context = request_context.get()
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.slug(),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:healthhub:request:{context.request_id if context else ''}",
        }
        if self.errors:
            document["errors"] = [error.model_dump() for error in self.errors]
        document |= self.members
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


class BadRequest(Problem):
    """The request could not be read."""

    status, title = 400, "Bad request"


class MalformedJson(BadRequest):
    """The body is not JSON in UTF-8."""

    title = "Malformed JSON"


class PageTokenInvalid(BadRequest):
    """This page token was altered, is too old, or belongs to another list. Start again without it."""

    title = "Page token invalid"


class Unauthenticated(Problem):
    """Sign in and send the ID token as `Authorization: Bearer <ID token>`."""

    status, title = 401, "Not signed in"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="healthhub"'})


class TokenInvalid(Unauthenticated):
    """This ID token is not one that HealthHub accepts. Sign in again."""

    title = "Token invalid"


class TokenExpired(Unauthenticated):
    """This ID token has expired. Renew it with the refresh token."""

    title = "Token expired"


class TokenRevoked(Unauthenticated):
    """This session was ended. Sign in again."""

    title = "Session ended"


class AccountDisabled(Unauthenticated):
    """This account is disabled."""

    title = "Account disabled"


class SignInRefused(Unauthenticated):
    """E-mail or password is wrong, or the account can't sign in."""

    title = "Sign-in refused"


class SecondFactorRequired(SignInRefused):
    """This account has a second factor. Sign in with Firebase's SDK, which asks for it."""

    title = "Second factor required"


class RefreshRefused(Unauthenticated):
    """This refresh token is no longer valid. Sign in again."""

    title = "Refresh refused"


class Forbidden(Problem):
    """Your role does not allow this."""

    status, title = 403, "Forbidden"


class ProfileMissing(Forbidden):
    """This account has no HealthHub profile. Register first."""

    title = "Profile missing"


class NotFound(Problem):
    """There is no such record, or it is not yours to know of."""

    status, title = 404, "Not found"


class MethodNotAllowed(Problem):
    """This path does not answer to that method."""

    status, title = 405, "Method not allowed"


class Conflict(Problem):
    """This contradicts what is already stored."""

    status, title = 409, "Conflict"


class AlreadyExists(Conflict):
    """Something of this name is stored already."""

    title = "Already exists"


class EmailTaken(Conflict):
    """An account with this e-mail address exists. Sign in, or reset the password."""

    title = "E-mail taken"


class DoctorExists(Conflict):
    """This account has a doctor profile already. Change it instead."""

    title = "Doctor profile exists"


class OwnRole(Conflict):
    """Nobody changes their own role: another administrator must do it."""

    title = "Own role"


class TooManyDevices(Conflict):
    """This account has as many devices as it may have. Remove one first."""

    title = "Too many devices"


class PatientExists(Conflict):
    """This account has a patient record already. Change it instead."""

    title = "Patient record exists"


class PatientArchived(Conflict):
    """This record is archived and can only be read. An administrator can restore it."""

    title = "Patient archived"


class CareTeamFull(Conflict):
    """This care team has as many doctors as it may have. Remove one first."""

    title = "Care team full"


class SlotTaken(Conflict):
    """This time is no longer free. `next_free` names the next ones that are."""

    title = "Slot taken"


class PatientBusy(Conflict):
    """The patient has another appointment at this time."""

    title = "Patient busy"


class PatientRecordMissing(Conflict):
    """Appointments belong to a patient's record, and this account has none yet. Enter it first."""

    title = "Patient record missing"


class NotAccepting(Conflict):
    """This doctor takes no new patients at present."""

    title = "Not accepting patients"


class StatusConflict(Conflict):
    """This can't be done in its present status."""

    title = "Status conflict"


class NoteUnsupported(Conflict):
    """Some of this note was not said, as its marks show. Edit it, or sign with `accept_unsupported`."""

    title = "Note unsupported"


class RedactionIncomplete(Conflict):
    """What identifies the patient could not be taken out for certain, so nothing was sent to a model."""

    title = "Redaction incomplete"


class OfferEnded(Conflict):
    """There is no offer to take, or it has ended. The next one comes to who is still on the list."""

    title = "Offer ended"


class WaitlistFull(Conflict):
    """This patient is on as many waitlists as they may be. Leave one first."""

    title = "Waitlist full"


class ReviewExists(Conflict):
    """This visit was reviewed already."""

    title = "Review exists"


class NotVisited(Conflict):
    """Only a visit that took place can be reviewed."""

    title = "Not visited"


class DoctorHasAppointments(Conflict):
    """Booked appointments lie ahead. Cancel them, or wait until they are over."""

    title = "Doctor has appointments"


class LegalHold(Conflict):
    """This record is under legal hold: nothing of it may be deleted."""

    title = "Legal hold"


class RetentionNotOver(Conflict):
    """This record must be kept until its retention has ended."""

    title = "Retention not over"


class IdempotencyInFlight(Conflict):
    """The first request with this Idempotency-Key is still running. Ask again in a moment."""

    title = "Still in flight"


class RecordChanged(Problem):
    """The record changed since you read it. Read it again, and apply your change to what it says now."""

    status, title = 412, "Record changed"


class BodyTooLarge(Problem):
    """The body is larger than this path accepts."""

    status, title = 413, "Body too large"


class UnsupportedMediaType(Problem):
    """Send the body as `Content-Type: application/json`."""

    status, title = 415, "Unsupported media type"


class Invalid(Problem):
    """Some fields can't be accepted; `errors` names each."""

    status, title = 422, "Invalid"

    @classmethod
    def field(cls, pointer: str, detail: str) -> "Invalid":
        return cls(errors=[FieldError(pointer=pointer, detail=detail)])


class IdempotencyKeyReused(Invalid):
    """This Idempotency-Key was used for another request. Use a new key for each request."""

    title = "Idempotency-Key reused"


class TooManyRequests(Problem):
    """Too many requests. Wait for the seconds that Retry-After gives."""

    status, title = 429, "Too many requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(headers={"Retry-After": str(max(1, retry_after))})


class BudgetSpent(TooManyRequests):
    """You have used up what the assistant may do for you today. It goes on tomorrow (UTC); appointments and records are not affected."""

    title = "Daily budget used up"

    def __init__(self, retry_after: int = 86_400) -> None:
        super().__init__(retry_after)


class ConsentRequired(Forbidden):
    """The patient has not agreed that a language model sees what is in their record, without what identifies them."""

    title = "The patient's consent is needed"


class Internal(Problem):
    """Something went wrong on our side. The request id helps support to find it."""

    status, title = 500, "Internal error"


class Unavailable(Problem):
    """A service that this needs does not answer. Nothing was lost; try again shortly."""

    status, title = 503, "Unavailable"

    def __init__(self, detail: str | None = None, *, retry_after: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Busy(Unavailable):
    """Many changes met at one record. Try again shortly."""

    title = "Busy"


class IdentityUnavailable(Unavailable):
    """The sign-in service does not answer. Try again shortly."""

    title = "Sign-in service unavailable"


CLIENT_GONE = 499
"""For the log, of who went away before all was sent: nobody reads the answer. As nginx has it."""


def every(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """The whole tree below `root`, for the documentation's test."""
    for child in root.__subclasses__():
        yield child
        yield from every(child)


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """What a route can answer besides success, for its OpenAPI document."""
    by_status: dict[int | str, list[type[Problem]]] = {}
    everywhere: tuple[type[Problem], ...] = (Invalid, TooManyRequests, Unavailable, Internal)
    for problem in (*problems, *everywhere):
        by_status.setdefault(problem.status, []).append(problem)
    return {
        status: {
            "description": " / ".join(p.title for p in group),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status, group in by_status.items()
    }


def respond(problem: Problem) -> Response:
    return Response(problem.body(), problem.status, problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return respond(error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(from_validation(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return respond(from_http(error))

    async def on_unforeseen(request: Request, error: Exception) -> Response:
        # Starlette raises it again after this answer; common.app.Edge logs it and ends it there.
        return respond(Internal())

    async def on_gone(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_unforeseen)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def from_validation(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """What pydantic found wrong, without the values that it found."""
    found = []
    for error in errors:
        if error["type"] == "json_invalid":
            return MalformedJson()
        found.append(FieldError(pointer=_pointer(error), detail=_detail(error)))
    return Invalid(errors=found[:50])


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def _pointer(error: Mapping[str, Any]) -> str:
    where, *path = error["loc"]
    if error["type"] == "extra_forbidden" and not _NAME.fullmatch(str(path[-1])):
        path = path[:-1]  # a key that was submitted is data, unless it looks like a field's name
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    if where in ("query", "header"):
        return "?" + pointer[1:]
    return pointer


def _detail(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "This field is not known here"
        case "missing":
            return "This field is required"
        case "value_error":
            # Written by our own validators, which do not quote the value either.
            return str(error.get("ctx", {}).get("error", "Not acceptable"))
        case "string_unicode":
            return "This text holds characters that are not Unicode"
        case _:
            return str(error["msg"])


_BY_STATUS: dict[int, type[Problem]] = {
    400: MalformedJson,
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}


def from_http(error: HTTPException) -> Problem:
    """The framework's own refusals: no such path, no such method, a body it could not read."""
    if isinstance(error.__cause__, Problem):  # raised while the framework read the body
        return error.__cause__
    problem = _BY_STATUS.get(error.status_code, Internal)()
    problem.headers.update(error.headers or {})
    return problem
