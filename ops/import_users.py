"""Users of an older HealthHub, with their bcrypt hashes: they sign in with the password they had.

The file is CSV in UTF-8 with a header: `email, password_hash, display_name,
role` and optionally `phone, language, time_zone`. A bad line is reported with
its number and skipped. Running it again with the same file changes nothing;
with lines mended, it adds those.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from common import audit
from common.auth import users
from common.firestore import Batch, now
from common.identity import admin_auth
from common.models import Email, Language, Line, Phone, Role, TimeZone, User
from common.problems import AlreadyExists

CHUNK = 100
"""Accounts per call: as many as Identity Platform looks up at once."""

_REQUIRED = {"email", "password_hash", "display_name", "role"}
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")


class NotImportable(Exception):
    """The file as a whole can't be read; nothing was imported."""


def _bcrypt(text: str) -> str:
    if not _BCRYPT.fullmatch(text):
        raise ValueError("Not a bcrypt hash ($2a$, $2b$ or $2y$)")
    return text


def _none_if_empty(text: Any) -> Any:
    return text or None


class ImportedUser(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: Email
    password_hash: Annotated[str, BeforeValidator(_bcrypt)]
    display_name: Line
    role: Literal["patient", "doctor"]
    phone: Annotated[Phone | None, BeforeValidator(_none_if_empty)] = None
    language: Annotated[Language | None, BeforeValidator(_none_if_empty)] = None
    time_zone: Annotated[TimeZone | None, BeforeValidator(_none_if_empty)] = None

    @property
    def uid(self) -> str:
        """From the address, so that a second run finds the account of the first."""
        return "import" + hashlib.sha256(self.email.encode()).hexdigest()[:22]


@dataclass
class Report:
    imported: int = 0
    present: int = 0
    bad_lines: list[tuple[int, str]] = field(default_factory=list)
    """Line number in the file, and what is wrong with it; never a value from the line."""


async def import_users(lines: Iterable[str]) -> Report:
    """Import what `lines` of a CSV file hold. Raises `NotImportable`."""
    report = Report()
    chunk: dict[str, tuple[int, ImportedUser]] = {}
    seen: dict[str, int] = {}
    for number, row in _rows(lines):
        try:
            user = ImportedUser.model_validate(row)
        except ValidationError as error:
            report.bad_lines.append((number, _what_is_wrong(error)))
            continue
        if first := seen.get(user.email):
            report.bad_lines.append((number, f"the same address as line {first}"))
            continue
        seen[user.email] = number
        chunk[user.uid] = (number, user)
        if len(chunk) == CHUNK:
            await _import(chunk, report)
            chunk = {}
    if chunk:
        await _import(chunk, report)
    report.bad_lines.sort()
    return report


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(lines, strict=True, restkey="too many columns", restval="")
    try:
        header = set(reader.fieldnames or ())
        if missing := _REQUIRED - header:
            raise NotImportable(f"the header lacks {', '.join(sorted(missing))}")
        for row in reader:
            yield (
                reader.line_num,
                {k: v.strip() if isinstance(v, str) else v for k, v in row.items()},
            )
    except UnicodeDecodeError:
        raise NotImportable("the file is not UTF-8") from None
    except csv.Error as error:
        raise NotImportable(f"line {reader.line_num} is not CSV: {error}") from None


def _what_is_wrong(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
        for item in error.errors(include_input=False, include_context=False, include_url=False)
    )


async def _import(chunk: dict[str, tuple[int, ImportedUser]], report: Report) -> None:
    auth = admin_auth()
    chunk = _without_addresses_of_others(auth, chunk, report)
    if not chunk:
        return
    present = {found.uid for found in auth.get_users([auth.UidIdentifier(u) for u in chunk]).users}
    new = [chunk[uid] for uid in chunk if uid not in present]
    refused: dict[int, str] = {}
    if new:
        records = [_record(auth, user) for _, user in new]
        result = auth.import_users(records, hash_alg=auth.UserImportHash.bcrypt())
        refused = {new[error.index][0]: error.reason for error in result.errors}
        report.bad_lines += refused.items()
    for uid, (number, user) in chunk.items():
        if number not in refused:
            is_new = await _add_profile(uid, user)
            report.imported += is_new
            report.present += not is_new


def _without_addresses_of_others(
    auth: Any, chunk: dict[str, tuple[int, ImportedUser]], report: Report
) -> dict[str, tuple[int, ImportedUser]]:
    """Identity Platform does not refuse a second account of one address on import; so we ask first."""
    asked = [auth.EmailIdentifier(user.email) for _, user in chunk.values()]
    holders = {found.email: found.uid for found in auth.get_users(asked).users}
    kept = {}
    for uid, (number, user) in chunk.items():
        if holders.get(user.email, uid) == uid:
            kept[uid] = (number, user)
        else:
            report.bad_lines.append((number, "the address belongs to another account"))
    return kept


def _record(auth: Any, user: ImportedUser) -> Any:
    return auth.ImportUserRecord(
        uid=user.uid,
        email=user.email,
        display_name=user.display_name,
        custom_claims={"role": user.role},
        password_hash=user.password_hash.encode(),
    )


async def _add_profile(uid: str, user: ImportedUser) -> bool:
    """Whether there was none: a second run, or one after a crash, finds those of the first."""
    moment = now()
    chosen = {
        name: value
        for name in ("language", "time_zone")
        if (value := getattr(user, name)) is not None
    }
    profile = User(
        create_time=moment,
        update_time=moment,
        email=user.email,
        display_name=user.display_name,
        role=Role(user.role),
        phone=user.phone,
        **chosen,
    )
    batch = Batch()
    batch.create(users.path(uid), profile)
    audit.add(batch, audit.event(None, "users.import", users.path(uid), uid, reason="operator"))
    try:
        await batch.commit()
    except AlreadyExists:
        return False
    return True
