"""The use cases of what is kept: conversations to read again or forget, what left for models, who agreed to what."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from common import access, audit
from common.assistant import (
    CONSENT,
    Consent,
    Exchange,
    ExchangePrivate,
    Thread,
    consents,
    own_vault,
)
from common.auth import Principal
from common.crypto import Vault, vault_of
from common.egress import Prompt
from common.pages import PageQuery
from common.patients import current, patients
from common.preconditions import applied
from common.problems import Forbidden, LegalHold, NotFound

from .. import policy
from . import repository
from .schemas import ConsentPublic, ConversationPublic, ExchangePublic, PromptPublic


async def list_conversations(
    caller: Principal, user_id: str, page: PageQuery
) -> tuple[list[ConversationPublic], str | None]:
    """Raises `NotFound`. An administrator learns how many there are, not what was said."""
    resource = f"conversations/{user_id}/threads"
    await _may_read(caller, user_id, "conversations.list", resource)
    event = audit.event(caller, "conversations.list", resource, user_id)
    found, token = await audit.reading(event, repository.list_threads(user_id, page))
    vault = None
    if found and policy.can_read_words(caller, user_id):
        vault = await own_vault(user_id)
    return [
        ConversationPublic(
            conversation_id=each.id,
            title=vault.open(each.path, "title", each.sealed["title"]) if vault else None,
            exchange_count=each.exchange_count,
            urgency=each.urgency,
            create_time=each.create_time,
            update_time=each.update_time,
        )
        for each in found
    ], token


async def list_exchanges(
    caller: Principal, user_id: str, conversation_id: str, page: PageQuery
) -> tuple[list[ExchangePublic], str | None]:
    """Newest first. Raises `NotFound`; `Forbidden` for administrators."""
    resource = f"conversations/{user_id}/threads/{conversation_id}"
    await _may_read(caller, user_id, "conversations.read", resource)
    if not policy.can_read_words(caller, user_id):
        raise await audit.refuse(caller, "conversations.read", resource, user_id, Forbidden())
    if await repository.thread(user_id, conversation_id) is None:
        raise NotFound
    event = audit.event(caller, "conversations.read", resource, user_id)
    listed = repository.list_exchanges(user_id, conversation_id, page)
    found, token = await audit.reading(event, listed)
    vaults = await _vaults_of(caller, user_id, found, resource)
    return [
        _shown(each, vault)
        for each in found
        if (vault := vaults.get(each.patient_id or user_id)) is not None
    ], token


async def _vaults_of(
    caller: Principal, user_id: str, found: Sequence[Exchange], resource: str
) -> dict[str, Vault]:
    """By patient, each told that this is read; of who was erased there is none."""
    vaults: dict[str, Vault] = {}
    for patient_id in {each.patient_id or user_id for each in found}:
        if patient_id == user_id:
            vaults[user_id] = await own_vault(user_id)
            continue
        with suppress(NotFound):
            vaults[patient_id] = await vault_of(patient_id)
            await audit.record(audit.event(caller, "conversations.read", resource, patient_id))
    return vaults


def _shown(exchange: Exchange, vault: Vault) -> ExchangePublic:
    private = vault.open_all(exchange.path, exchange.sealed, ExchangePrivate)
    return ExchangePublic(
        exchange_id=exchange.id,
        conversation_id=exchange.conversation_id,
        urgency=exchange.urgency,
        is_model_used=exchange.is_model_used,
        model=exchange.model,
        create_time=exchange.create_time,
        **dict(private),
    )


async def forget(caller: Principal, user_id: str, conversation_id: str | None = None) -> None:
    """Delete one conversation, or all of a person's; again is no harm.

    What is to be deleted is on record before anything goes; the threads go last, so that it can be done again.
    Raises `NotFound`; `LegalHold` while the person, or whose record was used, is under one.
    """
    resource = f"conversations/{user_id}/threads/{conversation_id or '*'}"
    await _may_read(caller, user_id, "conversations.delete", resource)
    await audit.record(audit.event(caller, "conversations.delete", resource, user_id))

    async def change() -> bool:
        found: Sequence[Exchange | Thread]
        found = await repository.some_exchanges(user_id, conversation_id)
        found = found or await repository.some_threads(user_id, conversation_id)
        whose = {user_id} | {each.patient_id for each in found if isinstance(each, Exchange)}
        asked = await asyncio.gather(*(patients.get(each) for each in whose if each is not None))
        existing = [each for each in asked if each is not None]
        if any(each.has_legal_hold for each in existing):
            raise LegalHold
        if found:
            await repository.delete(found, existing)
        return bool(found)

    while await applied(change):
        pass


async def _may_read(caller: Principal, user_id: str, action: str, resource: str) -> None:
    if not policy.can_read_history(caller, user_id):
        raise await audit.refuse(caller, action, resource, user_id, NotFound())


# ---------------------------------------------------------------- what left, and consent


async def list_prompts(
    caller: Principal, user_id: str, page: PageQuery
) -> tuple[list[PromptPublic], str | None]:
    """Raises `NotFound`. The words are for whom they are about."""
    resource = f"patients/{user_id}/prompts"
    await _may_read(caller, user_id, "prompts.list", resource)
    event = audit.event(caller, "prompts.list", resource, user_id)
    found, token = await audit.reading(event, repository.list_prompts(user_id, page))
    vault = None
    if found and policy.can_read_words(caller, user_id):
        vault = await vault_of(user_id)
    return [_prompt(each, vault) for each in found], token


def _prompt(prompt: Prompt, vault: Vault | None) -> PromptPublic:
    def word(name: str) -> str | None:
        return vault.open(prompt.path, name, prompt.sealed[name]) if vault else None

    return PromptPublic(
        prompt_id=prompt.id,
        purpose=prompt.purpose,
        model=prompt.model,
        outcome=prompt.outcome,
        replaced=prompt.replaced,
        input_tokens=prompt.input_tokens,
        output_tokens=prompt.output_tokens,
        instructions=word("instructions"),
        data=word("data"),
        create_time=prompt.create_time,
    )


async def get_consent(caller: Principal, patient_id: str) -> ConsentPublic:
    """Raises `NotFound`."""
    path = consents.path(patient_id, CONSENT)
    ground = await access.ground(caller, patient_id, "consents.read", path)
    event = audit.event(caller, "consents.read", path, patient_id, reason=ground)
    found = await audit.reading(event, repository.consent(patient_id))
    return ConsentPublic(
        patient_id=patient_id,
        is_given=found is not None and found.is_given,
        update_time=found.update_time if found else None,
    )


async def set_consent(caller: Principal, patient_id: str, *, is_given: bool) -> ConsentPublic:
    """Raises `NotFound`, `Forbidden`."""
    path = consents.path(patient_id, CONSENT)
    await access.ground(caller, patient_id, "consents.change", path)
    if not policy.can_change_consent(caller, patient_id):
        raise await audit.refuse(caller, "consents.change", path, patient_id, Forbidden())

    async def change() -> Consent:
        patient = await current(patient_id)
        return await repository.put_consent(caller, patient, is_given=is_given)

    stored = await applied(change)
    return ConsentPublic(
        patient_id=patient_id, is_given=stored.is_given, update_time=stored.update_time
    )
