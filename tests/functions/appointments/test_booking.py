"""Booking over the wire: from a free slot to an appointment, and back."""

from tests.client import (
    Api,
    Person,
    a_bookable_doctor,
    a_patient,
    book,
    free_starts,
    try_to_book,
)


async def test_a_patient_books_a_free_slot_and_it_is_no_longer_free(
    api: Api, admin: Person
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, patient, doctor, starts[0])
    assert booked["status"] == "booked"
    assert booked["start"] == starts[0]
    assert booked["reason"].startswith("canary")
    assert await free_starts(api, doctor) == starts[1:]


async def test_a_taken_slot_is_answered_with_the_next_three_free_ones(
    api: Api, admin: Person
) -> None:
    doctor, first, second = (
        await a_bookable_doctor(api, admin),
        await a_patient(api),
        await a_patient(api),
    )
    starts = await free_starts(api, doctor)
    await book(api, first, doctor, starts[0])
    answer = await try_to_book(api, second, doctor, starts[0])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("slot-taken")
    assert [slot["start"] for slot in answer.json()["next_free"]] == starts[1:4]


async def test_a_cancelled_slot_can_be_booked_again(api: Api, admin: Person) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    start = (await free_starts(api, doctor))[0]
    booked = await book(api, patient, doctor, start)
    path = f"/v1/appointments/{booked['appointment_id']}"
    for _ in range(2):  # again is no harm
        answer = await api.call("DELETE", path, patient, json={"reason": "canary: better now"})
        assert answer.status_code == 204, answer.text
    shown = (await api.get(path, patient)).json()
    assert (shown["status"], shown["cancelled_by"]) == ("cancelled", "patient")
    assert shown["cancellation_reason"] == "canary: better now"
    await book(api, patient, doctor, start)


async def test_a_rescheduled_appointment_frees_its_old_slot(api: Api, admin: Person) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, patient, doctor, starts[0])
    path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
    answer = await api.post(path, patient, json={"start": starts[1]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["start"] == starts[1]
    assert await free_starts(api, doctor) == [starts[0], *starts[2:]]
