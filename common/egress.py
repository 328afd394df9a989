"""The one way to a language model: identifiers out, a line in the ledger, the day's budget, then the question.

If anything that identifies the patient is left, or the ledger can't be
written, nothing is sent. Conversations and records are handed over as data,
as JSON beside the instructions, never as part of them.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from common import audit, telemetry
from common.auth import Principal
from common.budget import Cost, Meter
from common.clients import openai_client
from common.clinical import Patient, PatientPrivate
from common.crypto import Vault
from common.firestore import Batch, Collection, Vector, id_by_time, now
from common.models import Record
from common.outside import Failed, Outside, Refused, until
from common.problems import RedactionIncomplete, Unavailable
from common.redaction import Identifier, Kind, NotRedacted, Redactor
from common.settings import settings
from common.surely import surely
from common.telemetry import Metric

M = TypeVar("M", bound=BaseModel)

_DEADLINE = 90.0
_MOST_TOKENS = 8_000

_NOT_TAKEN = frozenset({"default", "title", "description", "maxLength", "minLength", "maxItems"})
"""Words of JSON Schema that structured output does not know; the answer is validated by us."""

_openai = Outside("openai", deadline=_DEADLINE, attempts=2)


class Prompt(Record):
    """`patients/{patient_id}/prompts/{id}`: what left for a model, as it left."""

    actor_uid: str
    """Empty: the platform itself."""
    purpose: str
    model: str
    replaced: dict[str, int]
    """Identifiers that were taken out, by kind."""
    outcome: str = "sent"
    """`sent`, `answered`, `failed` or `refused`."""
    input_tokens: int = 0
    output_tokens: int = 0
    answer_time: datetime | None = None
    sealed: dict[str, bytes]
    """`instructions` and `data`, redacted; the hash of an image that went with them."""

    def took(self, answer: Any) -> None:
        """Count what an answer, or a refusal, says that it took."""
        usage = getattr(answer, "usage", None)
        self.input_tokens += int(getattr(usage, "input_tokens", 0) or 0)
        self.output_tokens += int(getattr(usage, "output_tokens", 0) or 0)

    @property
    def cost(self) -> Cost:
        """What it took, as far as it is known."""
        return Cost.of(self.model, self.input_tokens, self.output_tokens)


prompts = Collection(Prompt, "patients/{}/prompts")


class _Sent(BaseModel):
    instructions: str
    data: str
    image_sha256: str | None = None


def known_of(
    patient: Patient, private: PatientPrivate, others: Sequence[str] = ()
) -> list[Identifier]:
    """What the record knows that identifies the patient; and the names of others."""
    found = [Identifier(Kind.PERSON, name) for name in (patient.name, *others) if name]
    found.append(Identifier(Kind.DATE, patient.birth_date.isoformat()))
    contacts = private.contacts
    found += [Identifier(Kind.PHONE, contacts.phone)] if contacts.phone else []
    found += [Identifier(Kind.EMAIL, contacts.email)] if contacts.email else []
    if private.address is not None:
        address = private.address
        parts = (*address.lines, address.postal_code or "", address.city)
        found += [Identifier(Kind.ADDRESS, part) for part in parts if part]
    found += [Identifier(Kind.ID, private.national_id)] if private.national_id else []
    found += [Identifier(Kind.ID, each.member_id) for each in private.insurance]
    for contact in private.emergency_contacts:
        found += [Identifier(Kind.PERSON, contact.name), Identifier(Kind.PHONE, contact.phone)]
    return found


async def ask(
    caller: Principal | None,
    purpose: str,
    vault: Vault,
    redactor: Redactor,
    instructions: str,
    data: Mapping[str, Any],
    name: str,
    answer: type[M],
    *,
    model: str | None = None,
    image: bytes | None = None,
    meter: Meter | None = None,
) -> M:
    """What the model answers, as `answer`; tokens in it stand for what was taken out.

    `image` is a PNG without identifiers; the ledger keeps its hash. Without a caller the platform itself asks.

    Raises `RedactionIncomplete` and `BudgetSpent`, and then nothing was sent; `Unavailable`.
    """
    text = await asyncio.to_thread(_plain, data, redactor, purpose)
    sent = _Sent(instructions=instructions, data=text, image_sha256=_sha256(image))
    prompt = _line(caller, purpose, vault, redactor, sent, model or settings().note_model)
    async with _accounted(caller, prompt, meter, instructions + text, _MOST_TOKENS):
        try:
            found = await _openai.call(lambda: _answer(prompt, sent, image, name, answer))
        except Refused:
            prompt.outcome = "refused"
            raise Unavailable(
                "The language model does not answer this. Nothing was changed."
            ) from None
        except Failed:
            raise Unavailable("The language model does not answer. Nothing was changed.") from None
        prompt.outcome = "answered"
        return found


@asynccontextmanager
async def _accounted(
    caller: Principal | None, prompt: Prompt, meter: Meter | None, sent: str, most_tokens: int
) -> AsyncIterator[None]:
    """Take the money, write the ledger's line, and after the question settle both.

    What was answered costs what it took; what was not, what was sent, unless it is known.
    Both are settled whatever fails, also when nobody waits for the answer any more.

    Raises `BudgetSpent`, and then nothing may be sent; `Unavailable`, `Busy`.
    """
    estimate = Cost.at_most(prompt.model, sent, most_tokens)
    reserved = await meter.reserve(estimate) if meter is not None else None
    try:
        await _note(caller, prompt)
    except BaseException:
        if meter is not None and reserved is not None:
            await surely(meter.settle(reserved, Cost(0, 0)))
        raise
    prompt.outcome = "failed"
    try:
        yield
    finally:
        used = prompt.cost if prompt.cost.tokens else Cost.at_most(prompt.model, sent, 0)
        await surely(_settle(prompt))
        if meter is not None and reserved is not None:
            await surely(meter.settle(reserved, used))


class PublicText(str):
    """A text that is about nobody, such as an entry of the knowledge base: it leaves as it is."""


def _plain(data: Mapping[str, Any], redactor: Redactor, purpose: str) -> str:
    """The data as it may leave. Raises `RedactionIncomplete`."""
    try:
        redacted = _redacted(data, redactor)
        text = json.dumps(redacted, ensure_ascii=False)
        redactor.check(json.dumps(_without_public(redacted), ensure_ascii=False))
    except NotRedacted:
        telemetry.count(Metric.PROMPTS_REFUSED, purpose=purpose)
        raise RedactionIncomplete from None
    return text


async def _note(caller: Principal | None, prompt: Prompt) -> None:
    batch = Batch()
    batch.create(prompt.path, prompt)
    subject = prompt.path.split("/")[1]
    audit.add(
        batch, audit.event(caller, "prompts.send", prompt.path, subject, detail=prompt.purpose)
    )
    await batch.commit()


async def stream(
    caller: Principal,
    purpose: str,
    vault: Vault,
    redactor: Redactor,
    instructions: str,
    data: Mapping[str, Any],
    *,
    model: str,
    meter: Meter,
    most_tokens: int = 1_200,
) -> AsyncGenerator[str, None]:
    """What the model writes, piece by piece; tokens in it stand for what was taken out.

    Raises as `ask` does, `Unavailable` also after some pieces.
    """
    text = await asyncio.to_thread(_plain, data, redactor, purpose)
    sent = _Sent(instructions=instructions, data=text)
    prompt = _line(caller, purpose, vault, redactor, sent, model)
    async with _accounted(caller, prompt, meter, instructions + text, most_tokens):
        try:
            opened = await _openai.call(
                lambda: _responded(
                    prompt, most_tokens, instructions=instructions, input=text, stream=True
                )
            )
            ends = asyncio.get_running_loop().time() + _DEADLINE
            async with opened:
                async for event in until(ends, aiter(opened)):
                    if event.type == "response.output_text.delta":
                        yield str(event.delta)
                    elif event.type in ("response.completed", "response.incomplete"):
                        prompt.outcome = "answered"
                        prompt.took(event.response)
                    elif event.type.startswith("response.refusal"):
                        prompt.outcome = "refused"
                        raise Refused("the model refused")
            if prompt.outcome != "answered":
                raise Failed("cut short")
        except (Failed, Refused, TimeoutError):
            raise Unavailable("The language model does not answer.") from None
        except Exception as error:
            if not _is_models(error):
                raise
            raise Unavailable("The language model does not answer.") from error


async def _responded(prompt: Prompt, most_tokens: int, **wish: Any) -> Any:
    """The model's response, or its stream; nothing of it is kept there."""
    import openai

    try:
        return await openai_client().responses.create(
            model=prompt.model,
            max_output_tokens=most_tokens,
            store=False,
            timeout=_DEADLINE / 2,
            **wish,
        )
    except (openai.BadRequestError, openai.NotFoundError) as error:
        raise Refused(type(error).__name__) from error
    except openai.APIError as error:
        raise Failed(type(error).__name__) from error


def _is_models(error: Exception) -> bool:
    """Whether the model, or the way to it, is to blame: what it sends may be cut off anywhere, or be no event at all."""
    import httpx
    import openai

    return isinstance(
        error, openai.APIError | httpx.HTTPError | ValueError | AttributeError | TypeError
    )


async def embed_question(
    caller: Principal, vault: Vault, redactor: Redactor, question: str, meter: Meter
) -> Vector:
    """What a person's question means, for a search; its identifiers are taken out first.

    Raises as `ask` does.
    """
    text = await asyncio.to_thread(_plain, {"question": question}, redactor, "search")
    model = settings().embedding_model
    prompt = _line(caller, "search", vault, redactor, _Sent(instructions="", data=text), model)
    async with _accounted(caller, prompt, meter, text, 0):
        (vector,) = await embed([json.loads(text)["question"]], prompt)
        prompt.outcome = "answered"
    return vector


async def embed(texts: Sequence[str], prompt: Prompt | None = None) -> list[Vector]:
    """What texts mean that are about nobody: entries of the knowledge base. What it took is counted in `prompt`.

    Raises `Unavailable`.
    """
    try:
        return await _openai.call(lambda: _embedded(texts, prompt))
    except (Failed, Refused):
        raise Unavailable("The language model does not answer.") from None


async def _embedded(texts: Sequence[str], prompt: Prompt | None) -> list[Vector]:
    import openai

    size = settings().embedding_dimensions
    try:
        found = await openai_client().embeddings.create(
            model=settings().embedding_model,
            input=list(texts),
            dimensions=size,
            encoding_format="float",
            timeout=_DEADLINE / 2,
        )
        if prompt is not None:
            prompt.input_tokens += int(getattr(found.usage, "total_tokens", 0) or 0)
        vectors = [Vector(tuple(map(float, each.embedding))) for each in found.data]
    except (openai.BadRequestError, openai.NotFoundError) as error:
        raise Refused(type(error).__name__) from error
    except (openai.APIError, AttributeError, TypeError, ValueError) as error:
        raise Failed(type(error).__name__) from error
    if len(vectors) != len(texts) or any(len(each.values) != size for each in vectors):
        raise Failed("not what was asked for")
    return vectors


def _without_public(value: Any) -> Any:
    if isinstance(value, PublicText):
        return ""
    if isinstance(value, Mapping):
        return {key: _without_public(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_public(each) for each in value]
    return value


def _redacted(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, PublicText):
        return value
    if isinstance(value, str):
        return redactor.redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(each, redactor) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each, redactor) for each in value]
    return value


def _sha256(image: bytes | None) -> str | None:
    return None if image is None else hashlib.sha256(image).hexdigest()


def _line(
    caller: Principal | None,
    purpose: str,
    vault: Vault,
    redactor: Redactor,
    sent: _Sent,
    model: str,
) -> Prompt:
    moment = now()
    path = prompts.path(vault.patient_id, id_by_time(moment))
    prompt = Prompt(
        create_time=moment,
        update_time=moment,
        actor_uid=caller.uid if caller else "",
        purpose=purpose,
        model=model,
        replaced=redactor.counts,
        sealed=vault.seal_all(path, sent),
    )
    prompt.stored_as(path, "")
    return prompt


async def _answer(
    prompt: Prompt, sent: _Sent, image: bytes | None, name: str, answer: type[M]
) -> M:
    schema = {"type": "json_schema", "name": name, "strict": True, "schema": strict(answer)}
    found = await _responded(
        prompt,
        _MOST_TOKENS,
        instructions=sent.instructions,
        input=_input(sent.data, image),
        text={"format": schema},
    )
    prompt.took(found)
    return _parsed(found, answer)


def _input(text: str, image: bytes | None) -> Any:
    if image is None:
        return text
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    parts = [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": url}]
    return [{"role": "user", "content": parts}]


def _parsed(found: Any, answer: type[M]) -> M:
    """Raises `Refused` for a refusal, `Failed` for what does not satisfy the schema."""
    contents = [
        content
        for item in getattr(found, "output", None) or []
        for content in getattr(item, "content", None) or []
    ]
    if any(getattr(content, "type", "") == "refusal" for content in contents):
        raise Refused("the model refused")
    if getattr(found, "status", "") != "completed":
        raise Failed("cut short")
    try:
        return answer.model_validate_json(found.output_text)
    except (ValidationError, AttributeError, TypeError) as error:
        raise Failed("not what was asked for") from error


async def _settle(prompt: Prompt) -> None:
    batch = Batch()
    moment = now()
    fields = {
        "outcome": prompt.outcome,
        "input_tokens": prompt.input_tokens,
        "output_tokens": prompt.output_tokens,
        "answer_time": moment,
        "update_time": moment,
    }
    batch.update(prompt.path, fields)
    await batch.commit()


def strict(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema as structured output takes it: every field required, no other allowed."""

    def closed(schema: Any) -> Any:
        if isinstance(schema, list):
            return [closed(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        kept: dict[str, Any] = {}
        for key, each in schema.items():
            if key in ("properties", "$defs"):
                kept[key] = {name: closed(one) for name, one in each.items()}
            elif key not in _NOT_TAKEN:
                kept[key] = closed(each)
        if schema.get("type") == "object":
            kept |= {"additionalProperties": False, "required": list(schema.get("properties", {}))}
        return kept

    return dict(closed(model.model_json_schema()))
