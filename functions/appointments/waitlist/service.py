"""The use cases of the waitlist. How a freed slot finds who waits for it: common/waitlist.py."""

from datetime import timedelta
from secrets import token_hex

from common import access, audit, availability, crypto, waitlist
from common.appointments import waitlist as entries
from common.auth import Principal
from common.booking import Change
from common.firestore import Batch, now
from common.idempotency import Once
from common.models import AuditEvent, Role
from common.preconditions import applied
from common.problems import (
    AlreadyExists,
    Forbidden,
    Invalid,
    NotFound,
    OfferEnded,
    PatientArchived,
    PatientRecordMissing,
    WaitlistFull,
)
from common.scheduling import (
    Appointment,
    AppointmentPrivate,
    WaitlistEntry,
    WaitlistStatus,
)

from ..schemas import AppointmentPublic
from . import repository
from .schemas import WaitlistFilter, WaitlistJoin, WaitlistPublic

_MOST_ENTRIES = 20
_LONGEST = timedelta(days=366)

_OPEN = (WaitlistStatus.WAITING, WaitlistStatus.OFFERED)


async def join(
    caller: Principal, wish: WaitlistJoin, once: Once
) -> tuple[WaitlistEntry, WaitlistPublic]:
    """Wait for a slot of one doctor, or of one specialty.

    Raises `Forbidden` for doctors, `NotFound`, `Invalid`, `PatientRecordMissing`,
    `PatientArchived`, `WaitlistFull`.
    """
    patient_id = wish.patient_id or caller.uid
    await _may(caller, patient_id, "waitlist.join", "waitlist")
    if wish.to <= now():
        raise Invalid.field("/to", "This is past")
    if wish.to - now() > _LONGEST:
        raise Invalid.field("/to", "This is more than a year ahead")
    patient = await repository.patient(patient_id)
    if patient is None or patient.is_being_erased:
        raise PatientRecordMissing if caller.uid == patient_id else NotFound
    if patient.is_archived:
        raise PatientArchived
    if wish.doctor_id is not None:
        practice = await repository.practice(wish.doctor_id)
        if practice is None or not practice.is_listed:
            raise NotFound("There is no such doctor in the directory.")
    if await repository.count_open(patient_id) >= _MOST_ENTRIES:
        raise WaitlistFull
    moment = now()
    wants = f"doctor:{wish.doctor_id}" if wish.doctor_id else f"specialty:{wish.specialty}"
    entry = WaitlistEntry(
        create_time=moment,
        update_time=moment,
        patient_id=patient_id,
        wants=wants,
        doctor_id=wish.doctor_id,
        specialty=wish.specialty,
        type=wish.type,
        from_time=wish.from_,
        to_time=wish.to,
        auto_book=wish.auto_book,
        expire_time=wish.to,
    )
    entry.stored_as(entries.path(token_hex(12)), "")
    vault = await crypto.vault_of(patient_id)
    if wish.reason is not None:
        entry.sealed = {"reason": vault.seal(entry.path, "reason", wish.reason)}
    answer = WaitlistPublic.of(entry)
    try:
        await repository.add(entry, once, answer, vault, _event(caller, "waitlist.join", entry))
    except AlreadyExists:
        await once.replay()
        raise
    return entry, answer


async def list_(caller: Principal, wish: WaitlistFilter) -> tuple[list[WaitlistPublic], str | None]:
    patient_id = wish.patient_id if caller.is_admin else wish.patient_id or caller.uid
    await _may(caller, patient_id, "waitlist.list", "waitlist")
    event = audit.event(caller, "waitlist.list", "waitlist", patient_id)
    found, token = await audit.reading(event, repository.list_(patient_id, wish.status, wish))
    return [WaitlistPublic.of(entry) for entry in found], token


async def leave(caller: Principal, waitlist_id: str) -> None:
    """Off the list; a slot that was held goes to the next in line. Again is no harm."""

    async def change() -> None:
        entry = await _theirs(caller, waitlist_id, "waitlist.leave")
        if entry.status not in _OPEN:
            return
        left = entry.model_copy(update={"status": WaitlistStatus.LEFT, "offer": None})
        await _take_back(caller, entry, left, "waitlist.leave")

    await applied(change)


async def decline(caller: Principal, waitlist_id: str) -> WaitlistPublic:
    """Let an offered slot go to the next in line, and wait on. Raises `OfferEnded`."""

    async def change() -> WaitlistPublic:
        entry = await _theirs(caller, waitlist_id, "waitlist.decline")
        if entry.offer is None:
            raise OfferEnded
        waiting = waitlist.after_offer(entry)
        waiting.stored_as(entry.path, "")
        await _take_back(caller, entry, waiting, "waitlist.decline")
        return WaitlistPublic.of(waiting)

    return await applied(change)


async def _take_back(
    caller: Principal, entry: WaitlistEntry, changed: WaitlistEntry, action: str
) -> None:
    practice = await repository.practice(entry.offer.doctor_id) if entry.offer else None

    def write(batch: Batch) -> None:
        repository.put_event(batch, _event(caller, action, entry))

    await waitlist.take_back(entry, practice, changed, write)


async def accept(
    caller: Principal, waitlist_id: str, once: Once
) -> tuple[Appointment, AppointmentPublic]:
    """Book the slot that is held for the patient.

    Raises `NotFound`, `OfferEnded`, `PatientBusy` for who has booked something else at that time.
    """

    async def change() -> tuple[Appointment, AppointmentPublic]:
        entry = await _theirs(caller, waitlist_id, "waitlist.accept")
        offer = entry.offer
        if offer is None or offer.expire_time <= now():
            raise OfferEnded
        practice = await repository.practice(offer.doctor_id)
        patient = await repository.patient(entry.patient_id)
        if practice is None or not practice.is_listed or practice.schedule is None:
            raise OfferEnded
        if patient is None or patient.is_archived:
            raise PatientArchived
        slots = availability.run(practice.schedule, offer.start)
        if not slots or slots[0].end != offer.end:
            raise OfferEnded("The doctor's hours have changed. You are still on the list.")
        place, write_with = await waitlist.appointment_for(
            entry, patient, practice, slots, caller.uid
        )
        place.is_held = True
        vault = await crypto.vault_of(patient.id)
        private = vault.open_all(
            place.appointment.path, place.appointment.sealed, AppointmentPrivate
        )
        answer = AppointmentPublic.whole(place.appointment, private, caller.uid)

        def write(batch: Batch) -> None:
            write_with(batch)
            once.remember(batch, 201, answer, f"/v1/{place.appointment.path}", vault)
            event = _event(caller, "waitlist.accept", entry)
            repository.put_event(batch, event)

        taking = Change(once)
        taking.take(place)
        await taking.commit(write)
        access.forget(patient.id, practice.id)
        return place.appointment, answer

    return await once.else_replayed(applied(change))


async def _theirs(caller: Principal, waitlist_id: str, action: str) -> WaitlistEntry:
    entry = await repository.get(waitlist_id)
    if entry is None or not (caller.is_admin or caller.uid == entry.patient_id):
        path = entries.path(waitlist_id)
        subject = entry.patient_id if entry else None
        raise await audit.refuse(caller, action, path, subject, NotFound())
    return entry


async def _may(caller: Principal, patient_id: str | None, action: str, path: str) -> None:
    """Patients for themselves, administrators for anybody. Raises `Forbidden`, `NotFound`."""
    if caller.is_admin:
        if patient_id == caller.uid and action == "waitlist.join":
            raise Invalid.field("/patient_id", "Say for whom")
        return
    if caller.role is Role.DOCTOR:
        raise await audit.refuse(caller, action, path, patient_id, Forbidden())
    if patient_id != caller.uid:
        raise await audit.refuse(caller, action, path, patient_id, NotFound())


def _event(caller: Principal, action: str, entry: WaitlistEntry) -> AuditEvent:
    reason = "self" if caller.uid == entry.patient_id else "admin"
    return audit.event(caller, action, entry.path, entry.patient_id, reason=reason)
