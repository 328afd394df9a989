"""What becomes of a patient's appointments when their record is exported or erased."""

from datetime import UTC, datetime, timedelta

from fhir.resources.R4B.bundle import Bundle

from common.appointments import (
    appointments,
    booked_days,
    booked_slots,
    feeds,
    reviews,
    waitlist,
)
from common.firestore import Batch
from common.patients import patients
from common.reminders import plans
from common.scheduling import Review
from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts


async def test_an_export_holds_the_appointments_and_what_is_waited_for(
    api: Api, admin: Person
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    kept = await book(api, patient, doctor, starts[0])
    private = {"private_notes": "canary: mine alone", "notes": "canary: bring the letter"}
    path = f"/v1/appointments/{kept['appointment_id']}"
    assert (await api.put(path, doctor, json=private)).status_code == 200
    gone = await book(api, patient, doctor, starts[1])
    path = f"/v1/appointments/{gone['appointment_id']}"
    reason = {"reason": "canary: better"}
    assert (await api.call("DELETE", path, patient, json=reason)).status_code == 204
    wish = {"specialty": "neurology", "from": starts[0], "to": starts[-1]}
    assert (await api.post("/v1/appointments/waitlist", patient, json=wish)).status_code == 201
    answer = await api.get(f"/v1/patients/{patient.uid}/export", patient)
    Bundle.model_validate_json(answer.content)
    found = {
        entry["resource"]["status"]: entry["resource"]
        for entry in answer.json()["entry"]
        if entry["resource"]["resourceType"] == "Appointment"
    }
    assert set(found) == {"booked", "cancelled", "waitlist"}
    assert found["booked"]["reasonCode"] == [{"text": "canary: a cough that stays"}]
    assert found["booked"]["comment"] == "canary: bring the letter"
    assert found["cancelled"]["cancelationReason"] == {"text": "canary: better"}
    assert found["waitlist"]["specialty"] == [{"text": "Neurology"}]
    assert "mine alone" not in answer.text


async def test_an_appointment_keeps_the_record_for_its_time(api: Api, admin: Person) -> None:
    doctor = await a_bookable_doctor(api, admin)
    patient = await a_patient(api, allergies=[], conditions=[], medications=[], blood_type=None)
    await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    answer = await api.post(f"/v1/patients/{patient.uid}/erasure", admin)
    assert answer.status_code == 409
    assert str(datetime.now(UTC).year + 6) in answer.json()["detail"]


async def test_with_the_record_its_appointments_go_and_all_that_hangs_on_them(
    api: Api, admin: Person
) -> None:
    doctor = await a_bookable_doctor(api, admin)
    patient = await a_patient(api, allergies=[], conditions=[], medications=[], blood_type=None)
    other = await a_patient(api)
    starts = await free_starts(api, doctor)
    booked = await book(api, patient, doctor, starts[-1])
    others = await book(api, other, doctor, starts[0])
    wish = {"doctor_id": doctor.uid, "from": starts[0], "to": starts[1]}
    assert (await api.post("/v1/appointments/waitlist", patient, json=wish)).status_code == 201
    path = f"/v1/appointments/{others['appointment_id']}"
    assert (await api.delete(path, other)).status_code == 204  # now a slot is held for the patient
    await api.post(f"/v1/appointments/calendar/{patient.uid}/feed", patient)
    old = datetime.now(UTC) - timedelta(days=7 * 366)
    batch = Batch()
    review = Review(create_time=old, update_time=old, patient_id=patient.uid, stars=5)
    batch.create(reviews.path(doctor.uid, booked["appointment_id"]), review)
    past = {"start": old, "end": old, "update_time": old}  # as if years had passed
    batch.update(appointments.path(booked["appointment_id"]), past)
    batch.update(patients.path(patient.uid), {"clinical_time": None})
    await batch.commit()
    answer = await api.post(f"/v1/patients/{patient.uid}/erasure", admin)
    assert answer.status_code == 204, answer.text
    assert await appointments.get(booked["appointment_id"]) is None
    assert await plans.get(booked["appointment_id"]) is None
    assert await reviews.get(doctor.uid, booked["appointment_id"]) is None
    assert await feeds.get(patient.uid) is None
    assert await booked_slots.count(doctor.uid) == 0
    assert await booked_days.count(patient.uid) == 0
    assert await waitlist.count(where=[("patient_id", "==", patient.uid)]) == 0
    assert len(await free_starts(api, doctor)) == len(starts)
