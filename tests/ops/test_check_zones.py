"""What a newer time zone database moves is found."""

from common.appointments import appointments
from common.firestore import Batch
from common.zones import VERSION
from ops.check_zones import check_zones
from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts


async def test_an_appointment_whose_clock_would_show_another_time_is_listed(
    api: Api, admin: Person
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    moved, right, cancelled = [await book(api, patient, doctor, start) for start in starts[:3]]
    batch = Batch()  # as an older database saw it, before the government moved the clocks
    for each in (moved, cancelled):
        path = appointments.path(each["appointment_id"])
        shown = each["local_start"].replace("T09", "T10").replace("T10:30", "T11:30")
        batch.update(path, {"local_start": shown, "zone_version": "2019a"})
    await batch.commit()
    path = f"/v1/appointments/{cancelled['appointment_id']}"
    assert (await api.delete(path, patient)).status_code == 204
    report = await check_zones()
    listed = {each.appointment_id: each for each in report.moved}
    found = listed[moved["appointment_id"]]
    assert (found.was_for[-5:], found.is_at[-5:], found.zone_version) == ("10:00", "09:00", "2019a")
    assert right["appointment_id"] not in listed
    assert cancelled["appointment_id"] not in listed
    assert report.version == VERSION
    batch = Batch()
    batch.update(appointments.path(moved["appointment_id"]), {"local_start": moved["local_start"]})
    await batch.commit()
    assert moved["appointment_id"] not in {e.appointment_id for e in (await check_zones()).moved}
