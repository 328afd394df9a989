"""Where metrics live in Firestore: `doctors/{doctor_id}/metrics/{year-month}`."""

import asyncio
from collections.abc import Sequence

from common.appointments import practices
from common.metrics import Month, months
from common.scheduling import Practice


async def practice(doctor_id: str) -> Practice | None:
    return await practices.get(doctor_id)


async def of_months(doctor_id: str, names: Sequence[str]) -> dict[str, Month]:
    """Those that there are, by name."""
    found = await asyncio.gather(*(months.get(doctor_id, name) for name in names))
    return {name: month for name, month in zip(names, found, strict=True) if month is not None}
