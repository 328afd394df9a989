"""Where a medical statement can be read: every rule, table and entry names its public source."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common.models import Line


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Line
    url: Annotated[str, Field(max_length=500, pattern=r"^https://[^\s/]+\.[^\s]+$")]
