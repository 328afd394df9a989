"""What travels to and from the doctors service: schedules."""

from datetime import datetime

from pydantic import BaseModel

from common.scheduling import Appointment, AppointmentStatus, AppointmentType, Schedule


class SchedulePublic(Schedule):
    update_time: datetime


class ScheduleConflict(BaseModel):
    """An appointment that was booked before and does not fit the new hours. It is kept."""

    appointment_id: str
    start: datetime
    end: datetime
    type: AppointmentType
    status: AppointmentStatus

    @classmethod
    def of(cls, appointment: Appointment) -> "ScheduleConflict":
        shown = ("start", "end", "type", "status")
        fields = {name: getattr(appointment, name) for name in shown}
        return cls(appointment_id=appointment.id, **fields)


class ScheduleSaved(SchedulePublic):
    conflicts: list[ScheduleConflict]
    """Appointments ahead that don't fit, the next first; 200 at most."""
    conflict_count: int
    bookable_from: datetime | None
    """Set when slots moved: until then no slot can be booked, for some seconds."""
