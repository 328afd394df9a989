"""Reviews and metrics: what patients say of visits, and what a practice's days add up to."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.appointments import appointments
from common.directory import doctors
from common.firestore import Batch
from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts


@pytest.fixture
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


async def a_visit(
    api: Api, doctor: Person, patient: Person, status: str = "fulfilled", days_before: int = 3
) -> str:
    """An appointment that was booked that many days before it took place today; its id."""
    booked = await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    path = f"/v1/appointments/{booked['appointment_id']}"
    start = datetime.now(UTC) - timedelta(minutes=5)
    batch = Batch()
    fields = {
        "start": start,
        "end": start + timedelta(minutes=30),
        "create_time": start - timedelta(days=days_before, minutes=1),
    }
    batch.update(appointments.path(booked["appointment_id"]), fields)
    await batch.commit()
    for step in {"fulfilled": ("arrived", "fulfilled"), "noshow": ("noshow",)}[status]:
        answer = await api.post(f"{path}/status", doctor, json={"status": step})
        assert answer.status_code == 200, answer.text
    return str(booked["appointment_id"])


async def review(api: Api, doctor: Person, patient: Person, visit: str, **fields: Any) -> Any:
    body = {"appointment_id": visit, "stars": 5, **fields}
    return await api.post(f"/v1/doctors/{doctor.uid}/reviews", patient, json=body)


async def test_a_visit_that_took_place_is_reviewed_once(api: Api, doctor: Person) -> None:
    patient = await a_patient(api)
    visit = await a_visit(api, doctor, patient)
    answers = await asyncio.gather(*(review(api, doctor, patient, visit) for _ in range(10)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[201] == 1
    assert set(statuses) <= {201, 409, 503}
    stored = await doctors.get(doctor.uid)
    assert stored
    assert (stored.rating_count, stored.rating_sum) == (1, 5)


async def test_nobody_reviews_a_visit_that_is_not_theirs_or_did_not_take_place(
    api: Api, doctor: Person, admin: Person
) -> None:
    patient, other = await a_patient(api), await a_patient(api)
    visit = await a_visit(api, doctor, patient)
    missed = await a_visit(api, doctor, patient, "noshow")
    elsewhere = await a_bookable_doctor(api, admin)
    assert (await review(api, doctor, other, visit)).status_code == 404
    assert (await review(api, elsewhere, patient, visit)).status_code == 404
    assert (await review(api, doctor, patient, "nothing")).status_code == 404
    assert (await review(api, doctor, doctor, visit)).status_code == 403
    not_visited = await review(api, doctor, patient, missed)
    assert not_visited.json()["type"].endswith("not-visited")
    for wrong in ({"stars": 0}, {"stars": 6}, {"stars": 4.5}, {"comment": ""}):
        assert (await review(api, doctor, patient, visit, **wrong)).status_code == 422


async def test_reviews_and_average_show_from_the_third_on_and_without_names(
    api: Api, doctor: Person
) -> None:
    path = f"/v1/doctors/{doctor.uid}"
    for number, stars in enumerate((5, 4, 2), 1):
        patient = await a_patient(api)
        visit = await a_visit(api, doctor, patient)
        answer = await review(api, doctor, patient, visit, stars=stars, comment=f"Visit {number}")
        assert answer.status_code == 201, answer.text
        rating = (await api.get(path)).json()["rating"]
        shown = (await api.get(f"{path}/reviews")).json()["items"]
        assert rating["count"] == number
        assert (rating["average"], len(shown)) == ((3.7, 3) if number == 3 else (None, 0))
    assert [each["comment"] for each in shown] == ["Visit 3", "Visit 2", "Visit 1"]
    assert set(shown[0]) == {"stars", "comment", "month"}
    first = (await api.get(f"{path}/reviews", params={"page_size": 2})).json()
    assert len(first["items"]) == 2
    assert first["next_page_token"]
    stored = await doctors.get(doctor.uid)
    assert stored
    assert stored.rating_rank == pytest.approx(11 / 3, abs=0.001)


async def test_metrics_add_up_what_happened(api: Api, doctor: Person, admin: Person) -> None:
    patient = await a_patient(api)
    visits = [await a_visit(api, doctor, patient, days_before=days) for days in (1, 4, 9)]
    await a_visit(api, doctor, patient, "noshow")
    await review(api, doctor, patient, visits[0], stars=4)
    starts = await free_starts(api, doctor)
    for who in (patient, doctor, admin):
        booked = await book(api, patient, doctor, starts[0])
        answer = await api.delete(f"/v1/appointments/{booked['appointment_id']}", who)
        assert answer.status_code == 204
    path = f"/v1/doctors/{doctor.uid}/metrics"
    schedule = (await api.get(f"/v1/doctors/{doctor.uid}/schedule", doctor)).json()
    today = datetime.now(ZoneInfo(schedule["time_zone"])).date()  # it is tomorrow there sooner
    query = {"from": str(today - timedelta(days=1)), "to": str(today + timedelta(days=2))}
    answer = await api.get(path, doctor, params=query)
    found = answer.json()
    assert (found["visits"], found["noshows"], found["noshow_rate"]) == (3, 1, 0.25)
    assert found["cancellations"] == {"by_patient": 1, "by_doctor": 1, "by_admin": 1}
    assert found["median_lead_days"] == 4
    assert (found["ratings"], found["average_rating"]) == (1, 4.0)
    assert found["utilisation"] == pytest.approx(90 / 720, abs=0.002)  # of yesterday and today
    whole = (await api.get(path, admin)).json()
    assert whole["visits"] == 3


async def test_metrics_of_no_days_are_empty_and_not_an_error(api: Api, doctor: Person) -> None:
    path = f"/v1/doctors/{doctor.uid}/metrics"
    found = (await api.get(path, doctor, params={"from": "2020-01-01", "to": "2020-12-31"})).json()
    assert (found["visits"], found["noshow_rate"], found["median_lead_days"]) == (0, None, None)
    for wrong in (
        {"from": "2020-01-01", "to": "2021-06-01"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01"},
    ):
        assert (await api.get(path, doctor, params=wrong)).status_code == 422, wrong
