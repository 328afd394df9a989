"""What reaches a function that nobody calls: so far, a clock's message that it is time."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

Receiver = Callable[[Request], Awaitable[Response]]


def when_fired(work: Callable[[], Awaitable[None]]) -> Receiver:
    """Answers a Pub/Sub push by doing the work; its content does not matter.

    The message is acknowledged when the work has ended. Whatever it raises
    becomes an error's status, and Pub/Sub delivers again, later each time.
    """

    async def receive(request: Request) -> Response:
        await work()
        return Response(status_code=204)

    return receive
