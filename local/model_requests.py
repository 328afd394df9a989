"""Reads what is asked of the stand-in model, and refuses it as OpenAI's API does."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from local.answers import Format, Question
from local.answers_schema import fault_of
from local.answers_text import Message

Body = dict[str, Any]

MODELS = (
    "stand-in",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
)
_FAMILIES = re.compile(r"(stand-in|gpt-\d|o\d|chatgpt-|text-embedding-3-)[\w.-]*")
_EMBEDDING = "text-embedding-"
_ROLES = {"system", "developer", "user", "assistant"}
_TEXTS = {"text", "input_text", "output_text", "refusal"}
_OTHER_PARTS = {"image_url", "input_image", "input_audio", "file", "input_file"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Refused(Exception):
    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status

    def response(self, kind: str = "invalid_request_error", **headers: str) -> JSONResponse:
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, self.status, headers)


@dataclass(frozen=True)
class Asked:
    model: str
    question: Question
    body: Body = field(repr=False)
    stream: bool = False


def parsed(raw: bytes) -> Body:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload.)"
        )
    return body


def known(model: str) -> bool:
    return bool(_FAMILIES.fullmatch(model))


def model_of(body: Body, *, embeds: bool = False) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refused("you must provide a model parameter")
    if not known(model) or model.startswith(_EMBEDDING) != embeds:
        raise no_model(model)
    return model


def no_model(model: str) -> Refused:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Refused(message, code="model_not_found", status=404)


# ---------------------------------------------------------------- chat completions


def chat(body: Body) -> Asked:
    model = model_of(body)
    listed = body.get("messages")
    if listed is None:
        raise _missing("messages")
    messages = _messages(listed, "messages")
    format = _chat_format(body.get("response_format"), messages)
    if "max_tokens" in body and "max_completion_tokens" in body:
        message = (
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        )
        raise Refused(message, "max_tokens", "invalid_parameter_combination")
    limit = _limit(body, "max_completion_tokens") or _limit(body, "max_tokens")
    stream = _flag(body, "stream")
    if _object(body, "stream_options") and not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(message, "stream_options")
    _checked(body)
    return Asked(model, Question(messages, format, limit), body, stream)


def _chat_format(asked: Any, messages: list[Message]) -> Format:
    if asked is None:
        return Format()
    kind = asked.get("type") if isinstance(asked, dict) else asked
    if kind == "json_schema":
        within = asked.get("json_schema")
        return _schema_format(within, "response_format", "response_format.json_schema")
    return _plain_format(kind, "response_format", messages, "messages")


# ---------------------------------------------------------------- responses


def responses(body: Body) -> Asked:
    model = model_of(body)
    given = body.get("input")
    if given is None:
        raise _missing("input")
    messages = [Message("user", given)] if isinstance(given, str) else _messages(given, "input")
    if instructions := body.get("instructions"):
        if not isinstance(instructions, str):
            raise _wrong_type("instructions", "a string", instructions)
        messages = [Message("developer", instructions), *messages]
    if earlier := body.get("previous_response_id"):
        message = f"Previous response with id '{earlier}' not found."  # nothing is kept here
        raise Refused(message, "previous_response_id", "previous_response_not_found")
    text = _object(body, "text")
    format = _text_format(text.get("format"), messages)
    limit = _limit(body, "max_output_tokens")
    _checked(body)
    return Asked(model, Question(messages, format, limit), body, _flag(body, "stream"))


def _text_format(asked: Any, messages: list[Message]) -> Format:
    if asked is None:
        return Format()
    kind = asked.get("type") if isinstance(asked, dict) else asked
    if kind == "json_schema":
        return _schema_format(asked, "text.format.schema", "text.format")
    return _plain_format(kind, "text.format", messages, "input")


# ---------------------------------------------------------------- embeddings


@dataclass(frozen=True)
class Texts:
    model: str
    texts: list[str]
    dimensions: int
    base64: bool


def embeddings(body: Body) -> Texts:
    model = model_of(body, embeds=True)
    dimensions = body.get("dimensions")
    most = 3072 if "large" in model else 1536
    if dimensions is None:
        dimensions = 1536
    elif not _is_count(dimensions) or dimensions > most:
        message = f"Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {most}."
        raise Refused(message, "dimensions")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise _wrong_value("encoding_format", encoding, ["float", "base64"])
    return Texts(model, _texts(body.get("input")), dimensions, encoding == "base64")


def _texts(given: Any) -> list[str]:
    """A text or its tokens, or a list of either."""
    one = isinstance(given, str) or _are_tokens(given)
    listed = [given] if one else given
    if not isinstance(listed, list) or not 0 < len(listed) <= 2048:
        raise Refused("'$.input' is invalid. Please check the API reference.", "input")
    texts = [" ".join(map(str, part)) if _are_tokens(part) else part for part in listed]
    if not all(isinstance(text, str) and text for text in texts):
        raise Refused("'$.input' is invalid. Please check the API reference.", "input")
    return texts


def _are_tokens(part: Any) -> bool:
    return isinstance(part, list) and bool(part) and all(isinstance(n, int) for n in part)


# ---------------------------------------------------------------- parts of them


def _messages(listed: Any, param: str) -> list[Message]:
    if not isinstance(listed, list):
        raise _wrong_type(param, "an array of objects", listed)
    if not listed:
        message = (
            f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
        raise Refused(message, param, "empty_array")
    messages = []
    for i, item in enumerate(listed):
        if not isinstance(item, dict):
            raise _wrong_type(f"{param}[{i}]", "an object", item)
        if param == "input" and item.get("type", "message") != "message":
            continue  # a call of a tool, reasoning: nothing to read
        if item.get("role") not in _ROLES:
            raise _wrong_value(f"{param}[{i}].role", item.get("role"), sorted(_ROLES))
        text = _content(item, f"{param}[{i}].content")
        messages.append(Message(item["role"], text))
    return messages


def _content(item: Body, param: str) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    if content is None and item["role"] == "assistant":
        return ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise _wrong_type(param, "a string or an array of objects", content)
    texts = []
    for i, part in enumerate(content):
        kind = part.get("type")
        if kind not in _TEXTS | _OTHER_PARTS:
            raise _wrong_value(f"{param}[{i}].type", kind, sorted(_TEXTS | _OTHER_PARTS))
        text = part.get("refusal" if kind == "refusal" else "text", "")
        if kind in _TEXTS and not isinstance(text, str):
            raise _wrong_type(f"{param}[{i}].text", "a string", text)
        texts += [text] if kind in _TEXTS else []
    return "\n".join(texts)


def _plain_format(kind: Any, param: str, messages: list[Message], where: str) -> Format:
    if kind not in ("text", "json_object"):
        raise _wrong_value(f"{param}.type", kind, ["json_object", "json_schema", "text"])
    if kind == "json_object" and not any("json" in m.text.casefold() for m in messages):
        message = (
            f"'{where}' must contain the word 'json' in some form, to use '{param}' of type "
            "'json_object'."
        )
        raise Refused(message, where)
    return Format(kind)


def _schema_format(asked: Any, param: str, within: str) -> Format:
    if not isinstance(asked, dict):
        raise _missing(within)
    name = asked.get("name")
    if not isinstance(name, str):
        raise _missing(f"{within}.name")
    if not _NAME.fullmatch(name):
        message = f"Invalid '{within}.name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
        raise Refused(message, f"{within}.name", "invalid_value")
    schema = asked.get("schema")
    if fault := fault_of(schema, strict=asked.get("strict") is True):
        message = f"Invalid schema for response_format '{name}': {fault}"
        raise Refused(message, param, "invalid_json_schema")
    return Format("json_schema", name, schema)


def _checked(body: Body) -> None:
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or not 0 <= value <= most):
            message = f"Invalid '{name}': expected a number between 0 and {most}, got {value!r}."
            raise Refused(message, name, "invalid_value")
    _flag(body, "store")


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise _wrong_type(name, "an object", value)
    return value or {}


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return bool(value)


def _limit(body: Body, name: str) -> int | None:
    value = body.get(name)
    if value is not None and not _is_count(value):
        message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1."
        raise Refused(message, name, "integer_below_min_value")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _missing(param: str) -> Refused:
    message = f"Missing required parameter: '{param}'."
    return Refused(message, param, "missing_required_parameter")


def _wrong_type(param: str, expected: str, value: Any) -> Refused:
    message = (
        f"Invalid type for '{param}': expected {expected}, got {type(value).__name__} instead."
    )
    return Refused(message, param, "invalid_type")


def _wrong_value(param: str, value: Any, supported: list[str]) -> Refused:
    quoted = ", ".join(f"'{name}'" for name in supported)
    message = f"Invalid value: {value!r}. Supported values are: {quoted}."
    return Refused(message, param, "invalid_value")
