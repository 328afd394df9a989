"""Wrap every patient's key under the newest version of the KMS key, so that older ones can go."""

import asyncio
from dataclasses import dataclass, field

from common import crypto
from common.problems import NotFound, RecordChanged, Unavailable

_AT_ONCE = 16


@dataclass
class Rotated:
    rotated: int = 0
    destroyed: int = 0
    """Keys of erased patients: there is nothing to wrap."""
    failed: list[str] = field(default_factory=list)
    """Patients whose key KMS did not unwrap or wrap; it is as it was."""


async def rotate_keys(data_keys: bool = False, wait: float = crypto.VAULT_MAX_AGE) -> Rotated:
    """Rotate all keys; can be run again after a crash, and while the platform runs.

    With `data_keys` each patient gets a new data key besides, with which all
    is sealed from then on. It is added first and used after `wait` seconds,
    when no instance is left that does not know it; if it can't be added to
    some, it is used for none, and the rotation must be run again.
    """
    if not data_keys:
        return await _each(crypto.DataKey.KEEP)
    if (added := await _each(crypto.DataKey.ADD)).failed:
        return added
    await asyncio.sleep(wait)
    return await _each(crypto.DataKey.USE)


async def _each(data_key: crypto.DataKey) -> Rotated:
    report = Rotated()
    limit = asyncio.Semaphore(_AT_ONCE)

    async def rotate(key: crypto.PatientKey) -> None:
        async with limit:
            if key.keyset is None:
                report.destroyed += 1
            else:
                try:
                    await _rotated(key, data_key)
                    report.rotated += 1
                except (Unavailable, crypto.NotOpened):
                    report.failed.append(key.id)

    chunk: list[crypto.PatientKey] = []
    async for key in crypto.patient_keys.all_():
        chunk.append(key)
        if len(chunk) == 10 * _AT_ONCE:
            await asyncio.gather(*map(rotate, chunk))
            chunk.clear()
    await asyncio.gather(*map(rotate, chunk))
    return report


async def _rotated(key: crypto.PatientKey, data_key: crypto.DataKey) -> None:
    """A key that changes meanwhile is read again; one that is destroyed meanwhile stays so."""
    current: crypto.PatientKey | None = key
    while current is not None and current.keyset is not None:
        try:
            return await crypto.rotate(current, data_key)
        except (RecordChanged, NotFound):
            current = await crypto.patient_keys.get(key.id)
    return None
