"""The use cases of appointments: from what is free to the visit that took place."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from common import (
    access,
    audit,
    availability,
    booking,
    crypto,
    metrics,
    reminders,
    slots,
    visits,
    waitlist,
)
from common.auth import Principal, accounts
from common.availability import Slot
from common.booking import Change, Place
from common.clinical import NotificationKind, Patient
from common.crypto import Vault
from common.firestore import ANY_REVISION, Batch, now
from common.idempotency import Once
from common.models import AuditEvent, Role
from common.preconditions import applied
from common.problems import (
    Forbidden,
    Invalid,
    NotAccepting,
    NotFound,
    PatientArchived,
    PatientRecordMissing,
    RecordChanged,
    StatusConflict,
)
from common.scheduling import (
    Appointment,
    AppointmentPrivate,
    AppointmentStatus,
    AppointmentType,
    Practice,
    Schedule,
    Span,
)
from common.waitlist import Freed
from common.zones import instant, zone

from . import policy, repository
from .schemas import (
    AppointmentCreate,
    AppointmentFilter,
    AppointmentPublic,
    AppointmentSort,
    AppointmentSummary,
    AppointmentUpdate,
    Availability,
    AvailabilityQuery,
    Cancellation,
    Reschedule,
)

_MOST_DAYS = timedelta(days=31)

_ARRIVES_WITHIN = timedelta(hours=12)
"""Before its start, a visit can't have begun."""

# ---------------------------------------------------------------- what is free


async def available(doctor_id: str, wish: AvailabilityQuery) -> Availability:
    """The free slots of a listed doctor. Raises `NotFound`, `Invalid`.

    Costs one read and one for each slot that is booked in that time.
    """
    practice = await repository.practice(doctor_id)
    if practice is None or not practice.is_listed:
        raise NotFound
    if practice.schedule is None:
        raise NotFound("This doctor has entered no schedule yet.")
    schedule = practice.schedule
    asked = _asked_window(wish, schedule)
    possible = availability.bookable(schedule, now())
    window = Span(start=max(asked.start, possible.start), end=min(asked.end, possible.end))
    free: list[Slot] = []
    if window.start < window.end:
        spans = await slots.taken(practice, window)
        minutes = wish.duration_minutes
        free = list(availability.free(schedule, spans, window, wish.type, minutes))
    answer = Availability(
        doctor_id=doctor_id,
        time_zone=schedule.time_zone,
        slot_minutes=schedule.slot_minutes,
        start=asked.start,
        end=asked.end,
        items=[slots.shown(slot, schedule) for slot in free],
    )
    if not free:
        later = await slots.next_free(practice, asked.end, wish.type, wish.duration_minutes, 1)
        answer.next_free = later[0] if later else None
    return answer


def _asked_window(wish: AvailabilityQuery, schedule: Schedule) -> Span:
    start = _moment(wish.from_, schedule, 0) or now()
    end = _moment(wish.to, schedule, 1) or start + timedelta(days=7)
    if end <= start:
        raise Invalid.field("?to", "This is not after from")
    if end - start > _MOST_DAYS + timedelta(hours=1):  # a month in which clocks are put back
        raise Invalid.field("?to", "31 days at most can be asked for at once")
    return Span(start=start, end=end)


def _moment(asked: datetime | date | None, schedule: Schedule, days_on: int) -> datetime | None:
    if asked is None or isinstance(asked, datetime):
        return asked
    if not 2000 <= asked.year <= 2200:
        raise Invalid.field("?from", "This year can't be booked")
    return instant(zone(schedule.time_zone), asked + timedelta(days=days_on), 0)


# ---------------------------------------------------------------- booking


async def book(
    caller: Principal, wish: AppointmentCreate, once: Once
) -> tuple[Appointment, AppointmentPublic]:
    """Give free slots to one patient.

    They are taken by creating their documents in the same batch as the
    appointment, so of two who reach for one together one is served, and the
    other gets `SlotTaken` with the next free ones.

    Raises `NotFound` (doctor or patient), `Invalid` (no slot, or not to be
    booked now), `SlotTaken`, `PatientBusy`, `PatientArchived`,
    `PatientRecordMissing`, `NotAccepting`.
    """
    patient_id = await once.else_replayed(_for_whom(caller, wish))

    async def change() -> tuple[Appointment, AppointmentPublic]:
        minutes = wish.duration_minutes
        await booking.look_if_contended(once, wish.doctor_id, wish.start, wish.type, minutes)
        read_at = booking.read_now()
        practice, patient = await _parties(wish.doctor_id, patient_id, caller)
        await _refuse_new_patients(caller, practice, patient)
        practice = await slots.settled(practice)
        needed = _slots(caller, practice, wish.start, wish.type, minutes)
        appointment = visits.new_appointment(
            practice, patient, needed, minutes, wish.type, caller.uid
        )
        taking = Change(once)
        taking.take(Place(practice, appointment, needed, minutes, read_at))
        vault = await crypto.vault_of(patient_id)
        private = AppointmentPrivate(reason=wish.reason)
        appointment.sealed = vault.seal_all(appointment.path, private, only={"reason"})
        answer = _whole(caller, appointment, private)
        account = await accounts.get(patient_id)
        is_told = account.role is not None and caller.uid != patient_id
        news = NotificationKind.BOOKED if is_told else None

        def write(batch: Batch) -> None:
            visits.enter(batch, appointment, patient, account.minutes_before, news)
            once.remember(batch, 201, answer, f"/v1/{appointment.path}", vault)
            audit.add(batch, _event(caller, "appointments.create", appointment))

        await taking.commit(write)
        access.forget(patient_id, practice.id)
        return appointment, answer

    return await once.else_replayed(applied(change))


async def _for_whom(caller: Principal, wish: AppointmentCreate) -> str:
    """The patient's id. Who may not see a patient may not book for them either."""
    patient_id = wish.patient_id or caller.uid
    if patient_id != caller.uid:
        await access.ground(caller, patient_id, "appointments.create", f"patients/{patient_id}")
    elif caller.role is not Role.PATIENT:
        raise Invalid.field("/patient_id", "Say for whom")
    if patient_id == wish.doctor_id:
        raise Invalid.field("/doctor_id", "Nobody is their own doctor")
    return patient_id


async def _parties(doctor_id: str, patient_id: str, caller: Principal) -> tuple[Practice, Patient]:
    practice, patient = await repository.both(doctor_id, patient_id)
    if practice is None or not practice.is_listed:
        raise NotFound("There is no such doctor in the directory.")
    if patient is None or patient.is_being_erased:
        raise PatientRecordMissing if caller.uid == patient_id else NotFound
    if patient.is_archived:
        raise PatientArchived
    if practice.schedule is None:
        raise Invalid.field("/start", "This doctor has entered no schedule yet")
    return practice, patient


async def _refuse_new_patients(caller: Principal, practice: Practice, patient: Patient) -> None:
    """A doctor who takes no new patients still sees those whom they have."""
    if practice.is_accepting_patients or not policy.needs_notice(caller, practice.id):
        return
    grant = await repository.grant(patient.id, practice.id)
    if grant is None or not access.is_on_care_team(grant, now()):
        raise NotAccepting


def _slots(
    caller: Principal,
    practice: Practice,
    start: datetime,
    type_: AppointmentType,
    minutes: int | None,
) -> list[Slot]:
    """The slots of this wish. Raises `Invalid`, which says what is wrong with it."""
    schedule = practice.hours()
    moment = now()
    needs_notice = policy.needs_notice(caller, practice.id)
    window = availability.bookable(schedule, moment, needs_notice)
    if start <= moment:
        raise Invalid.field("/start", "This is past")
    if start < window.start:
        hours = schedule.min_notice_hours
        raise Invalid.field("/start", f"This doctor is booked {hours} hours ahead at the latest")
    if start >= window.end:
        days = schedule.max_days_ahead
        raise Invalid.field("/start", f"This doctor is booked {days} days ahead at most")
    if not availability.run(schedule, start):
        raise Invalid.field("/start", "Not the start of a slot of this doctor")
    needed = availability.run(schedule, start, minutes)
    if not needed:
        raise Invalid.field("/duration_minutes", "The doctor's hours end before that")
    if type_ not in needed[0].types:
        raise Invalid.field("/type", "Not offered at this time")
    return needed


# ---------------------------------------------------------------- reading


async def get(caller: Principal, appointment_id: str) -> tuple[Appointment, AppointmentPublic]:
    """Raises `NotFound`, also for an appointment between others."""
    appointment = await _theirs(caller, appointment_id, "appointments.read")
    event = _event(caller, "appointments.read", appointment)
    vault = await audit.reading(event, crypto.vault_of(appointment.patient_id))
    return appointment, _whole(caller, appointment, _opened(vault, appointment))


async def list_(
    caller: Principal, wish: AppointmentFilter
) -> tuple[list[AppointmentSummary], str | None]:
    """Theirs: of a patient as patient, of a doctor as doctor, of an administrator all."""
    action = "appointments.list"
    if not policy.can_list(caller, wish.patient_id, wish.doctor_id):
        # Somebody else's are answered as nobody's are.
        await audit.refuse(caller, action, "appointments", wish.patient_id, NotFound())
        return [], None
    patient_id, doctor_id = wish.patient_id, wish.doctor_id
    if caller.role is Role.PATIENT:
        patient_id = caller.uid
    elif caller.role is Role.DOCTOR:
        doctor_id = caller.uid
    event = audit.event(caller, action, "appointments", patient_id)
    if caller.role is Role.DOCTOR and not await access.practises(caller.uid):
        await audit.record(event)
        return [], None
    latest = wish.sort is AppointmentSort.LATEST
    page = repository.list_(patient_id, doctor_id, wish.status, wish.from_, wish.to, latest, wish)
    found, token = await audit.reading(event, page)
    return [AppointmentSummary.of(each) for each in found], token


async def _theirs(caller: Principal, appointment_id: str, action: str) -> Appointment:
    appointment = await repository.get(appointment_id)
    if appointment is not None and policy.can_see(caller, appointment):
        is_doctors = policy.is_its_doctor(caller, appointment)
        if not is_doctors or await access.practises(caller.uid):
            return appointment
    path = f"appointments/{appointment_id}"
    subject = appointment.patient_id if appointment else None
    raise await audit.refuse(caller, action, path, subject, NotFound())


def _opened(vault: Vault, appointment: Appointment) -> AppointmentPrivate:
    return vault.open_all(appointment.path, appointment.sealed, AppointmentPrivate)


def _whole(
    caller: Principal, appointment: Appointment, private: AppointmentPrivate
) -> AppointmentPublic:
    return AppointmentPublic.whole(appointment, private, caller.uid)


def _event(caller: Principal, action: str, appointment: Appointment) -> AuditEvent:
    ground = "admin" if caller.is_admin else "care_team"
    if policy.is_its_patient(caller, appointment):
        ground = "self"
    return audit.event(caller, action, appointment.path, appointment.patient_id, reason=ground)


# ---------------------------------------------------------------- changing


async def update(
    caller: Principal, appointment_id: str, wish: AppointmentUpdate, revision: str = ANY_REVISION
) -> tuple[Appointment, AppointmentPublic]:
    """Raises `NotFound`, `Forbidden`, `StatusConflict` for one that is over, `RecordChanged`."""
    action = "appointments.update"
    fields = {name: getattr(wish, name) for name in wish.model_fields_set}

    async def change() -> tuple[Appointment, AppointmentPublic]:
        old = await _theirs(caller, appointment_id, action)
        if not policy.can_update(caller, old, set(fields)):
            raise await audit.refuse(caller, action, old.path, old.patient_id, Forbidden())
        _insist(old, revision)
        if not old.status.is_live and set(fields) - {"notes", "private_notes"}:
            raise StatusConflict("This appointment is over; only its notes can change.")
        vault = await crypto.vault_of(old.patient_id)
        private = _changed(_opened(vault, old), caller, fields)
        changes: dict[str, Any] = {"sealed": vault.seal_all(old.path, private)}
        minutes_before = None
        if fields.get("type", old.type) is not old.type:
            changes |= await _other_type(old, fields["type"])
            minutes_before = (await accounts.get(old.patient_id)).minutes_before
        changed = old.model_copy(update={**changes, "update_time": now()})
        event = _event(caller, action, old)
        stored = await repository.save(old, changed, changes, minutes_before, event)
        changed.stored_as(old.path, stored)
        return changed, _whole(caller, changed, private)

    return await applied(change, revision)


def _changed(
    private: AppointmentPrivate, caller: Principal, fields: Mapping[str, Any]
) -> AppointmentPrivate:
    texts = {name: fields[name] for name in ("reason", "notes") if name in fields}
    if "private_notes" in fields:
        own = {**private.private_notes, caller.uid: fields["private_notes"]}
        texts["private_notes"] = {uid: text for uid, text in own.items() if text is not None}
    return private.model_copy(update=texts)


async def _other_type(old: Appointment, type_: AppointmentType) -> dict[str, Any]:
    """What another type changes. Raises `Invalid` when it is not offered at that time."""
    practice = await repository.practice(old.doctor_id)
    found = []
    if practice is not None and practice.schedule is not None:
        found = availability.run(practice.schedule, old.start)
    if practice is None or not found or type_ not in found[0].types:
        raise Invalid.field("/type", "Not offered at this time")
    place = visits.place_of(practice, type_)
    return {"type": type_, "place": place, "version": old.version + 1}


def _insist(old: Appointment, revision: str) -> None:
    if revision not in (ANY_REVISION, old.revision):
        raise RecordChanged


async def cancel(
    caller: Principal, appointment_id: str, wish: Cancellation, revision: str = ANY_REVISION
) -> None:
    """Cancel, free its time, and offer that to who waits for it: one batch.

    Again is no harm. Raises `NotFound`, `StatusConflict` for a visit that is over, `RecordChanged`.
    """
    action = "appointments.cancel"

    async def change() -> None:
        old = await _theirs(caller, appointment_id, action)
        if old.status is AppointmentStatus.CANCELLED:
            return
        _insist(old, revision)
        if not old.status.may_become(AppointmentStatus.CANCELLED):
            raise StatusConflict("This visit is over and can't be cancelled.")
        vault, practice, ended, account = await asyncio.gather(
            crypto.vault_of(old.patient_id),
            repository.practice(old.doctor_id),
            repository.without_visit(old),
            accounts.get(old.patient_id),
        )
        sealed = dict(old.sealed)
        if wish.reason is not None:
            name = "cancellation_reason"
            sealed[name] = vault.seal(old.path, name, wish.reason)
        fields = {
            "status": AppointmentStatus.CANCELLED,
            "status_time": now(),
            "cancelled_by": _acts_as(caller, old),
            "version": old.version + 1,
            "sealed": sealed,
        }
        freeing = Change()
        freeing.free(old)
        freed = await _passed_on(freeing, practice, old)

        def write(batch: Batch) -> None:
            repository.put_change(batch, old, fields)
            is_told = account.role is not None and caller.uid != old.patient_id
            news = NotificationKind.CANCELLED if is_told else None
            cancelled = old.model_copy(update={"version": old.version + 1})
            cancelled.stored_as(old.path, "")
            reminders.put_plan(batch, cancelled, [], news)
            metrics.count_cancellation(batch, old, _acts_as(caller, old))
            if ended is not None:
                repository.put_visits_end(batch, ended)
            for each in freed:
                each(batch)
            audit.add(batch, _event(caller, action, old))

        await freeing.commit(write)
        access.forget(old.patient_id, old.doctor_id)

    await applied(change, revision)


def _acts_as(caller: Principal, appointment: Appointment) -> Role:
    return Role.PATIENT if policy.is_its_patient(caller, appointment) else caller.role


async def _passed_on(
    change: Change, practice: Practice | None, old: Appointment, kept: frozenset[str] = frozenset()
) -> list[waitlist.Write]:
    """Offer each slot that the change frees; returns what is to be written with that."""
    if practice is None:
        return []
    freed = Freed(change, practice, old.patient_id)
    for name in old.slots:
        if name not in kept:
            await freed.pass_on(name)
    return freed.writes


async def reschedule(
    caller: Principal, appointment_id: str, wish: Reschedule, once: Once
) -> tuple[Appointment, AppointmentPublic]:
    """Give up the old time and take the new in one batch: both happen, or neither.

    Raises as `book` does, and `StatusConflict` for what is not booked any more.
    """
    action = "appointments.reschedule"

    async def change() -> tuple[Appointment, AppointmentPublic]:
        read_at = booking.read_now()
        old = await _theirs(caller, appointment_id, action)
        if old.status is not AppointmentStatus.BOOKED:
            raise StatusConflict("Only a booked appointment can be moved.")
        doctor_id = wish.doctor_id or old.doctor_id
        type_ = wish.type or old.type
        practice, patient = await _parties(doctor_id, old.patient_id, caller)
        if doctor_id != old.doctor_id:
            await _refuse_new_patients(caller, practice, patient)
        practice = await slots.settled(practice)
        minutes = _minutes_for(old)
        needed = _slots(caller, practice, wish.start, type_, minutes)
        vault, account = await asyncio.gather(crypto.vault_of(patient.id), accounts.get(patient.id))
        moved = visits.moved(old, practice, needed, minutes, type_)
        moving = Change(once)
        moving.free(old)
        moving.take(Place(practice, moved, needed, minutes, read_at))
        before = (
            practice if doctor_id == old.doctor_id else await repository.practice(old.doctor_id)
        )
        kept = frozenset(moved.slots) if doctor_id == old.doctor_id else frozenset()
        freed = await _passed_on(moving, before, old, kept)
        ended = await repository.without_visit(old) if doctor_id != old.doctor_id else None
        private = _opened(vault, old)
        answer = _whole(caller, moved, private)

        def write(batch: Batch) -> None:
            repository.put_change(batch, old, dict(moved))
            access.visit(batch, patient, practice.id, moved.end)
            if ended is not None:
                repository.put_visits_end(batch, ended)
            is_told = account.role is not None and caller.uid != patient.id
            news = NotificationKind.RESCHEDULED if is_told else None
            reminders.put_plan(batch, moved, account.minutes_before, news)
            for each in freed:
                each(batch)
            once.remember(batch, 200, answer, f"/v1/{old.path}", vault)
            audit.add(batch, _event(caller, action, old))

        committed = await moving.commit(write)
        moved.stored_as(old.path, committed.revisions[old.path])
        access.forget(patient.id, practice.id)
        return moved, answer

    return await once.else_replayed(applied(change))


def _minutes_for(old: Appointment) -> int | None:
    """An appointment of one slot becomes one of one slot there; a longer one stays as long."""
    if len(old.slots) == 1:
        return None
    return int((old.end - old.start).total_seconds()) // 60


async def set_status(
    caller: Principal, appointment_id: str, status: AppointmentStatus
) -> tuple[Appointment, AppointmentPublic]:
    """Along the state machine only. Raises `NotFound`, `Forbidden`, `StatusConflict`."""
    action = "appointments.set-status"

    async def change() -> tuple[Appointment, AppointmentPublic]:
        old = await _theirs(caller, appointment_id, action)
        if not policy.can_set_status(caller, old):
            raise await audit.refuse(caller, action, old.path, old.patient_id, Forbidden())
        vault = await crypto.vault_of(old.patient_id)
        moment = now()
        if old.status is not status:
            _refuse_status(old, status, moment)
            is_missed = status is AppointmentStatus.NOSHOW
            ended = await repository.without_visit(old) if is_missed else None
            event = _event(caller, action, old)
            stored = await repository.save_status(old, status, moment, ended, event)
            changes = {"status": status, "status_time": moment, "update_time": moment}
            new = old.model_copy(update=changes)
            new.stored_as(old.path, stored)
            if ended is not None:
                access.forget(old.patient_id, old.doctor_id)
            old = new
        return old, _whole(caller, old, _opened(vault, old))

    return await applied(change)


def _refuse_status(old: Appointment, status: AppointmentStatus, moment: datetime) -> None:
    if not old.status.may_become(status):
        raise StatusConflict(f"What is {old.status} can't become {status}.")
    if status is AppointmentStatus.NOSHOW and moment < old.start:
        raise StatusConflict("Nobody can be late for what has not begun.")
    if status is AppointmentStatus.ARRIVED and moment < old.start - _ARRIVES_WITHIN:
        raise StatusConflict("This appointment is not today.")
