"""What stand-ins of Google's gRPC services share: how they fail when told to, and how they are served."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from local.ports import HOST

FAULTS = {
    "fail": (grpc.StatusCode.UNAVAILABLE, "The service is currently unavailable."),
    "refuse": (grpc.StatusCode.INVALID_ARGUMENT, "Request contains an invalid argument."),
    "busy": (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded."),
}
"""By the mode that a test asks for: what Google's services answer."""


def start(
    services: Mapping[str, Mapping[str, Any]], port: int, *, threads: int, most_bytes: int
) -> grpc.Server:
    """Serve methods by service and name. Raises `OSError` if somebody has the port."""
    options = [("grpc.max_receive_message_length", most_bytes), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    for service, methods in services.items():
        handler = grpc.method_handlers_generic_handler(service, methods)
        server.add_generic_rpc_handlers((handler,))
    try:
        bound = server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError:  # how gRPC's newer versions say it
        bound = 0
    if not bound:
        raise OSError(f"port {port} is in use")
    server.start()
    return server
