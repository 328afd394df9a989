"""Traces from the gateway to the database and through Pub/Sub; metrics as lines of the log."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.oauth2.credentials import Credentials
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from common import clients, telemetry
from common.telemetry import Metric
from local.platform import Platform
from local.ports import HOST, free_ports
from local.processes import Children
from tests import processes
from tests.client import (
    Api,
    Person,
    a_bookable_doctor,
    a_listed_doctor,
    a_patient,
    admit,
    book,
    free_starts,
    try_to_book,
)
from tests.recorded import a_visit, ended, send
from tests.recorder import Recorder

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def given(traceparent: str = "", cloud: str = "") -> dict[bytes, bytes]:
    return {b"traceparent": traceparent.encode(), b"x-cloud-trace-context": cloud.encode()}


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (given(f"00-{TRACE}-{SPAN}-01"), TRACE),
        (given("", f"{TRACE}/255;o=1"), TRACE),
        (given("garbage", f"{TRACE}/1"), TRACE),
        (given("", f"{TRACE}/99999999999999999999"), TRACE),
        (given(f"00-{TRACE.upper()}-{SPAN}-01"), None),
        (given(f"00-{'0' * 32}-{SPAN}-01"), None),
        (given("", "0/0"), None),
        ({}, None),
    ],
    ids=str,
)
def test_a_request_goes_on_with_its_callers_trace(
    headers: dict[bytes, bytes], expected: str | None
) -> None:
    with telemetry.request("GET", headers):
        trace_id, span_id = telemetry.ids()
        assert len(trace_id) == 32
        assert len(span_id) == 16
        assert (trace_id == expected) == (expected is not None)
    assert telemetry.ids() == ("", "")


@pytest.mark.usefixtures("platform")
def test_a_caller_that_does_not_sample_is_obeyed() -> None:
    with telemetry.request("GET", given(f"00-{TRACE}-{SPAN}-00")) as span:
        assert not span.is_recording()
        assert telemetry.ids()[0] == TRACE
    with telemetry.request("GET", given("", f"{TRACE}/255;o=0")) as span:
        assert not span.is_recording()


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("broken", ["", "nonsense", None])
def test_without_a_trace_to_go_on_with_a_step_belongs_to_its_delivery(broken: str | None) -> None:
    delivery = given(f"00-{TRACE}-{SPAN}-01")
    with telemetry.request("POST", delivery), telemetry.continued(broken, "work"):
        assert telemetry.ids()[0] == TRACE


async def trace_of(api: Api, trace_id: str, *services: str) -> list[dict[str, Any]]:
    """The spans, once all have come: those of these services, and what each is a part of."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = (await api.get("/dev/traces", params={"q": trace_id})).json()["items"]
        spans: list[dict[str, Any]] = found[0]["spans"] if found else []
        known = {SPAN, *(span["span_id"] for span in spans)}
        is_whole = all(span["parent_id"] in known for span in spans)
        if is_whole and {span["service"] for span in spans} >= set(services):
            return spans
        await asyncio.sleep(0.2)
    raise AssertionError(f"no whole trace of {services} came")


def new_trace() -> tuple[str, dict[str, str]]:
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{SPAN}-01"}


async def test_a_request_is_followed_from_the_gateway_to_the_database(api: Api) -> None:
    patient = await a_patient(api)
    trace_id, headers = new_trace()
    path = f"/v1/patients/{patient.uid}"
    assert (await api.get(path, patient, headers=headers)).status_code == 200
    spans = await trace_of(api, trace_id, "gateway", "patients")
    by_name = {span["name"]: span for span in spans}
    gateway, served = by_name["GET → patients"], by_name["GET /patients/{patient_id}"]
    assert gateway["parent_id"] == SPAN
    assert served["parent_id"] == gateway["span_id"]
    assert by_name["firestore.get"]["parent_id"] == served["span_id"]
    assert by_name["firestore.commit"]["attributes"]["writes"] >= 1
    assert served["attributes"]["http.response.status_code"] == 200
    assert patient.uid not in json.dumps(spans)


async def test_what_fails_is_marked_by_its_kind_alone(api: Api, recorder: Recorder) -> None:
    trace_id, headers = new_trace()
    with recorder.broken(
        "GetDocument", grpc.StatusCode.UNAVAILABLE, lambda read: "nobody" in str(read)
    ):
        answer = await api.get("/v1/doctors/nobody", headers=headers)
    assert answer.status_code == 503
    spans = await trace_of(api, trace_id, "gateway", "doctors")
    failed = {span["name"]: span["reason"] for span in spans if span["is_error"]}
    assert failed == {"firestore.get": "Unavailable", "GET /doctors/{doctor_id}": ""}


async def test_log_lines_belong_to_their_trace(
    api: Api, platform: Platform, patient: Person
) -> None:
    trace_id, headers = new_trace()
    await api.get("/v1/users/me", patient, headers=headers)
    await trace_of(api, trace_id, "gateway", "users")  # by then, its last line is written
    log = (platform.run_dir / "logs" / "users.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if trace_id in line]
    assert {line["logger"] for line in lines} >= {"healthhub.request", "healthhub.audit"}


async def test_what_is_done_with_a_file_belongs_to_the_request_that_announced_it(
    api: Api, admin: Person
) -> None:
    doctor = await a_listed_doctor(api, admin)
    patient = await a_patient(api)
    await admit(api, patient, doctor)
    trace_id, headers = new_trace()
    content = a_visit()
    body = {
        "patient_id": patient.uid,
        "file_name": "visit.wav",
        "content_type": "audio/wav",
        "size_bytes": len(content),
    }
    announced = await api.post("/v1/transcriptions/upload", doctor, json=body, headers=headers)
    assert (await send(announced.json(), content)).status_code == 200
    id = announced.json()["transcription"]["transcription_id"]
    assert (await ended(api, doctor, id))["state"] == "completed"
    spans = await trace_of(
        api, trace_id, "gateway", "transcriptions", "transcribe_audio", "store_transcript"
    )
    names = {span["name"] for span in spans}
    assert {"transcribe_audio", "store_transcript", "speech", "storage"} <= names
    (work,) = (span for span in spans if span["name"] == "transcribe_audio")
    assert work["kind"] == "consumer"
    assert work["links"], "the delivery in which it was done is linked"


@contextmanager
def an_instance(platform: Platform, name: str, folder: Path, **more: str) -> Iterator[str]:
    """Another instance of a function, ended as the cloud ends one: by SIGTERM."""
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{platform.ports.traces}"}
    children = Children(folder)
    process, url = processes.an_instance(platform, children, name, {**traces, **more})
    try:
        yield url
        process.popen.terminate()
        process.popen.wait(20)
    finally:
        children.end()


async def answered(url: str, path: str, **headers: str) -> httpx.Response:
    """Once it answers at all."""
    async with httpx.AsyncClient(base_url=url) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                return await client.get(path, headers=headers)
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)


async def test_requests_are_answered_while_nobody_takes_traces(
    platform: Platform, tmp_path: Path
) -> None:
    nobody = f"http://{HOST}:{free_ports(1)[0]}"
    with an_instance(platform, "doctors", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=nobody) as url:
        for _ in range(20):
            assert (await answered(url, "/doctors")).status_code == 200


async def test_the_last_spans_are_sent_before_an_instance_ends(
    api: Api, platform: Platform, tmp_path: Path
) -> None:
    trace_id, headers = new_trace()
    with an_instance(platform, "doctors", tmp_path) as url:
        assert (await answered(url, "/doctors", **headers)).status_code == 200
    assert await trace_of(api, trace_id, "doctors")


# ---------------------------------------------------------------- metrics


@pytest.fixture
def counted(platform: Platform) -> Any:
    """What was counted since the test began, of one function."""
    logs = {name: platform.run_dir / "logs" / f"{name}.log" for name in platform.functions}
    before = {name: log.stat().st_size for name, log in logs.items()}

    def lines(function: str) -> list[dict[str, Any]]:
        text = logs[function].read_bytes()[before[function] :].decode()
        found = [json.loads(line) for line in text.splitlines() if "healthhub.metrics" in line]
        return [{"metric": each["metric"], "count": each["count"]} for each in found]

    return lines


async def test_a_booking_and_a_race_that_is_lost_are_counted(
    api: Api, admin: Person, counted: Any
) -> None:
    doctor = await a_bookable_doctor(api, admin)
    start = (await free_starts(api, doctor))[0]
    first, second = [await a_patient(api) for _ in range(2)]
    booked = await book(api, first, doctor, start)
    assert (await try_to_book(api, second, doctor, start)).status_code == 409
    later = {"start": (await free_starts(api, doctor))[-1]}
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    assert (await api.post(path, first, json=later)).status_code == 200
    assert counted("appointments") == [
        {"metric": Metric.BOOKINGS, "count": 1},
        {"metric": Metric.RACES_LOST, "count": 1},
    ]


async def test_a_file_that_ends_without_a_result_is_counted_with_its_reason(
    api: Api, platform: Platform
) -> None:
    patient = await a_patient(api)
    for path, function, reason in (
        ("transcriptions", "transcribe_audio", "not_audio"),
        ("medical-images", "analyze_image", "not_image"),
    ):
        log = platform.run_dir / "logs" / f"{function}.log"
        before = log.stat().st_size
        kind = {"transcriptions": "audio/wav", "medical-images": "image/png"}[path]
        files = {"file": ("a file", b"neither sound nor picture" * 9, kind)}
        answer = await api.post(f"/v1/{path}/upload", patient, files=files)
        assert answer.status_code == 201, answer.text

        def ends(log: Path = log, before: int = before) -> list[dict[str, Any]]:
            lines = log.read_bytes()[before:].decode().splitlines()
            return [json.loads(line) for line in lines if '"metric"' in line and "state" in line]

        for _ in range(600):
            if any(end["reason"] == reason for end in ends()):
                break
            await asyncio.sleep(0.05)
        (end,) = [each for each in ends() if each["reason"] == reason]
        assert (end["state"], end["count"]) == ("rejected", 1)


# ---------------------------------------------------------------- Cloud Trace


async def test_cloud_trace_is_sent_spans_with_the_functions_own_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its stand-in takes spans from anybody, so this looks at the request itself."""
    taken: list[tuple[str, str, bytes]] = []

    class Google(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

    with HTTPServer((HOST, 0), Google) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        address = f"http://{HOST}:{server.server_port}"
        monkeypatch.setattr(telemetry, "_GOOGLE", address)
        own = Credentials(token="the function's")  # type: ignore[no-untyped-call]
        monkeypatch.setattr(clients, "credentials_for", lambda scope: own)
        provider = TracerProvider(resource=Resource({"service.name": "users"}))
        exporter = telemetry._Exporter(address)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.get_tracer("").start_span("GET /users").end()
    ((path, authorization, body),) = taken
    assert path == "/v1/traces"
    assert authorization == "Bearer the function's"
    assert b"GET /users" in body
