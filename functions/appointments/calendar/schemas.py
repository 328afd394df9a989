"""What travels to and from the appointments service: calendars, as JSON and as RFC 5545.

A feed is fetched by whoever holds its address, and kept by them: it says when
and with which doctor, never why, and to a doctor never with whom.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from common.models import Role
from common.scheduling import Appointment, AppointmentStatus, AppointmentType
from common.schemas import Moment
from common.zones import zone

ICS = "text/calendar; charset=utf-8"


class CalendarQuery(BaseModel):
    model_config = {"extra": "forbid"}

    from_: Annotated[Moment | None, Field(alias="from", description="Now.")] = None
    to: Annotated[Moment | None, Field(description="A month later; 93 days at most.")] = None


class Feed(BaseModel):
    url: str
    """The feed's path with its secret, below the API's address; shown this once."""


_TYPES = {
    AppointmentType.IN_PERSON: "",
    AppointmentType.VIDEO: " (video)",
    AppointmentType.PHONE: " (phone)",
}

_STATUSES = {
    AppointmentStatus.BOOKED: "CONFIRMED",
    AppointmentStatus.ARRIVED: "CONFIRMED",
    AppointmentStatus.FULFILLED: "CONFIRMED",
    AppointmentStatus.NOSHOW: "CONFIRMED",
    AppointmentStatus.CANCELLED: "CANCELLED",
}


def to_ics(appointments: Sequence[Appointment], role: Role) -> bytes:
    """An RFC 5545 calendar of these, for their patient or their doctor."""
    # Imported here: only feeds need it.
    import icalendar

    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//HealthHub//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", "HealthHub")
    calendar.add("x-wr-calname", "HealthHub")
    calendar.add("refresh-interval", timedelta(minutes=15), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT15M")
    for appointment in appointments:
        calendar.add_component(_event(appointment, role))
    first = min((a.start.date() for a in appointments), default=None)
    last = max((a.end.date() for a in appointments), default=None)
    if first and last:
        calendar.add_missing_timezones(date(first.year, 1, 1), date(last.year + 1, 12, 31))
    return bytes(calendar.to_ical())


def _event(appointment: Appointment, role: Role) -> Any:
    from icalendar import Event

    where = zone(appointment.time_zone)
    with_whom = "" if role is Role.DOCTOR else f" with {appointment.doctor_name}"
    event = Event()
    event.add("uid", f"{appointment.id}@healthhub")
    event.add("sequence", appointment.version)
    event.add("dtstamp", appointment.update_time)
    event.add("created", appointment.create_time)
    event.add("last-modified", appointment.update_time)
    event.add("dtstart", appointment.start.astimezone(where))
    event.add("dtend", appointment.end.astimezone(where))
    event.add("summary", f"Appointment{with_whom}{_TYPES[appointment.type]}")
    event.add("status", _STATUSES[appointment.status])
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE" if appointment.status.is_live else "TRANSPARENT")
    if appointment.place and role is not Role.DOCTOR:
        event.add("location", appointment.place)
    return event
