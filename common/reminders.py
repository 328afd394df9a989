"""What a person is to be told of their appointments, written together with what it tells of.

`reminders/{appointment_id}` plans it: one document, so that a booking writes
one and a cancellation voids all. When something is due, the clock function
`send_reminders` makes it a message of its own, `messages/{appointment, version,
what}`: whoever creates that name has claimed it, and no one else sends it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from common.appointments import appointments
from common.clinical import NotificationKind
from common.firestore import Batch, Collection, Where, now
from common.models import Record, ReminderChannel
from common.scheduling import Appointment, AppointmentStatus, AppointmentType, WaitlistEntry

_KEPT_FOR = timedelta(days=30)

_MOST_AHEAD = 200
"""Appointments of one person that follow a change of their wishes."""


class ReminderPlan(Record):
    """`reminders/{appointment_id}`."""

    patient_id: str
    doctor_name: str
    type: AppointmentType
    start: datetime
    time_zone: str
    """The doctor's."""
    version: int
    """Of the appointment: what was planned for another one is void."""
    news: NotificationKind | None = None
    """What happened to it that the patient did not do, to be told at once."""
    minutes_before: list[int]
    """Reminders that are still to come."""
    next_time: datetime
    """When the next of all these is due."""


class Message(Record):
    """`messages/{id}`: one message to one person, on each channel that they chose."""

    uid: str
    kind: NotificationKind
    appointment_id: str | None = None
    waitlist_id: str | None = None
    version: int = 0
    doctor_name: str
    type: AppointmentType
    start: datetime
    time_zone: str
    """The doctor's."""
    until: datetime
    """After which it is of no use."""
    sent: list[ReminderChannel] = []
    failed: list[ReminderChannel] = []
    reached: list[str] = []
    """Hashes of the push tokens of the devices that have it."""
    attempts: int = 0
    next_time: datetime | None
    """When to send it, or to try again; None once it is done."""
    expire_time: datetime
    """When Firestore deletes it."""


plans = Collection(ReminderPlan, "reminders")
messages = Collection(Message, "messages")


def plan(
    appointment: Appointment,
    minutes_before: Iterable[int],
    news: NotificationKind | None,
    moment: datetime,
) -> ReminderPlan | None:
    """What there is to tell; None if nothing. A reminder whose time has passed is none."""
    ahead = sorted(
        m for m in set(minutes_before) if appointment.start - timedelta(minutes=m) > moment
    )
    if not ahead and news is None:
        return None
    return ReminderPlan(
        create_time=moment,
        update_time=moment,
        patient_id=appointment.patient_id,
        doctor_name=appointment.doctor_name,
        type=appointment.type,
        start=appointment.start,
        time_zone=appointment.time_zone,
        version=appointment.version,
        news=news,
        minutes_before=ahead,
        next_time=next_time(appointment.start, ahead, news, moment),
    )


def next_time(
    start: datetime, ahead: Sequence[int], news: NotificationKind | None, moment: datetime
) -> datetime:
    return moment if news else start - timedelta(minutes=max(ahead))


def put_plan(
    batch: Batch,
    appointment: Appointment,
    minutes_before: Iterable[int],
    news: NotificationKind | None = None,
    is_new: bool = False,
) -> None:
    """Have the patient reminded, and told the news; whatever was planned before is void."""
    planned = plan(appointment, minutes_before, news, now())
    path = plans.path(appointment.id)
    if planned is not None:
        batch.put(path, planned)
    elif not is_new:
        batch.delete(path)


async def replan(patient_id: str, minutes_before: Sequence[int]) -> None:
    """Have what is booked follow a person's new wishes. Can be done again.

    A cancellation that it meets is not undone by it: what is sent is checked
    against the appointment at the last moment.
    """
    moment = now()
    where: Where = [
        ("patient_id", "==", patient_id),
        ("status", "==", AppointmentStatus.BOOKED),
        ("start", ">=", moment),
    ]
    batch = Batch()
    for appointment in await appointments.find(
        where=where, order=[("start", "ASCENDING")], limit=_MOST_AHEAD
    ):
        planned = await plans.get(appointment.id)
        put_plan(batch, appointment, minutes_before, planned.news if planned else None)
    if len(batch):
        await batch.commit()


def message_of(
    planned: ReminderPlan, appointment_id: str, kind: NotificationKind, moment: datetime
) -> Message:
    is_over = kind is NotificationKind.CANCELLED
    return Message(
        create_time=moment,
        update_time=moment,
        uid=planned.patient_id,
        kind=kind,
        appointment_id=appointment_id,
        version=planned.version,
        doctor_name=planned.doctor_name,
        type=planned.type,
        start=planned.start,
        time_zone=planned.time_zone,
        until=max(planned.start, moment + timedelta(hours=1)) if is_over else planned.start,
        next_time=moment,
        expire_time=planned.start + _KEPT_FOR,
    )


def put_offer(batch: Batch, entry: WaitlistEntry, moment: datetime) -> None:
    """Tell somebody on the waitlist of the slot that is held for them."""
    offer = entry.held()
    message = Message(
        create_time=moment,
        update_time=moment,
        uid=entry.patient_id,
        kind=NotificationKind.OFFER,
        waitlist_id=entry.id,
        doctor_name=offer.doctor_name,
        type=entry.type,
        start=offer.start,
        time_zone=offer.time_zone,
        until=offer.expire_time,
        next_time=moment,
        expire_time=offer.expire_time + _KEPT_FOR,
    )
    batch.put(messages.path(f"{entry.id}-{len(entry.passed)}"), message)
