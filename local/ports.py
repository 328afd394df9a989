"""Which ports the platform's parts take."""

import fcntl
import os
import random
import re
import socket
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

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
    vision: int
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
            vision=_port_of("VISION_EMULATOR_HOST", 9302),
            openai=_port_of("OPENAI_BASE_URL", 9303),
            clamd=_port_of("CLAMD_HOST", 9307),
            traces=_port_of("OTEL_EXPORTER_OTLP_ENDPOINT", 4318),
        )

    @classmethod
    def free(cls) -> "Ports":
        return cls(*free_ports(len(fields(cls))))


def _port_of(variable: str, usual: int) -> int:
    found = re.search(r":(\d+)(?:/|$)", os.environ.get(variable, ""))
    return int(found[1]) if found else usual


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that nobody else is given while this process runs.

    Between the moment a port is found free and the moment a server binds it,
    another platform on this machine may look too, or this one for its next
    parts: each port is therefore claimed by a lock that ends with the process.
    They lie below those that the system gives to outgoing connections.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(*_OURS)
        if _claim(port):
            ports.append(port)
    return ports


def _claim(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"healthhub-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.bind((HOST, port))
    except OSError:
        os.close(lock)
        return False
    return True  # the lock stays open for as long as this process runs


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
    "vision": "VISION_EMULATOR_HOST=127.0.0.1:<port>",
    "openai": "OPENAI_BASE_URL=http://127.0.0.1:<port>/v1",
    "clamd": "CLAMD_HOST=127.0.0.1:<port>",
    "traces": "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:<port>",
}
