"""What travels to and from the users service."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from common.models import (
    Email,
    Language,
    Line,
    Phone,
    Platform,
    PushToken,
    ReminderPreferences,
    Role,
    TimeZone,
    User,
)
from common.pages import PageQuery
from common.schemas import Body, unchanged

Password = Annotated[SecretStr, Field(min_length=8, max_length=128)]


class OwnChoice(StrEnum):
    """Nobody registers as an administrator: `python -m ops grant-role` makes the first."""

    PATIENT = "patient"
    DOCTOR = "doctor"


class Registration(Body):
    email: Email
    password: Password
    display_name: Line
    role: OwnChoice
    phone: Phone | None = None


class Credentials(Body):
    email: Annotated[str, Field(min_length=1, max_length=254)]
    """Not checked further: every address that has no account gets the same answer."""
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)]


class Renewal(Body):
    refresh_token: Annotated[str, Field(min_length=1, max_length=4096)]


class PasswordReset(Body):
    email: Email


class UserUpdate(Body):
    """Fields left out stay as they are; `phone: null` removes the number."""

    display_name: Line = unchanged()
    phone: Phone | None = None
    language: Language = unchanged()
    time_zone: TimeZone = unchanged()
    reminders: ReminderPreferences = unchanged()


class RoleChange(Body):
    role: Role


class DeviceCreate(Body):
    token: PushToken
    platform: Platform


class UserFilter(PageQuery):
    role: Role | None = None
    is_active: bool | None = None
    email: Annotated[str | None, Field(max_length=254, description="The whole address.")] = None


class UserPublic(BaseModel):
    user_id: str
    email: str
    display_name: str
    role: Role
    phone: str | None
    language: str
    time_zone: str
    reminders: ReminderPreferences
    is_active: bool
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, user: User) -> "UserPublic":
        return cls(user_id=user.id, **user.model_dump(include=set(cls.model_fields)))


class Tokens(BaseModel):
    id_token: str
    refresh_token: str
    expires_in: int
    """Seconds for which the ID token is good."""


class SignedIn(Tokens):
    user: UserPublic


class DevicePublic(BaseModel):
    token: str
    platform: Platform
    create_time: datetime
