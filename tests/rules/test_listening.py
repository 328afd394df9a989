"""Apps listen to their appointments: over the wire, with their tokens, while others book and cancel."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.cloud.firestore_v1.types import firestore as types
from google.cloud.firestore_v1.types.document import Value
from google.cloud.firestore_v1.types.query import StructuredQuery

from local.platform import PROJECT, Platform
from local.ports import HOST
from tests.client import Api, Person, a_bookable_doctor, a_patient, book, free_starts

_CURRENT = types.TargetChange.TargetChangeType.CURRENT

DATABASE = f"projects/{PROJECT}/databases/(default)"


class Listener:
    """What an app's `onSnapshot` hears: fields of documents, as they change."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._current = asyncio.Event()
        self.refused: grpc.StatusCode | None = None
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for response in self._call:
                if response.HasField("document_change"):
                    fields = response.document_change.document.fields
                    await self._heard.put({name: fields[name] for name in fields})
                elif response.target_change.cause.code:
                    self.refused = grpc.StatusCode.PERMISSION_DENIED
                elif response.target_change.target_change_type == _CURRENT:
                    self._current.set()
        except grpc.aio.AioRpcError as error:
            self.refused = error.code()

    async def is_current(self) -> None:
        """Once it has heard what there was when it began."""
        await asyncio.wait_for(self._current.wait(), 10)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._heard.get(), 10)

    async def status(self) -> str:
        """Of the next change."""
        return str((await self.next())["status"].string_value)

    async def close(self) -> None:
        self._call.cancel()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def listening(
    platform: Platform, person: Person, field: str, uid: str
) -> AsyncIterator[Listener]:
    query = StructuredQuery(
        from_=[StructuredQuery.CollectionSelector(collection_id="appointments")],
        where=StructuredQuery.Filter(
            field_filter=StructuredQuery.FieldFilter(
                field=StructuredQuery.FieldReference(field_path=field),
                op=StructuredQuery.FieldFilter.Operator.EQUAL,
                value=Value(string_value=uid),
            )
        ),
    )
    asked = types.Target.QueryTarget(parent=f"{DATABASE}/documents", structured_query=query)
    target = types.Target(query=asked, target_id=1)
    request = types.ListenRequest.pb(types.ListenRequest(database=DATABASE, add_target=target))
    ends = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield request
        await ends.wait()

    address = f"{HOST}:{platform.ports.firestore}"
    async with grpc.aio.insecure_channel(address) as channel:
        listen: Any = channel.stream_stream(
            "/google.firestore.v1.Firestore/Listen",
            request_serializer=types.ListenRequest.pb().SerializeToString,
            response_deserializer=types.ListenResponse.pb().FromString,
        )
        metadata = [
            ("authorization", f"Bearer {person.id_token}"),
            ("google-cloud-resource-prefix", DATABASE),
        ]
        listener = Listener(listen(requests(), metadata=metadata))
        try:
            yield listener
        finally:
            ends.set()
            await listener.close()


async def test_both_parties_see_a_booking_and_its_end_within_a_second(
    api: Api, admin: Person, platform: Platform, figure: Any
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    starts = await free_starts(api, doctor)
    slowest = 0.0
    async with (
        listening(platform, doctor, "doctor_id", doctor.uid) as at_doctors,
        listening(platform, patient, "patient_id", patient.uid) as at_patients,
    ):
        await asyncio.gather(at_doctors.is_current(), at_patients.is_current())
        booked = await book(api, patient, doctor, starts[0])
        heard = [await each.next() for each in (at_doctors, at_patients)]
        for fields in heard:
            assert fields["status"].string_value == "booked"
            assert "canary" not in str(fields)  # why they come is sealed
        for change, status in (("reschedule", "booked"), ("cancel", "cancelled")):
            path = f"/v1/appointments/{booked['appointment_id']}"
            if change == "reschedule":
                path = f"/v1/appointments/reschedule/{booked['appointment_id']}"
                answer = await api.post(path, patient, json={"start": starts[1]})
            else:
                answer = await api.delete(path, doctor)
            done = time.monotonic()
            assert answer.status_code < 300
            assert [await each.status() for each in (at_doctors, at_patients)] == [status] * 2
            slowest = max(slowest, time.monotonic() - done)
    figure("seconds until a listener has seen it, at most", f"{slowest:.2f}")
    assert slowest < 1, "the promise is a second, in sight of which milliseconds are nothing"


@pytest.mark.parametrize("field", ["patient_id", "doctor_id"])
async def test_nobody_listens_to_the_appointments_of_others(
    api: Api, admin: Person, platform: Platform, field: str
) -> None:
    doctor, patient = await a_bookable_doctor(api, admin), await a_patient(api)
    await book(api, patient, doctor, (await free_starts(api, doctor))[0])
    curious = await a_patient(api)
    uid = patient.uid if field == "patient_id" else doctor.uid
    async with listening(platform, curious, field, uid) as listener:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listener.next(), 1)
        assert listener.refused is grpc.StatusCode.PERMISSION_DENIED
