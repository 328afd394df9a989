"""The services' OpenAPI documents: true to the service (schemathesis), and fit to build clients from."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from common.live import LIVE_TYPES
from local.gateway import merged
from local.platform import Platform
from tests.client import Api, Person, make_admin

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.negative_data_rejection,
]


@schemathesis.serializer(*LIVE_TYPES)
def sound(context: Any, value: Any) -> bytes:
    """Whatever was made up, as bytes: it is no sound, and must be told so."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="session")
def documents(platform: Platform) -> dict[str, Any]:
    return {
        name: httpx.get(f"{url}/openapi.json").json() for name, url in platform.services.items()
    }


def operations_of(document: dict[str, Any]) -> list[Any]:
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return [result.ok() for result in found if isinstance(result, Ok)]


def fuzz(platform: Platform, operation: Any, person: Person, examples: int) -> Counter[int]:
    """Call one operation with good and bad data; returns how often it answered with which status."""
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = case.call_and_validate(
            base_url=f"{platform.url}/v1", headers=person.headers, checks=CHECKS
        )
        statuses[answer.status_code] += 1

    check()
    return statuses


@pytest.mark.parametrize(
    "service",
    [
        "users",
        "doctors",
        "patients",
        "appointments",
        "transcriptions",
        "medical_images",
        "ai_interactions",
    ],
)
async def test_a_service_answers_as_its_document_says(
    api: Api, platform: Platform, documents: dict[str, Any], service: str
) -> None:
    for operation in operations_of(documents[service]):
        person = await make_admin(api)  # one each: some operations sign their caller out
        statuses = await asyncio.to_thread(fuzz, platform, operation, person, 15)
        assert statuses.total() >= 1
        is_sign_in = operation.path in ("/login", "/refresh-token")  # nobody guesses those
        assert is_sign_in or set(statuses) != {401}, operation.label


async def test_the_fuzzing_notices_a_document_that_lies(
    platform: Platform, documents: dict[str, Any], admin: Person
) -> None:
    lying = json.loads(json.dumps(documents["doctors"]))
    lying["components"]["schemas"]["Specialization"]["required"].append("price")
    operation = next(o for o in operations_of(lying) if o.path == "/doctors/specializations")
    with pytest.raises(FailureGroup, match="price"):
        await asyncio.to_thread(fuzz, platform, operation, admin, 3)


async def test_the_gateways_document_is_all_services_together(
    api: Api, documents: dict[str, Any]
) -> None:
    whole = (await api.get("/openapi.json")).json()
    paths = {path for document in documents.values() for path in document["paths"]}
    assert set(whole["paths"]) == paths
    assert whole["info"]["title"] == "HealthHub"


def test_services_may_not_mean_different_things_by_one_name() -> None:
    one = {
        "info": {"version": "1"},
        "paths": {},
        "components": {"schemas": {"A": {"type": "string"}}},
    }
    other = json.loads(json.dumps(one).replace("string", "integer"))
    assert merged([one, one])["components"] == one["components"]
    with pytest.raises(ValueError, match="schemas A"):
        merged([one, other])


def test_every_operation_is_described_and_named_once(documents: dict[str, Any]) -> None:
    ids: list[str] = []
    for document in documents.values():
        for path, item in document["paths"].items():
            for method, operation in item.items():
                ids.append(operation["operationId"])
                assert operation["summary"], (method, path)
                codes = set(operation["responses"])
                assert {"422", "429", "500", "503"} <= codes or "/health/" in path, (method, path)
                success = {code for code in codes if code.startswith(("2", "3"))}
                for code in codes - success - {"503"}:
                    content = operation["responses"][code]["content"]
                    assert set(content) == {"application/problem+json"}, (method, path, code)
    assert len(set(ids)) == len(ids)
