"""The waitlist over the wire: offers, what becomes of them, and booking without asking."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.appointments import booked_slots
from common.appointments import waitlist as entries
from common.firestore import Batch
from local.platform import Platform
from tests.client import (
    Api,
    Person,
    a_bookable_doctor,
    a_patient,
    book,
    free_starts,
    try_to_book,
)


async def join(api: Api, patient: Person, doctor: Person, **fields: Any) -> str:
    moment = datetime.now(UTC)
    wish = {
        "doctor_id": doctor.uid,
        "from": moment.isoformat(),
        "to": (moment + timedelta(days=14)).isoformat(),
        "reason": "canary: the cough came back",
        **fields,
    }
    wish = {name: value for name, value in wish.items() if value is not None}
    answer = await api.post("/v1/appointments/waitlist", patient, json=wish)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["waitlist_id"])


async def entry_of(api: Api, patient: Person) -> dict[str, Any]:
    """The patient's newest."""
    answer = await api.get("/v1/appointments/waitlist", patient)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["items"][0])


async def cancel(api: Api, someone: Person, appointment: dict[str, Any]) -> None:
    path = f"/v1/appointments/{appointment['appointment_id']}"
    answer = await api.delete(path, someone)
    assert answer.status_code == 204, answer.text


async def accept(api: Api, patient: Person, waitlist_id: str) -> httpx.Response:
    return await api.post(f"/v1/appointments/waitlist/{waitlist_id}/accept", patient)


async def sweep(platform: Platform) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(platform.functions["sweep_stuck_work"] + "/")
    assert answer.status_code == 204, answer.text


async def let_the_offer_end(waitlist_id: str) -> None:
    """As if 15 minutes had passed."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    batch = Batch()
    batch.update(entries.path(waitlist_id), {"expire_time": past, "offer.expire_time": past})
    await batch.commit()


@pytest.fixture
async def doctor(api: Api, admin: Person) -> Person:
    return await a_bookable_doctor(api, admin)


async def test_a_freed_slot_is_held_for_the_first_in_line_and_for_nobody_else(
    api: Api, doctor: Person
) -> None:
    holder, first, second, stranger = [await a_patient(api) for _ in range(4)]
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    waiting = await join(api, first, doctor)
    await join(api, second, doctor)
    await cancel(api, holder, booked)
    entry = await entry_of(api, first)
    assert (entry["status"], entry["offer"]["start"]) == ("offered", start)
    assert (await entry_of(api, second))["status"] == "waiting"
    assert start not in await free_starts(api, doctor)
    assert (await try_to_book(api, stranger, doctor, start)).status_code == 409
    answer = await accept(api, first, waiting)
    assert answer.status_code == 201, answer.text
    assert answer.json()["start"] == start
    assert answer.json()["reason"] == "canary: the cough came back"
    assert (await entry_of(api, first))["status"] == "booked"
    assert start not in await free_starts(api, doctor)


async def test_who_asked_for_it_is_booked_at_once(api: Api, doctor: Person) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    await join(api, waiting, doctor, auto_book=True)
    await cancel(api, holder, booked)
    entry = await entry_of(api, waiting)
    assert entry["status"] == "booked"
    shown = await api.get(f"/v1/appointments/{entry['appointment_id']}", waiting)
    assert (shown.json()["start"], shown.json()["status"]) == (start, "booked")
    assert shown.json()["reason"] == "canary: the cough came back"


async def test_an_offer_that_nobody_takes_goes_to_the_next_in_line(
    api: Api, doctor: Person, platform: Platform
) -> None:
    holder, first, second = [await a_patient(api) for _ in range(3)]
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    one, two = await join(api, first, doctor), await join(api, second, doctor)
    await cancel(api, holder, booked)
    await let_the_offer_end(one)
    late = await accept(api, first, one)
    assert late.status_code == 409
    assert late.json()["type"].endswith("offer-ended")
    await asyncio.gather(*(sweep(platform) for _ in range(3)))
    assert (await entry_of(api, first))["status"] == "waiting"
    assert (await entry_of(api, second))["offer"]["start"] == start
    await let_the_offer_end(two)
    await sweep(platform)
    assert (await entry_of(api, second))["status"] == "waiting"
    assert start in await free_starts(api, doctor)  # nobody is offered it twice


async def test_a_declined_offer_goes_on_and_its_decliner_waits_for_another(
    api: Api, doctor: Person
) -> None:
    holder, first, second = [await a_patient(api) for _ in range(3)]
    starts = await free_starts(api, doctor)
    booked = [await book(api, holder, doctor, start) for start in starts[:2]]
    waiting = await join(api, first, doctor)
    await join(api, second, doctor)
    await cancel(api, holder, booked[0])
    path = f"/v1/appointments/waitlist/{waiting}/decline"
    answer = await api.post(path, first)
    assert (answer.status_code, answer.json()["status"]) == (200, "waiting")
    assert (await entry_of(api, second))["offer"]["start"] == starts[0]
    assert (await api.post(path, first)).status_code == 409
    await cancel(api, holder, booked[1])
    assert (await entry_of(api, first))["offer"]["start"] == starts[1]


async def test_who_leaves_while_something_is_offered_passes_it_on(api: Api, doctor: Person) -> None:
    holder, first, second = [await a_patient(api) for _ in range(3)]
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    waiting = await join(api, first, doctor)
    await join(api, second, doctor)
    await cancel(api, holder, booked)
    for _ in range(2):  # again is no harm
        answer = await api.delete(f"/v1/appointments/waitlist/{waiting}", first)
        assert answer.status_code == 204
    assert (await entry_of(api, first))["status"] == "left"
    assert (await entry_of(api, second))["offer"]["start"] == start


async def test_who_has_booked_elsewhere_meanwhile_can_not_take_the_offer(
    api: Api, doctor: Person, admin: Person
) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    elsewhere = await a_bookable_doctor(api, admin, slot_minutes=20)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    waitlist_id = await join(api, waiting, doctor)
    await cancel(api, holder, booked)
    await book(api, waiting, elsewhere, start)
    answer = await accept(api, waiting, waitlist_id)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("patient-busy")


async def test_who_is_busy_at_that_time_is_passed_over(
    api: Api, doctor: Person, admin: Person
) -> None:
    holder, busy, free = [await a_patient(api) for _ in range(3)]
    elsewhere = await a_bookable_doctor(api, admin)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    await book(api, busy, elsewhere, start)
    await join(api, busy, doctor, auto_book=True)
    await join(api, free, doctor, auto_book=True)
    await cancel(api, holder, booked)
    assert (await entry_of(api, busy))["status"] == "waiting"
    assert (await entry_of(api, free))["status"] == "booked"


async def test_who_got_what_they_waited_for_by_themselves_is_off_the_list(
    api: Api, doctor: Person
) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, holder, doctor, starts[0])
    await join(api, waiting, doctor)
    own = await book(api, waiting, doctor, starts[3])
    await cancel(api, holder, booked)
    entry = await entry_of(api, waiting)
    assert (entry["status"], entry["appointment_id"]) == ("booked", own["appointment_id"])
    assert starts[0] in await free_starts(api, doctor)


async def test_a_specialty_is_waited_for_at_any_of_its_doctors(api: Api, doctor: Person) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    # A window so narrow that no other test's slot is offered.
    end = (datetime.fromisoformat(start) + timedelta(minutes=30)).isoformat()
    wish = {"doctor_id": None, "specialty": "cardiology", "from": start, "to": end}
    await join(api, waiting, doctor, **wish)
    await cancel(api, holder, booked)
    offer = (await entry_of(api, waiting))["offer"]
    assert offer is None or offer["start"] == start


@pytest.mark.parametrize("wish", ["too_early", "too_late", "by_video"])
async def test_a_slot_that_does_not_fit_is_not_offered(api: Api, admin: Person, wish: str) -> None:
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    spell = {"start": "09:00", "end": "12:00", "types": ["in_person"]}
    doctor = await a_bookable_doctor(api, admin, weekly={day: [spell] for day in days})
    holder, waiting = await a_patient(api), await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    moment = datetime.fromisoformat(start)
    fields: dict[str, dict[str, Any]] = {
        "too_early": {"from": (moment + timedelta(minutes=1)).isoformat()},
        "too_late": {"to": (moment + timedelta(minutes=29)).isoformat()},
        "by_video": {"type": "video"},
    }
    booked = await book(api, holder, doctor, start)
    await join(api, waiting, doctor, **fields[wish])
    await cancel(api, holder, booked)
    assert (await entry_of(api, waiting))["status"] == "waiting"
    assert start in await free_starts(api, doctor)


async def test_a_rescheduled_appointment_offers_its_old_slot(api: Api, doctor: Person) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, holder, doctor, starts[0])
    await join(api, waiting, doctor)
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    answer = await api.post(path, holder, json={"start": starts[4]})
    assert answer.status_code == 200, answer.text
    assert (await entry_of(api, waiting))["offer"]["start"] == starts[0]


async def test_a_wait_whose_time_is_over_ends(api: Api, doctor: Person, platform: Platform) -> None:
    patient = await a_patient(api)
    waitlist_id = await join(api, patient, doctor)
    past = datetime.now(UTC) - timedelta(seconds=1)
    batch = Batch()
    batch.update(entries.path(waitlist_id), {"expire_time": past, "to_time": past})
    await batch.commit()
    await sweep(platform)
    assert (await entry_of(api, patient))["status"] == "expired"


async def test_the_slot_document_of_an_offer_names_who_it_is_held_for(
    api: Api, doctor: Person
) -> None:
    holder, waiting = await a_patient(api), await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, holder, doctor, start)
    waitlist_id = await join(api, waiting, doctor)
    await cancel(api, holder, booked)
    (slot,) = await booked_slots.find(doctor.uid, limit=10)
    assert (slot.waitlist_id, slot.appointment_id) == (waitlist_id, None)


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"specialty": "cardiology"}, ""),
        ({"doctor_id": None}, ""),
        ({"to": "2020-01-01T00:00:00Z"}, ""),
        ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, "/to"),
        ({"to": "2199-01-01T00:00:00Z"}, "/to"),
        ({"from": "2026-01-01T00:00:00"}, "/from"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(
    api: Api, doctor: Person, wish: dict[str, Any], pointer: str
) -> None:
    patient = await a_patient(api)
    moment = datetime.now(UTC)
    whole = {"doctor_id": doctor.uid, "from": moment.isoformat()}
    whole["to"] = (moment + timedelta(days=3)).isoformat()
    body = {name: value for name, value in {**whole, **wish}.items() if value is not None}
    answer = await api.post("/v1/appointments/waitlist", patient, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_nobody_is_on_more_than_twenty_lists(api: Api, doctor: Person) -> None:
    patient = await a_patient(api)
    for _ in range(20):
        await join(api, patient, doctor)
    with pytest.raises(AssertionError, match="waitlist-full"):
        await join(api, patient, doctor)
