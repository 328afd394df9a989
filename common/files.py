"""A request that announces a file, or brings it along: JSON, or a form with the file in it."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from common.problems import (
    BodyTooLarge,
    Invalid,
    MalformedJson,
    UnsupportedMediaType,
    from_validation,
)

MOST_AT_ONCE = 25 * 1024 * 1024
"""Bytes of a file that comes with its announcement; larger ones go to the signed URL."""

W = TypeVar("W", bound=BaseModel)


def documented(announced: type[BaseModel], described: type[BaseModel]) -> dict[str, Any]:
    """The request's body, for the OpenAPI document: `announced` as JSON, or `described` beside the file."""
    form = _inline(described)
    form["properties"] = {"file": {"type": "string", "format": "binary"}, **form["properties"]}
    form["required"] = ["file"]
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _inline(announced)},
                "multipart/form-data": {"schema": form},
            },
        }
    }


def _inline(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    schema.pop("$defs", None)
    return schema


async def sent(
    request: Request,
    announced: type[W],
    described: type[BaseModel],
    most: int,
    kind_of: Callable[[bytes], str | None],
) -> tuple[W, bytes | None]:
    """What is announced, and the file if it came along, of at most so many bytes.

    `kind_of` says what a file is whose sender does not. Raises `UnsupportedMediaType`,
    `MalformedJson`, `BodyTooLarge`, `Invalid`.
    """
    kind = request.headers.get("content-type", "")
    if not kind:
        raise UnsupportedMediaType
    if not kind.startswith("multipart/"):
        try:
            given = await request.json()
        except ValueError:
            raise MalformedJson from None
        return _valid(announced, given), None
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Invalid.field("/file", "This field is required")
        known = set(described.model_fields)
        if any(name not in known | {"file"} for name in form):
            raise Invalid.field("", "This field is not known here")
        content = await file.read()
        if not content:
            raise Invalid.field("/file", "This file is empty")
        if len(content) > most:
            raise BodyTooLarge(f"A file may have {most} bytes here.")
        said = file.content_type
        # Many clients know no type of their own: then what it is.
        is_said = said and said != "application/octet-stream"
        wish = {
            **{name: form[name] for name in form if name in known},
            "file_name": file.filename or "file",
            "content_type": said if is_said else kind_of(content) or "application/octet-stream",
            "size_bytes": len(content),
        }
        return _valid(announced, wish), content


def _valid(model: type[W], given: Any) -> W:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise from_validation(found) from None
