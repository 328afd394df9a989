"""A stand-in for Cloud KMS: wraps with the keys in a local file, speaking KMS's own protocol.

python -m local.kms <port> <key file>

It knows `Encrypt`, `Decrypt` and, for rotation, `CreateCryptoKeyVersion`,
which here makes the new version the primary one at once, as KMS's own
rotation does. Any key's name is taken; each has its versions in the file.

A test can have it fail, by a call to `/healthhub.dev.Faults/Set` with JSON:

    {"Decrypt": "fail", "share": 0.01}     until {};  without a share, each call

    fail     UNAVAILABLE     refuse   INVALID_ARGUMENT     busy   RESOURCE_EXHAUSTED
"""

import base64
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1

from local.faults import Faults, set_by
from local.grpc_stand_in import FAULTS

_SERVICE = "google.cloud.kms.v1.KeyManagementService"


class KeyFile:
    """`{key name: [version, …]}`; the last version is the primary one. Readable to its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}

    def versions(self, name: str) -> list[bytes]:
        if name not in self._keys:
            self.add_version(name)
        return [base64.b64decode(version) for version in self._keys[name]]

    def add_version(self, name: str) -> int:
        """Its number, from 1."""
        versions = self._keys.setdefault(name, [])
        versions.append(base64.b64encode(AESGCM.generate_key(256)).decode())
        draft = self._path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._keys))
        draft.replace(self._path)
        return len(versions)


class Kms:
    def __init__(self, keys: KeyFile) -> None:
        self._keys = keys
        self.faults = Faults()

    def set_faults(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return set_by(self.faults, request)
        except (ValueError, TypeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Not a JSON object: {error}")
            raise AssertionError("unreachable") from error

    def encrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        versions = self._keys.versions(request.name)
        nonce = os.urandom(12)
        sealed = AESGCM(versions[-1]).encrypt(
            nonce, request.plaintext, request.additional_authenticated_data
        )
        return kms_v1.EncryptResponse.pb()(
            name=f"{request.name}/cryptoKeyVersions/{len(versions)}",
            ciphertext=len(versions).to_bytes(4, "big") + nonce + sealed,
        )

    def decrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        number = int.from_bytes(request.ciphertext[:4], "big")
        versions = self._keys.versions(request.name)
        nonce, sealed = request.ciphertext[4:16], request.ciphertext[16:]
        try:
            plain = AESGCM(versions[number - 1]).decrypt(
                nonce, sealed, request.additional_authenticated_data
            )
        except (InvalidTag, IndexError, ValueError):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed")
        return kms_v1.DecryptResponse.pb()(plaintext=plain)

    def create_version(self, request: Any, context: grpc.ServicerContext) -> Any:
        number = self._keys.add_version(request.parent)
        return kms_v1.CryptoKeyVersion.pb()(name=f"{request.parent}/cryptoKeyVersions/{number}")


def serve(port: int, key_file: Path) -> grpc.Server:
    kms = Kms(KeyFile(key_file))
    methods = {
        "Encrypt": (kms.encrypt, kms_v1.EncryptRequest),
        "Decrypt": (kms.decrypt, kms_v1.DecryptRequest),
        "CreateCryptoKeyVersion": (kms.create_version, kms_v1.CreateCryptoKeyVersionRequest),
    }
    handlers = {name: _handler(kms, name, *method) for name, method in methods.items()}
    faults = {"Set": grpc.unary_unary_rpc_method_handler(kms.set_faults)}
    server = grpc.server(ThreadPoolExecutor(8))
    for service, answering in ((_SERVICE, handlers), ("healthhub.dev.Faults", faults)):
        handler = grpc.method_handlers_generic_handler(service, answering)
        server.add_generic_rpc_handlers((handler,))
    if not server.add_insecure_port(f"127.0.0.1:{port}"):
        raise OSError(f"port {port} is in use")
    server.start()
    return server


def _handler(kms: Kms, name: str, method: Any, request: Any) -> Any:
    def answer(message: Any, context: grpc.ServicerContext) -> Any:
        fault = kms.faults.meet(name)
        if fault in FAULTS:
            context.abort(*FAULTS[fault])
        return method(message, context)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request.pb().FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2])).wait_for_termination()
