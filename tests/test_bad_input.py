"""What strangers send: each gets a clear problem document, and nothing breaks."""

import json
from typing import Any

import httpx
import pytest

from local.platform import Platform
from tests.client import A_PROFILE, PASSWORD, Api, Person, an_email

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:healthhub:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == f"urn:healthhub:request:{answer.headers['x-request-id']}"
    return document


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"{",
        b'{"email": }',
        b"\xff\xfe{}",
        b'{"email": "\xe9"}',
        b"\x00",
        b"[" * 100_000,
        b"{'email': 'x'}",
    ],
)
async def test_what_is_not_json_in_utf8_is_malformed(api: Api, body: bytes) -> None:
    answer = await api.post("/v1/login", content=body, headers=JSON)
    problem(answer, 400, "malformed-json")


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'"text"', b"null", b"NaN", b"1e999"])
async def test_json_that_is_no_object_is_invalid(api: Api, body: bytes) -> None:
    answer = await api.post("/v1/login", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/xml", "", "junk"],
)
async def test_another_media_type_is_unsupported(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await api.post("/v1/login", content=b"{}", headers=headers)
    problem(answer, 415, "unsupported-media-type")


async def test_json_with_a_charset_is_json(api: Api, patient: Person) -> None:
    body = json.dumps({"email": patient.email, "password": PASSWORD}).encode()
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    answer = await api.post("/v1/login", content=body, headers=headers)
    assert answer.status_code == 200


async def test_ten_megabytes_are_too_large(api: Api) -> None:
    body = json.dumps({"email": "a@example.test", "password": "x" * 10_000_000}).encode()
    answer = await api.post("/v1/login", content=body, headers=JSON)
    problem(answer, 413, "body-too-large")


async def test_ten_megabytes_of_unsaid_length_are_too_large(api: Api) -> None:
    async def chunks() -> Any:
        yield b'{"email": "'
        for _ in range(160):
            yield b"x" * 65536

    answer = await api.post("/v1/login", content=chunks(), headers=JSON)
    problem(answer, 413, "body-too-large")


async def test_a_body_of_just_under_the_limit_is_read(api: Api) -> None:
    body = json.dumps({"email": "a@example.test", "password": "x" * 1_000_000}).encode()
    answer = await api.post("/v1/login", content=body, headers=JSON)
    document = problem(answer, 422, "invalid")
    assert document["errors"][0]["pointer"] == "/password"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "x" * 288 + "@example.com"}, "/email"),
        ({"email": ""}, "/email"),
        ({"email": "no at sign"}, "/email"),
        ({"email": "a@b"}, "/email"),
        ({"email": "a@exa mple.com"}, "/email"),
        ({"email": ["a@example.com"]}, "/email"),
        ({"email": 5}, "/email"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 129}, "/password"),
        ({"password": None}, "/password"),
        ({"display_name": ""}, "/display_name"),
        ({"display_name": "\u202e" * 3 + "\x07"}, "/display_name"),
        ({"role": "admin"}, "/role"),
        ({"role": "Patient"}, "/role"),
        ({"phone": "555"}, "/phone"),
        ({"is_admin": True}, "/is_admin"),
        ({"пароль": "x"}, ""),
    ],
)
async def test_a_bad_registration_names_the_field(
    api: Api, change: dict[str, Any], pointer: str
) -> None:
    body = {
        "email": an_email(),
        "password": PASSWORD,
        "display_name": "Ana",
        "role": "patient",
        **change,
    }
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/register", json=body)
    document = problem(answer, 422, "invalid")
    assert [error["pointer"] for error in document["errors"]] == [pointer]


async def test_every_missing_field_is_named(api: Api) -> None:
    document = problem(await api.post("/v1/register", json={}), 422, "invalid")
    pointers = {error["pointer"] for error in document["errors"]}
    assert pointers == {"/email", "/password", "/display_name", "/role"}


@pytest.mark.parametrize(
    "name", ["محمد الأحمد", "王小明", "José Ñandú", "Ж", "👩🏽‍⚕️ Ada", "O'Brien-Łukasz"]
)
async def test_names_of_the_world_come_back_as_they_were_sent(api: Api, name: str) -> None:
    import unicodedata

    body = {"email": an_email(), "password": PASSWORD, "display_name": name, "role": "patient"}
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/register", json=body)
    assert answer.json()["user"]["display_name"] == unicodedata.normalize("NFC", name)


async def test_an_international_address_registers(api: Api) -> None:
    body = {
        "email": f"Ünï{an_email()}",
        "password": PASSWORD,
        "display_name": "U",
        "role": "patient",
    }
    async with api.from_elsewhere() as elsewhere:
        answer = await elsewhere.post("/v1/register", json=body)
    # Identity Platform takes ASCII addresses only: a clear refusal is as good as an account.
    assert answer.status_code in (201, 422), answer.text


@pytest.mark.parametrize(
    ("authorization", "slug"),
    [
        ("Bearer garbage", "token-invalid"),
        ("Bearer e30.e30.", "token-invalid"),
        ("Bearer " + "x" * 5000, "token-invalid"),
        ("Bearer owner", "token-invalid"),
        ("Bearer", "unauthenticated"),
        ("Basic YTpi", "unauthenticated"),
        ("token", "unauthenticated"),
    ],
)
async def test_a_bad_authorization_is_401_everywhere(
    api: Api, authorization: str, slug: str
) -> None:
    for path in ("/v1/users/me", "/v1/doctors"):
        answer = await api.get(path, headers={"Authorization": authorization})
        problem(answer, 401, slug)
        assert "bearer" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize("key", ["short", "x" * 201, "with space inside", "ключ-ключ-ключ"])
async def test_a_bad_idempotency_key_is_named(api: Api, doctor: Person, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = await api.post("/v1/doctors", doctor, json=A_PROFILE, headers=headers)
    document = problem(answer, 422, "invalid")
    assert document["errors"][0]["pointer"] == "?Idempotency-Key"


async def test_a_path_or_method_that_is_not_there_is_said_so(api: Api) -> None:
    problem(await api.get("/v1/nothing"), 404, "not-found")
    problem(await api.get("/v2/users/me"), 404, "not-found")
    problem(await api.get("/v1/users/"), 404, "not-found")
    answer = await api.call("PATCH", "/v1/users/me")
    problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("uid", ["a b", "%00", "ы" * 10, "x" * 129, "a%2Fb", "..%2f.."])
async def test_an_id_that_is_none_is_refused(api: Api, patient: Person, uid: str) -> None:
    answer = await api.get(f"/v1/users/{uid}", patient)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == PROBLEM


async def test_the_paths_without_version_mean_the_same(api: Api, patient: Person) -> None:
    with_version = await api.get("/v1/users/me", patient)
    without = await api.get("/users/me", patient)
    assert with_version.json() == without.json()


async def test_every_answer_has_the_security_headers(api: Api, patient: Person) -> None:
    for path in ("/v1/users/me", "/v1/nothing", "/v1/doctors", "/v1/health/users"):
        headers = (await api.get(path, patient)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]
    assert (await api.get("/v1/users/me", patient)).headers["cache-control"] == "no-store"


async def test_a_request_id_that_the_client_gave_is_kept_if_it_is_one(api: Api) -> None:
    given = await api.get("/v1/doctors", headers={"X-Request-Id": "my-request-17"})
    forged = await api.get("/v1/doctors", headers={"X-Request-Id": "x{}; drop"})
    assert given.headers["x-request-id"] == "my-request-17"
    assert "drop" not in forged.headers["x-request-id"]


async def test_only_declared_origins_may_call_from_a_browser(api: Api) -> None:
    ask = {"Access-Control-Request-Method": "GET"}
    for origin, allowed in (("https://app.healthhub.test", True), ("https://evil.test", False)):
        answer = await api.call("OPTIONS", "/v1/users/me", headers={**ask, "Origin": origin})
        assert ("access-control-allow-origin" in answer.headers) is allowed


@pytest.mark.usefixtures("within_a_window")
async def test_a_client_cannot_choose_the_address_that_limits_count(
    api: Api, platform: Platform
) -> None:
    """X-Forwarded-For that a client sends stands before what the load balancer appends."""
    body = {"email": an_email(), "password": "wrong password"}
    statuses = set()
    async with api.from_elsewhere() as elsewhere:
        for n in range(12):
            headers = {"X-Forwarded-For": f"10.0.0.{n}"}
            answer = await elsewhere.post("/v1/login", json=body, headers=headers)
            statuses.add(answer.status_code)
    assert statuses == {401, 429}


@pytest.mark.parametrize("id", ["__reserved__", "__a__", "a b", "a" * 200])
@pytest.mark.parametrize("path", ["doctors/{}", "patients/{}", "patients/{}/history", "users/{}"])
async def test_an_id_that_firestore_keeps_for_itself_is_no_error_of_ours(
    api: Api, admin: Person, path: str, id: str
) -> None:
    answer = await api.get(f"/v1/{path.format(id)}", admin)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
