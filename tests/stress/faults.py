"""One call in a hundred of every outside service fails, while people work: nothing is lost or doubled, no 500."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc

from tests.faults import tell
from tests.recorder import Fault
from tests.stress.disturbed import a_day
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen, is_over_within

SHARE = 0.01

_STAND_INS: dict[str, dict[str, Any]] = {
    "kms": {"Encrypt": "fail", "Decrypt": "fail"},
    "storage": {"json": "fail", "signed": "fail"},
    "speech": {"BatchRecognize": "fail", "GetOperation": "fail", "Recognize": "fail"},
    "vision": {"BatchAnnotateImages": "fail"},
    "model": {"mode": "fail"},
    "outbox": {"smtp": "fail", "fcm": "fail"},
    "clamd": {"mode": "down"},
}
_DATABASE = (
    ("GetDocument", grpc.StatusCode.UNAVAILABLE, False),
    ("RunQuery", grpc.StatusCode.UNAVAILABLE, False),
    ("BatchGetDocuments", grpc.StatusCode.UNAVAILABLE, False),
    ("Commit", grpc.StatusCode.ABORTED, False),
    ("Commit", grpc.StatusCode.UNAVAILABLE, True),
    ("Commit", grpc.StatusCode.DEADLINE_EXCEEDED, False),
)


async def tried(scene: Scene, share: float = SHARE) -> Told:
    services = [*_STAND_INS, *scene.between, "firestore"]
    told = Told(
        "Faults",
        f"{share:.0%} of the calls of {len(services)} services fail: {', '.join(services)}",
    )
    before = scene.unforeseen()
    with ExitStack() as stack:
        faults: list[Fault] = []

        async def disturb(is_over: asyncio.Event) -> None:
            faults.extend(stack.enter_context(_database(scene, share)))
            for service, wanted in _STAND_INS.items():
                await tell(scene.platform, service, {**wanted, "share": share})
            for between in scene.between.values():
                between.fail(share)
            while not await is_over_within(is_over, 3):  # as it does each minute
                scene.platform.fire("send_reminders")

        async def undo() -> None:
            stack.close()
            for service in _STAND_INS:
                await tell(scene.platform, service, {})
            for between in scene.between.values():
                between.fail(0)

        await a_day(scene, told, disturb, undo=undo)
    told.add("calls of the database that failed", sum(fault.hits for fault in faults))
    for name, between in scene.between.items():
        told.add(f"calls of {name} that failed", between.hits)
    expect_nothing_unforeseen(scene, before, told)
    return told


@contextmanager
def _database(scene: Scene, share: float) -> Iterator[list[Fault]]:
    """Some fail before they take effect, some after; each method's together make the share."""
    by_method: dict[str, int] = {}
    for method, _, _ in _DATABASE:
        by_method[method] = by_method.get(method, 0) + 1
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                scene.recorder.broken(method, code, _sometimes(share / by_method[method]), is_after)
            )
            for method, code, is_after in _DATABASE
        ]


def _sometimes(share: float) -> Callable[[Any], bool]:
    return lambda request: random.random() < share
