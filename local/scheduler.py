"""What Cloud Scheduler and Pub/Sub are to the clock functions, on this machine.

python -m local.scheduler     fires each at its time (unix-cron, UTC), for `make dev`
"""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime

from cronsim import CronSim

from local import catalog


def topic(name: str) -> str:
    return f"clock-{name}"


def subscribe(pubsub: str, project: str, functions: Mapping[str, str]) -> None:
    """Make a topic for each clock function and have it pushed to the function's address."""
    for function in catalog.read():
        if function.kind != "clock":
            continue
        path = f"projects/{project}/topics/{topic(function.name)}"
        _put(pubsub, path, {})
        subscription = {
            "topic": path,
            "ackDeadlineSeconds": min(function.timeout, 600),
            "pushConfig": {"pushEndpoint": f"{functions[function.name]}/"},
        }
        _put(pubsub, f"projects/{project}/subscriptions/{function.name}", subscription)


def fire(pubsub: str, project: str, name: str) -> None:
    """What the clock does: publish one message to the function's topic."""
    message = {"data": base64.b64encode(b"{}").decode()}
    path = f"projects/{project}/topics/{topic(name)}:publish"
    _ask(pubsub, path, {"messages": [message]}, "POST")


def run(pubsub: str, project: str) -> None:
    """Fire every clock function when its schedule says so, for ever."""
    begun = datetime.now(UTC)
    due = {f.name: CronSim(f.schedule, begun) for f in catalog.read() if f.schedule}
    upcoming = {name: next(times) for name, times in due.items()}
    while upcoming:
        name, moment = min(upcoming.items(), key=lambda pair: pair[1])
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
            time.sleep(min(left, 30))
        fire(pubsub, project, name)
        upcoming[name] = next(due[name])


def _put(host: str, path: str, body: object) -> None:
    try:
        _ask(host, path, body, "PUT")
    except urllib.error.HTTPError as error:
        if error.code != 409:  # it is there from before
            raise


def _ask(host: str, path: str, body: object, method: str) -> None:
    request = urllib.request.Request(
        f"http://{host}/v1/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    run(os.environ["PUBSUB_EMULATOR_HOST"], os.environ["GOOGLE_CLOUD_PROJECT"])
