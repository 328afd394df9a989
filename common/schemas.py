"""What every service's schemas share."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


class Body(BaseModel):
    """A request's body. Fields that are not known are refused: a typo must not pass for a change."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def unchanged() -> Any:
    """For a field of an update that may be left out, and then stays as it is; null is no value for it."""
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: JsonDict) -> None:
    schema.pop("default", None)


ID_PATTERN = r"^_?[A-Za-z0-9-][A-Za-z0-9_-]{0,127}$"
"""Ids of accounts and records, as Firebase and we make them; Firestore keeps `__…__` for itself."""
Id = Annotated[str, Field(pattern=ID_PATTERN)]
IF_MATCH = "The ETag that was read; 412 if it is not current."


def _in_utc(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("Not a time of this or the next century")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with its offset, from 2000 to 2199; in UTC once validated."""
