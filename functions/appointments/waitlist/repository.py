"""Where the waitlist lives in Firestore: `waitlist`."""

from typing import Any

from common import audit
from common.appointments import appointments, practices, waitlist
from common.clinical import Patient
from common.crypto import Vault
from common.firestore import Batch, Where
from common.idempotency import Once
from common.models import AuditEvent
from common.pages import PageQuery
from common.patients import patients
from common.scheduling import Appointment, Practice, WaitlistEntry, WaitlistStatus


async def get(waitlist_id: str) -> WaitlistEntry | None:
    return await waitlist.get(waitlist_id)


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)


async def patient(patient_id: str) -> Patient | None:
    return await patients.get(patient_id)


async def appointment(appointment_id: str) -> Appointment | None:
    return await appointments.get(appointment_id)


async def count_open(patient_id: str) -> int:
    where: Where = [
        ("patient_id", "==", patient_id),
        ("status", "in", [WaitlistStatus.WAITING, WaitlistStatus.OFFERED]),
    ]
    return await waitlist.count(where=where)


async def list_(
    patient_id: str | None, status: WaitlistStatus | None, page: PageQuery
) -> tuple[list[WaitlistEntry], str | None]:
    """Newest first."""
    equal = {"patient_id": patient_id, "status": status}
    where: Where = [(name, "==", value) for name, value in equal.items() if value is not None]
    return await waitlist.list_(where=where, order=[("create_time", "DESCENDING")], page=page)


async def add(
    entry: WaitlistEntry, once: Once, answer: Any, vault: Vault, event: AuditEvent
) -> None:
    batch = Batch()
    batch.create(entry.path, entry)
    once.remember(batch, 201, answer, f"/v1/appointments/waitlist/{entry.id}", vault)
    audit.add(batch, event)
    await batch.commit()


def put_event(batch: Batch, event: AuditEvent) -> None:
    audit.add(batch, event)
