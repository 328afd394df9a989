"""What must come to its end even when nobody waits for it any more, and must not hide what went before."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from common.problems import Problem

_log = logging.getLogger("healthhub.surely")
_running: set[asyncio.Task[None]] = set()
"""The event loop itself holds tasks only weakly."""


async def surely(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, also if who waits is cancelled: a client that hangs up cancels its request.

    A `Problem` is logged and not raised: what is tidied up must not take the place of an answer.
    """
    task = asyncio.create_task(_tried(work))
    _running.add(task)
    task.add_done_callback(_running.discard)
    await asyncio.shield(task)


async def _tried(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Problem as problem:
        fields = {"what": getattr(work, "__qualname__", "it"), "kind": type(problem).__name__}
        _log.warning("what had to be done at the end failed", extra={"fields": fields})
