"""Chapters of `make stress`, for a moment each; and that their judges find what is wrong."""

import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.reminders import Message
from local.platform import Platform
from tests.client import Api, Person
from tests.recorder import Recorder
from tests.stress import bodies, floods, races, settling, slow
from tests.stress.__main__ import CHAPTERS, IMAGES, _chosen
from tests.stress.scene import Scene, Told
from tests.stress.wire import Answer, Raw

PROBLEM = {"content-type": "application/problem+json"}


@pytest.fixture
def scene(platform: Platform, recorder: Recorder, api: Api, admin: Person, tmp_path: Path) -> Scene:
    """The platform of the tests; of each chapter, one round."""
    return Scene(platform, recorder, {}, api, admin, 0.5, random.Random(1), tmp_path)


@pytest.mark.parametrize("name", ["races", "floods", "bodies", "slow"])
@pytest.mark.usefixtures("within_a_window")
async def test_a_chapter_finds_every_promise_kept(scene: Scene, name: str) -> None:
    told = await CHAPTERS[name](scene)
    assert told.broken == []
    assert told.tried
    assert ("unforeseen errors", "0") in told.figures


def test_chapters_are_chosen_by_name_and_a_name_that_is_none_is_told() -> None:
    assert _chosen("") == [IMAGES, *CHAPTERS]
    assert _chosen("races,floods") == ["races", "floods"]
    with pytest.raises(SystemExit, match="there is no chapter waves"):
        _chosen("races,waves")


# ---------------------------------------------------------------- the judges


def a_told() -> Told:
    return Told("made up", "nothing")


@pytest.mark.parametrize(
    ("served", "others", "is_kept"),
    [
        ([(201, "a")], [409] * 99, True),
        ([(200, "a"), (200, "a")], [409, 503], True),
        ([(201, "a"), (200, "b")], [409], False),
        ([], [409] * 100, False),
        ([(201, "a")], [409, 500], False),
    ],
)
def test_a_race_with_two_winners_none_or_an_error_is_found(
    served: list[tuple[int, str]], others: list[int], is_kept: bool
) -> None:
    got = [httpx.Response(status, json={"appointment_id": id}) for status, id in served]
    told = a_told()
    races.judge_race([*got, *map(httpx.Response, others)], told)
    assert (not told.broken) is is_kept


def test_a_key_that_made_two_is_found() -> None:
    answers = [httpx.Response(201, json={"record_id": id}) for id in ("a", "a", "b")]
    told = a_told()
    races.judge_replays("record_id", answers[:2], told)
    assert told.broken == []
    races.judge_replays("record_id", answers, told)
    assert told.broken == ["one key made 2 times record_id"]


@pytest.mark.parametrize(
    ("passed", "stopped", "headers", "is_kept"),
    [
        (60, 540, {**PROBLEM, "retry-after": "9"}, True),
        (130, 470, {**PROBLEM, "retry-after": "9"}, False),
        (10, 590, {**PROBLEM, "retry-after": "9"}, False),
        (60, 540, PROBLEM, False),
    ],
)
def test_a_flood_that_passes_or_is_not_told_when_to_come_again_is_found(
    passed: int, stopped: int, headers: dict[str, str], is_kept: bool
) -> None:
    told = a_told()
    got = [httpx.Response(200)] * passed + [httpx.Response(429, headers=headers)] * stopped
    floods.judge_flood(got, 60, told)
    assert (not told.broken) is is_kept


def test_others_who_are_stopped_too_are_found() -> None:
    told = a_told()
    floods.judge_others([httpx.Response(200), httpx.Response(429)], told)
    assert told.broken == ["others were answered {200: 1, 429: 1} during a flood"]
    told = a_told()
    slow.judge([(200, 0.1), (0, 10.0)], told)
    assert told.broken == ["beside slow clients, others were answered {200: 1, 0: 1}"]


@pytest.mark.parametrize(("status", "is_kept"), [(413, True), (500, False), (-1, False)])
def test_a_body_that_is_answered_500_or_never_is_found(status: int, is_kept: bool) -> None:
    told = a_told()
    bodies.judge(Raw("a body", b"", (413,)), Answer(status, b"", b""), told)
    assert (not told.broken) is is_kept


def a_message(id: str, **fields: Any) -> Message:
    given: dict[str, Any] = {"next_time": None, "sent": ["email"], **fields}
    message = Message.model_construct(**given)
    message.stored_as(f"messages/{id}", "")
    return message


def test_a_message_that_is_lost_or_doubled_is_found() -> None:
    one = a_message("one")
    waiting = a_message("two", next_time="later")

    def broken(stored: list[Message], mails: list[str], *, is_killed: bool = False) -> list[str]:
        return list(settling.judge_messages(stored, mails, is_killed=is_killed).broken)

    assert broken([one], ["<one@x>"]) == []
    assert broken([one], []) == ["message one counts as sent, and no mail came"]
    assert broken([waiting], []) == ["message two still waits"]
    assert broken([one], ["<one@x>"] * 2) == ["message one came 2 times"]
    assert broken([one], ["<one@x>"] * 2, is_killed=True) == []
