"""The checks of a day find what is wrong: each is given something that is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.scheduling import Appointment, AppointmentStatus, AppointmentType
from tests.load import checks, ledger
from tests.load.ledger import Sent
from tests.load.memory import growth_of

START = datetime(2026, 12, 1, 9, tzinfo=UTC)


def an_appointment(id: str, **fields: Any) -> Appointment:
    appointment = Appointment.model_construct(
        **{
            "status": AppointmentStatus.BOOKED,
            "type": AppointmentType.VIDEO,
            "start": START,
            "end": START + timedelta(minutes=30),
            **fields,
        }
    )
    appointment.stored_as(f"appointments/{id}", "")
    return appointment


def told(*entries: dict[str, str]) -> ledger.Ledger:
    return ledger.read(json.dumps(entry) for entry in entries)


def booked(id: str, start: datetime = START) -> dict[str, str]:
    return {
        "what": "booked",
        "id": id,
        "doctor": "d",
        "patient": "p",
        "start": start.isoformat(),
    }


CANCELLED = {"what": "cancelled", "id": "a"}
LATER = START + timedelta(hours=1)
MOVED = {"what": "moved", "id": "a", "start": LATER.isoformat()}


@pytest.mark.parametrize(
    ("entries", "stored"),
    [
        ([booked("a")], [an_appointment("a")]),
        ([booked("a"), CANCELLED], [an_appointment("a", status=AppointmentStatus.CANCELLED)]),
        ([booked("a"), MOVED], [an_appointment("a", start=LATER)]),
        ([booked("a"), {"what": "unsure", "id": "a"}], [an_appointment("a", start=LATER)]),
        ([{"what": "unsure"}], [an_appointment("a")]),
        ([{"what": "unsure"}], []),
        ([], []),
    ],
)
def test_a_booking_that_is_as_it_was_acknowledged_is_in_order(
    entries: list[dict[str, str]], stored: list[Appointment]
) -> None:
    assert checks.acknowledged_once(told(*entries), stored).is_kept


@pytest.mark.parametrize(
    ("entries", "stored", "words"),
    [
        ([booked("a")], [], "a was acknowledged and is not there"),
        ([booked("a"), booked("a")], [an_appointment("a")], "two wishes were answered with a"),
        ([booked("a")], [an_appointment("a"), an_appointment("b")], "1 are there that nobody"),
        ([booked("a"), CANCELLED], [an_appointment("a")], "a was cancelled and is booked"),
        (
            [booked("a")],
            [an_appointment("a", status=AppointmentStatus.CANCELLED)],
            "never cancelled and is cancelled",
        ),
        ([booked("a"), MOVED], [an_appointment("a")], "its patient was told"),
        ([booked("a")], [an_appointment("a", start=LATER)], "its patient was told"),
        ([booked("a"), {"what": "unsure", "id": "a"}], [], "is not there"),
    ],
)
def test_a_booking_that_is_lost_doubled_or_elsewhere_is_found(
    entries: list[dict[str, str]], stored: list[Appointment], words: str
) -> None:
    check = checks.acknowledged_once(told(*entries), stored)
    assert not check.is_kept
    assert words in check.words()


def test_a_file_that_did_not_end_or_is_gone_is_found() -> None:
    one, two = Sent("transcriptions", "one"), Sent("medical-images", "two")
    assert checks.ended({one: "completed", two: "rejected: duplicate"}).is_kept
    assert checks.ended({one: "processing"}).broken == ["transcriptions one is processing"]
    assert checks.ended({two: None}).broken == ["medical-images two is not there"]


@pytest.mark.parametrize(
    ("statuses", "is_kept"),
    [
        ({"200": 5, "409": 2}, True),
        ({"200": 5, "busy": 1}, True),  # a 503 that says when to come again
        ({"200": 5, "500": 1}, False),
        ({"200": 5, "503": 1}, False),
        ({"200": 5, "0": 1}, False),
        ({}, False),
    ],
)
def test_an_error_of_ours_is_found(statuses: dict[str, int], is_kept: bool) -> None:
    check = checks.no_errors([{"what": "book", "failures": 0, "statuses": statuses}])
    assert check.is_kept is is_kept


def test_an_answer_that_the_client_did_not_expect_is_found() -> None:
    figures = [{"what": "book", "failures": 2, "statuses": {"200": 5, "404": 2}}]
    assert checks.nothing_unexpected(figures).broken == ["book: 2"]


def test_memory_that_grows_is_found_and_a_warm_up_is_not_growth() -> None:
    warm_up = [50.0] * 5 + [80.0] * 15
    leak = [50.0 + 2 * n for n in range(20)]
    assert checks.memory_is_flat(growth_of({"users": warm_up})).is_kept
    check = checks.memory_is_flat(growth_of({"users": warm_up, "doctors": leak}))
    assert check.broken == ["doctors grew by 20 MB"]
    assert growth_of({"users": [1.0] * 7}) == []
    assert checks.memory_is_flat([]).told == "too short to tell"


def test_of_many_breaks_a_few_are_told_and_how_many_more_there_are() -> None:
    check = checks.Check("it holds", [f"break {n}" for n in range(10)])
    assert check.words() == "break 0; break 1; break 2; and 7 more"


def test_a_line_that_nobody_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody writes"):
        told({"what": "booked"})
