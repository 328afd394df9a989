"""Which ports the platform's parts take."""

import os
import random
import socket
from dataclasses import dataclass, fields

HOST = "127.0.0.1"

_OURS = (12_000, 32_000)


@dataclass(frozen=True)
class Ports:
    gateway: int
    firestore: int
    auth: int
    storage: int
    pubsub: int
    smtp: int
    fcm: int
    kms: int
    speech: int
    openai: int
    clamd: int
    traces: int

    @classmethod
    def usual(cls) -> "Ports":
        """The documented ports, each movable by the variable that its clients read."""
        return cls(
            gateway=int(os.environ.get("HEALTHHUB_PORT", "8000")),
            firestore=_port_of("FIRESTORE_EMULATOR_HOST", 8080),
            auth=_port_of("FIREBASE_AUTH_EMULATOR_HOST", 9099),
            storage=_port_of("STORAGE_EMULATOR_HOST", 9199),
            pubsub=_port_of("PUBSUB_EMULATOR_HOST", 8085),
            smtp=_port_of("SMTP_EMULATOR_HOST", 9304),
            fcm=_port_of("FCM_EMULATOR_HOST", 9305),
            kms=_port_of("KMS_EMULATOR_HOST", 9306),
            speech=_port_of("SPEECH_EMULATOR_HOST", 9301),
            openai=_port_of("OPENAI_EMULATOR_HOST", 9303),
            clamd=_port_of("CLAMD_HOST", 9307),
            traces=_port_of("OTEL_EXPORTER_OTLP_ENDPOINT", 4318),
        )

    @classmethod
    def free(cls) -> "Ports":
        return cls(*free_ports(len(fields(cls))))


def _port_of(variable: str, usual: int) -> int:
    value = os.environ.get(variable, "").rsplit(":", 1)[-1]
    return int(value) if value.isdigit() else usual


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system gives to outgoing connections.

    One of those could be taken between the moment it is found here and the
    moment it is used.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            each = socket.socket()
            try:
                each.bind((HOST, random.randrange(*_OURS)))
            except OSError:
                each.close()
                continue
            sockets.append(each)
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


VARIABLE = {
    "gateway": "HEALTHHUB_PORT",
    "firestore": "FIRESTORE_EMULATOR_HOST=127.0.0.1:<port>",
    "auth": "FIREBASE_AUTH_EMULATOR_HOST=127.0.0.1:<port>",
    "storage": "STORAGE_EMULATOR_HOST=http://127.0.0.1:<port>",
    "pubsub": "PUBSUB_EMULATOR_HOST=127.0.0.1:<port>",
    "smtp": "SMTP_EMULATOR_HOST=127.0.0.1:<port>",
    "fcm": "FCM_EMULATOR_HOST=127.0.0.1:<port>",
    "kms": "KMS_EMULATOR_HOST=127.0.0.1:<port>",
    "speech": "SPEECH_EMULATOR_HOST=127.0.0.1:<port>",
    "openai": "OPENAI_BASE_URL=http://127.0.0.1:<port>/v1",
    "clamd": "CLAMD_HOST=127.0.0.1:<port>",
}
