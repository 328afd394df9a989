"""Topics, subscriptions and notifications: what Terraform makes in the cloud, on this machine's emulators."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from common.events import DEAD_LETTERS, MAX_DELIVERIES, topic_of
from common.storage import Bucket
from local import catalog


def topic(function: catalog.Function) -> str:
    """What the function is subscribed to."""
    if function.kind == "clock":
        return f"clock-{function.name}"
    return function.topic or topic_of(function.name)


def all_() -> list[str]:
    """Every topic that somebody is subscribed to, each once."""
    named = [topic(function) for function in catalog.read() if function.kind != "http"]
    return list(dict.fromkeys([*named, DEAD_LETTERS]))


def subscriber(of: str) -> str:
    """The function that a topic's messages go to."""
    return next((f.name for f in catalog.read() if f.kind != "http" and topic(f) == of), "")


def watching(of: str) -> str:
    """The subscription by which the page of events sees what goes through a topic."""
    return f"seen-{of}"


def watch(pubsub: str, project: str) -> None:
    """Let the page of events see every topic, as one more subscriber of each."""
    for name in all_():
        subscription = {
            "topic": f"projects/{project}/topics/{name}",
            "messageRetentionDuration": "600s",
        }
        _put(pubsub, f"projects/{project}/subscriptions/{watching(name)}", subscription)


def subscribe(pubsub: str, project: str, functions: Mapping[str, str]) -> None:
    """Have each function pushed what it is there for: five deliveries, then the dead letters.

    Without the cloud's back-off: with a retry policy, the emulator now and then
    forgets a message that failed.
    """
    _put(pubsub, f"projects/{project}/topics/{DEAD_LETTERS}", {})
    for function in catalog.read():
        if function.kind == "http":
            continue
        path = f"projects/{project}/topics/{topic(function)}"
        _put(pubsub, path, {})
        subscription: dict[str, Any] = {
            "topic": path,
            "ackDeadlineSeconds": min(max(function.timeout, 10), 600),
            "pushConfig": {"pushEndpoint": f"{functions[function.name]}/"},
        }
        if function.stored is not None:
            subscription["deadLetterPolicy"] = {
                "deadLetterTopic": f"projects/{project}/topics/{DEAD_LETTERS}",
                "maxDeliveryAttempts": MAX_DELIVERIES,
            }
        _put(pubsub, f"projects/{project}/subscriptions/{function.name}", subscription)


def make_buckets(storage: str, project: str) -> None:
    """The buckets, and what each tells of its new objects."""
    api = f"{storage}/storage/v1/b"
    for bucket in Bucket:
        name = f"{project}-{bucket.value}"
        _ask(f"{api}?project={project}", {"name": name}, "POST")
        for function in catalog.read():
            if function.stored is None or function.stored.bucket != bucket.value:
                continue
            config = {
                "topic": f"//pubsub.googleapis.com/projects/{project}/topics/{topic(function)}",
                "event_types": ["OBJECT_FINALIZE"],
                "object_name_prefix": function.stored.prefix,
                "payload_format": "JSON_API_V1",
            }
            _ask(f"{api}/{name}/notificationConfigs", config, "POST")


def fire(pubsub: str, project: str, name: str) -> None:
    """What the clock does: publish one message to the function's topic."""
    message = {"data": base64.b64encode(b"{}").decode()}
    path = f"projects/{project}/topics/clock-{name}:publish"
    _ask(f"http://{pubsub}/v1/{path}", {"messages": [message]}, "POST")


def _put(host: str, path: str, body: object) -> None:
    try:
        _ask(f"http://{host}/v1/{path}", body, "PUT")
    except urllib.error.HTTPError as error:
        if error.code != 409:  # it is there from before
            raise


def _ask(url: str, body: object, method: str) -> None:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    urllib.request.urlopen(request, timeout=10).close()
