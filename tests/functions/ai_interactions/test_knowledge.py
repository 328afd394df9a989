"""The knowledge base: found by meaning and by words, loaded from files, kept by administrators."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from common.knowledge import knowledge
from ops.load_knowledge import NotAnEntry, load_knowledge, read
from tests.asked import AN_ENTRY, KNOWLEDGE
from tests.client import Api, Person
from tests.functions.ai_interactions.conftest import Behave

LABELLED = Path(__file__).parents[2] / "labelled"


async def search(api: Api, person: Person, q: str, most: int = 3) -> dict[str, Any]:
    answer = await api.call(
        "GET", "/v1/ai-interactions/knowledge", person, params={"q": q, "most": most}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_right_entry_is_among_the_first_three(
    api: Api, patient: Person, figure: Any
) -> None:
    """60 questions in people's own words; the share is told by `make bench` against words alone."""
    asked = json.loads((LABELLED / "retrieval.json").read_text())
    found = 0
    for each in asked:
        items = (await search(api, patient, each["question"]))["items"]
        found += each["entry"] in {item["entry_id"] for item in items}
    assert len(asked) >= 60
    assert found / len(asked) >= 0.9


async def test_without_a_model_words_are_compared(api: Api, patient: Person, model: Behave) -> None:
    await model("fail")
    found = await search(api, patient, "gout in the big toe")
    assert not found["is_by_meaning"]
    assert found["items"][0]["entry_id"] == "gout"


async def test_what_nothing_is_about_is_said_to_be_so(api: Api, patient: Person) -> None:
    found = await search(api, patient, "xylophone quartet rehearsal")
    assert not any(item["is_about"] for item in found["items"])


async def test_an_entry_is_added_found_and_deleted(
    api: Api, admin: Person, patient: Person
) -> None:
    id = f"snorkel-{secrets.token_hex(4)}"
    created = await api.post(
        "/v1/ai-interactions/knowledge", admin, json={"entry_id": id, **AN_ENTRY}
    )
    assert created.status_code == 201
    assert created.headers["location"] == f"/v1/ai-interactions/knowledge/{id}"
    again = await api.post(
        "/v1/ai-interactions/knowledge", admin, json={"entry_id": id, **AN_ENTRY}
    )
    assert again.status_code == 409
    found = await search(api, patient, "how do I clean a snorkel after a dive", most=5)
    assert id in {item["entry_id"] for item in found["items"]}
    assert (await api.delete(f"/v1/ai-interactions/knowledge/{id}", admin)).status_code == 204
    assert (await api.delete(f"/v1/ai-interactions/knowledge/{id}", admin)).status_code == 404
    assert (await api.get(f"/v1/ai-interactions/knowledge/{id}", patient)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"entry_id": "Not an id"},
        {"text": "short"},
        {"source": {"title": "x", "url": "javascript:alert(1)"}},
        {"source": {"title": "", "url": "https://example.org/a"}},
        {"date": "yesterday"},
        {"embedding": [1.0]},
    ],
)
async def test_an_entry_without_a_source_is_none(
    api: Api, admin: Person, change: dict[str, Any]
) -> None:
    body = {"entry_id": "never", **AN_ENTRY, **change}
    assert (await api.post("/v1/ai-interactions/knowledge", admin, json=body)).status_code == 422


# ---------------------------------------------------------------- loading


def test_every_entry_that_comes_along_is_sound() -> None:
    entries = dict(read(KNOWLEDGE))
    assert len(entries) >= 80
    assert len({entry.title for entry in entries.values()}) == len(entries)
    for id, entry in entries.items():
        assert 60 <= len(entry.text.split()) <= 260, id
        assert entry.source.url.startswith("https://"), id
        assert entry.keywords, id


async def test_loading_again_changes_nothing_and_a_change_is_loaded(tmp_path: Path) -> None:
    head = "---\ntitle: {}\ntopics: [test]\nkeywords: [kazoo]\nsource: A test\nurl: https://example.org/k\ndate: 2026-11-29\n---\n"
    ids = [f"kazoo-{secrets.token_hex(4)}" for _ in range(2)]
    text = "A kazoo hums when somebody sings into it. It needs no batteries and no strings.\n"
    for id in ids:
        (tmp_path / f"{id}.md").write_text(head.format(id) + text)
    first = await load_knowledge(tmp_path)
    assert (first.stored, first.unchanged) == (2, 0)
    second = await load_knowledge(tmp_path)
    assert (second.stored, second.unchanged) == (0, 2)
    (tmp_path / f"{ids[0]}.md").write_text(head.format(ids[0]) + text.replace("hums", "buzzes"))
    third = await load_knowledge(tmp_path)
    assert (third.stored, third.unchanged) == (1, 1)
    stored = await knowledge.get(ids[0])
    assert stored is not None
    assert "buzzes" in stored.text


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Bad Name.md", "---\ntitle: x\n---\n", "the name must be an id"),
        ("a.md", "no front matter", "a.md"),
        ("a.md", "---\ntitle: [\n---\ntext", "a.md"),
        (
            "a.md",
            "---\ntitle: T\nurl: https://e.org/\ndate: 2026-01-01\n---\n" + "x " * 40,
            "source",
        ),
        (
            "a.md",
            "---\ntitle: T\nsource: S\nurl: https://e.org/a\ndate: 2026-01-01\n---\nshort",
            "text",
        ),
    ],
)
async def test_a_file_that_is_no_entry_is_named_and_nothing_is_stored(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(NotAnEntry, match=said):
        await load_knowledge(tmp_path)


async def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(NotAnEntry):
        await load_knowledge(tmp_path)
