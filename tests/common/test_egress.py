"""What structured output is asked for."""

from pydantic import BaseModel, Field

from common.egress import strict


class _Part(BaseModel):
    title: str = Field(max_length=10)


class _Whole(BaseModel):
    description: str = "nothing"
    parts: list[_Part] = []


def test_every_field_is_required_whatever_it_is_called_and_no_other_is_allowed() -> None:
    schema = strict(_Whole)
    assert schema["required"] == ["description", "parts"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["description"] == {"type": "string"}
    part = schema["$defs"]["_Part"]
    assert part["properties"] == {"title": {"type": "string"}}
    assert (part["required"], part["additionalProperties"]) == (["title"], False)
