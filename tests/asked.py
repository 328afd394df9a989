"""Conversations, and entries of the knowledge base, for tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from common.assistant import Exchange, ExchangePrivate, Thread, exchanges, own_vault, threads
from common.firestore import Batch, Vector, id_by_time, now
from common.knowledge import EmbeddedEntry, KnowledgeWritten, digest_of, stems_of
from common.settings import settings
from local.bootstrap import ROOT
from local.platform import Platform
from local.ports import HOST
from ops.load_knowledge import load_knowledge
from tests.client import Api, Person

KNOWLEDGE = ROOT / "ops" / "knowledge"
"""What comes along."""
AN_ENTRY: dict[str, Any] = {
    "title": "Snorkels",
    "text": "A snorkel is a tube for breathing under water. Rinse a snorkel with clean water after each dive.",
    "source": {"title": "A test", "url": "https://example.org/snorkels"},
    "date": "2026-11-29",
}


async def load(folder: Path = KNOWLEDGE) -> None:
    """Once for all tests of a run: what is there already is left alone."""
    await load_knowledge(folder)


async def an_entry(id: str, **fields: Any) -> str:
    """An entry as if its meaning had been found; whoever it is near to. Returns its id."""
    written = KnowledgeWritten.model_validate({**AN_ENTRY, **fields})
    moment = now()
    size = settings().embedding_dimensions
    entry = EmbeddedEntry(
        create_time=moment,
        update_time=moment,
        stems=stems_of(written),
        model="test",
        digest=digest_of(written, "test"),
        embedding=Vector((1.0, *([0.0] * (size - 1)))),
        **dict(written),
    )
    batch = Batch()
    batch.put(f"knowledge/{id}", entry)
    await batch.commit()
    return id


async def a_conversation(person: Person, question: str = "Is a cough in spring dangerous?") -> str:
    """One that was had. Returns its id."""
    vault = await own_vault(person.uid)
    moment = now()
    id = id_by_time(moment)
    path = threads.path(person.uid, id)
    thread = Thread(
        create_time=moment,
        update_time=moment,
        exchange_count=1,
        sealed={"title": vault.seal(path, "title", question)},
    )
    at = exchanges.path(person.uid, id_by_time(moment))
    private = ExchangePrivate(question=question, answer="Mostly not. [1]")
    exchange = Exchange(
        create_time=moment,
        update_time=moment,
        conversation_id=id,
        is_model_used=False,
        sealed=vault.seal_all(at, private),
    )
    batch = Batch()
    batch.create(path, thread)
    batch.create(at, exchange)
    await batch.commit()
    return id


async def chat(api: Api, person: Person, message: str, **fields: Any) -> dict[str, Any]:
    """The answer to a message."""
    body = {"message": message, **fields}
    answer = await api.post("/v1/ai-interactions/chat", person, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def consent(api: Api, patient: Person, *, is_given: bool = True) -> None:
    path = f"/v1/ai-interactions/consent/{patient.uid}"
    answer = await api.put(path, patient, json={"is_given": is_given})
    assert answer.status_code == 200, answer.text


async def prompts_received(platform: Platform) -> list[Mapping[str, Any]]:
    """What the stand-in of the model was sent, newest first."""
    async with httpx.AsyncClient() as http:
        url = f"http://{HOST}:{platform.ports.openai}/dev/prompts"
        return list((await http.get(url)).json()["items"])
