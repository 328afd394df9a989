"""What every measurement works on: a running platform, a listed doctor, a caller with a token."""

import base64
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.cloud.firestore_v1.types import document as document_types
from google.cloud.firestore_v1.types import firestore as firestore_types

from local import tools
from local.platform import PROJECT, Platform, running
from local.ports import HOST, Ports
from tests.bench.issuer import Issuer, issuing
from tests.client import Api, a_listed_doctor, a_patient, make_admin


@dataclass(frozen=True)
class World:
    platform: Platform
    issuer: Issuer
    caller_uid: str
    doctor_id: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(self.caller_uid)}"}

    @property
    def certificates(self) -> dict[str, str]:
        return {"TOKEN_CERTIFICATES_URL": self.issuer.url}

    def read_paths(self) -> dict[str, str]:
        """Of each function that has one: a path whose answer takes a read."""
        return {
            "users": "/users/me",
            "doctors": f"/doctors/{self.doctor_id}",
            "patients": f"/patients/{self.caller_uid}",
            "appointments": "/appointments",
            "transcriptions": "/transcriptions",
            "medical_images": "/medical-images",
            "ai_interactions": f"/ai-interactions/history/{self.caller_uid}",
        }


@asynccontextmanager
async def a_world(run_dir: Path) -> AsyncIterator[World]:
    env = {"REQUESTS_PER_MINUTE": "1000000"}
    platform = Platform(tools.find(), Ports.free(), run_dir, function_env=env)
    with issuing() as issuer, running(platform):
        os.environ.update(platform.client_env())  # for what makes the administrator
        async with Api(platform.url) as api:
            doctor = await a_listed_doctor(api, await make_admin(api))
            patient = await a_patient(api)
        yield World(platform, issuer, patient.uid, doctor.uid)


async def stored_documents(world: World) -> dict[str, str]:
    """The doctor's and the caller's document as the emulator has them, in base64 by name."""
    root = f"projects/{PROJECT}/databases/(default)/documents"
    names = [f"{root}/doctors/{world.doctor_id}", f"{root}/users/{world.caller_uid}"]
    async with grpc.aio.insecure_channel(f"{HOST}:{world.platform.ports.firestore}") as channel:
        get: Any = channel.unary_unary(
            "/google.firestore.v1.Firestore/GetDocument",
            request_serializer=firestore_types.GetDocumentRequest.pb().SerializeToString,
            response_deserializer=document_types.Document.pb().FromString,
        )
        documents: dict[str, str] = {}
        for name in names:
            request = firestore_types.GetDocumentRequest.pb()(name=name)
            found = await get(request, metadata=[("authorization", "Bearer owner")], timeout=5)
            documents[name] = base64.b64encode(found.SerializeToString()).decode()
    return documents
