"""Who asks, and whom it is about."""

import asyncio
from dataclasses import dataclass

from common import crypto
from common.auth import users
from common.clinical import Patient, PatientPrivate
from common.crypto import Vault
from common.models import User
from common.patients import current
from common.problems import NotFound


@dataclass(frozen=True)
class Chart:
    """A patient's record, opened."""

    patient: Patient
    private: PatientPrivate
    vault: Vault


async def user(uid: str) -> User | None:
    return await users.get(uid)


async def chart(patient_id: str) -> Chart:
    """Raises `NotFound`."""
    patient, vault = await asyncio.gather(current(patient_id), crypto.vault_of(patient_id))
    return Chart(patient, vault.open_all(patient.path, patient.sealed, PatientPrivate), vault)


async def own_chart(uid: str) -> Chart | None:
    """The record of who asks, if they have one."""
    try:
        return await chart(uid)
    except NotFound:
        return None
