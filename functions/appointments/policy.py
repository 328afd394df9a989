"""Who may do what with an appointment. Pure: everything needed is in the arguments."""

from collections.abc import Set

from common.auth import Principal
from common.models import Role
from common.scheduling import Appointment


def is_its_doctor(principal: Principal, appointment: Appointment) -> bool:
    return principal.role is Role.DOCTOR and principal.uid == appointment.doctor_id


def is_its_patient(principal: Principal, appointment: Appointment) -> bool:
    return principal.uid == appointment.patient_id


def can_see(principal: Principal, appointment: Appointment) -> bool:
    """The two whom it is between, and administrators. That a doctor practises is asked besides."""
    return (
        principal.is_admin
        or is_its_patient(principal, appointment)
        or is_its_doctor(principal, appointment)
    )


def can_update(principal: Principal, appointment: Appointment, fields: Set[str]) -> bool:
    """Of those who see it; the private notes are the doctor's."""
    return "private_notes" not in fields or is_its_doctor(principal, appointment)


def can_set_status(principal: Principal, appointment: Appointment) -> bool:
    return principal.is_admin or is_its_doctor(principal, appointment)


def needs_notice(principal: Principal, doctor_id: str) -> bool:
    """Whoever runs the practice may put somebody in at the last minute."""
    return not (principal.is_admin or principal.uid == doctor_id)


def can_list(principal: Principal, patient_id: str | None, doctor_id: str | None) -> bool:
    """Administrators anybody's; others those of which they are a party."""
    if principal.is_admin:
        return True
    if principal.role is Role.DOCTOR:
        return doctor_id in (None, principal.uid)
    return patient_id in (None, principal.uid)
