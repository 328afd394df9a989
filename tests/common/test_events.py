"""What Pub/Sub pushes: read, taken, refused for good, or kept as a dead letter."""

import base64
import json
from typing import Any

import httpx
import pytest
from google.auth.exceptions import TransportError

from common import clients, events
from common.events import DeadLetter, dead_letters
from common.firestore import Batch, now
from common.problems import Unavailable
from local.platform import Platform
from ops.replay import NotFailed, list_dead, replay, retry_transcription

ATTRIBUTES = {
    "eventType": "OBJECT_FINALIZE",
    "bucketId": "demo-healthhub-uploads",
    "objectId": "audio/nobody/nothing",
    "objectGeneration": "5",
}


def push(attributes: dict[str, str], data: bytes = b"", **more: Any) -> dict[str, Any]:
    message = {
        "messageId": "7",
        "attributes": attributes,
        "data": base64.b64encode(data).decode(),
    }
    return {"message": message, "subscription": "projects/p/subscriptions/transcribe_audio", **more}


async def deliver(platform: Platform, function: str, body: Any) -> int:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient() as http:
        url = platform.functions[function] + "/"
        return (await http.post(url, content=content, headers=headers)).status_code


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        {"message": None},
        {"message": {"attributes": ATTRIBUTES, "data": "!"}},
        push({}),
        push({**ATTRIBUTES, "eventType": "OBJECT_DELETE"}),
        push({**ATTRIBUTES, "objectGeneration": "new"}),
        push({k: v for k, v in ATTRIBUTES.items() if k != "objectId"}),
    ],
)
async def test_a_push_that_says_nothing_is_delivered_again(platform: Platform, body: Any) -> None:
    assert await deliver(platform, "transcribe_audio", body) == 500


@pytest.mark.parametrize(
    "name",
    ["", "audio", "audio/x", "audio//x", "other/a/b", "../audio/a/b", "audio/nobody/nothing"],
)
async def test_an_object_that_belongs_to_nothing_is_refused_for_good(
    platform: Platform, name: str
) -> None:
    assert (
        await deliver(platform, "transcribe_audio", push({**ATTRIBUTES, "objectId": name})) == 204
    )


async def test_a_dead_letter_keeps_what_it_was_and_why(platform: Platform) -> None:
    poison = {**ATTRIBUTES, "objectGeneration": "poison of this test"}
    assert await deliver(platform, "transcribe_audio", push(poison, b"data")) == 500
    assert await deliver(platform, "transcribe_audio", push(poison, b"data")) == 500
    added = {
        "CloudPubSubDeadLetterSourceSubscription": "transcribe_audio",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }
    body = push({**poison, **added}, b"data")
    body["subscription"] = "projects/p/subscriptions/keep_dead_letters"
    assert await deliver(platform, "keep_dead_letters", body) == 204
    found = [letter for letter in await list_dead() if letter.attributes == poison]
    (letter,) = found
    assert (letter.function, letter.reason, letter.attempts) == (
        "transcribe_audio",
        "Unreadable",
        2,
    )
    assert letter.data == b"data"
    assert await replay(letter.id, "another_function") == 0
    assert await replay(letter.id, "transcribe_audio") == 1
    again = await dead_letters.get(letter.id)
    assert again is not None
    assert again.replay_time is not None


async def test_a_clock_that_was_given_up_is_only_forgotten(platform: Platform) -> None:
    given_up = {
        "CloudPubSubDeadLetterSourceSubscription": "purge_expired",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    }
    assert await deliver(platform, "keep_dead_letters", push(given_up, b"{}")) == 204
    (letter,) = [letter for letter in await list_dead() if letter.function == "purge_expired"]
    assert await replay(letter.id, None) == 1
    assert await dead_letters.get(letter.id) is None


async def test_a_message_that_failed_and_is_taken_is_forgotten(platform: Platform) -> None:
    gone = {**ATTRIBUTES, "objectId": "audio/nobody/forgotten"}
    letter = DeadLetter(
        create_time=now(),
        update_time=now(),
        function="transcribe_audio",
        attributes=gone,
        data=b"",
        is_dead=True,
    )
    read = events._name_of(events.Push("transcribe_audio", "7", gone, b"", 2), "transcribe_audio")
    batch = Batch()
    batch.create(dead_letters.path(read), letter)
    await batch.commit()
    # Refused for good is taken too: there is nothing left to try.
    status = await deliver(platform, "transcribe_audio", push(gone, deliveryAttempt=2))
    assert status == 204
    assert await dead_letters.get(read) is None


async def test_only_what_failed_is_begun_anew(platform: Platform) -> None:
    with pytest.raises(NotFailed):
        await retry_transcription("nothing-of-this-name")


async def test_a_token_that_nobody_issues_is_a_service_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unreachable:
        """Credentials of a machine whose metadata server does not answer."""

        valid = False

        def refresh(self, request: Any) -> None:
            raise TransportError("metadata server")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(clients, "credentials_for", lambda scope: Unreachable())
    monkeypatch.setattr(events, "_token", lambda: clients.access_token("scope"))
    with pytest.raises(Unavailable):
        await events.publish("event-nothing", {})
