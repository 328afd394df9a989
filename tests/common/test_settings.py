"""Settings: what is required, and errors that name the variable but never its value."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, just

from common.settings import ConfigurationError, Retention, from_environment

GOOD = {
    "GOOGLE_CLOUD_PROJECT": "demo-healthhub",
    "PAGE_TOKEN_KEY": base64.b64encode(b"k" * 32).decode(),
    "AUDIT_KEY": base64.b64encode(b"a" * 32).decode(),
}


def test_three_variables_are_enough() -> None:
    found = from_environment(GOOD)
    assert found.project_id == "demo-healthhub"
    assert found.page_token_key == b"k" * 32
    assert found.cors_origins == ()


def test_the_others_are_read_when_they_are_set() -> None:
    found = from_environment({**GOOD, "CORS_ORIGINS": "https://a,https://b", "PROXY_HOPS": "1"})
    assert found.cors_origins == ("https://a", "https://b")
    assert found.proxy_hops == 1


@pytest.mark.parametrize("missing", GOOD)
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        from_environment({k: v for k, v in GOOD.items() if k != missing})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PAGE_TOKEN_KEY", "canary!"),
        ("PAGE_TOKEN_KEY", base64.b64encode(b"canary").decode()),
        ("AUDIT_KEY", "canary!"),
        ("RETENTION", "canary=6y"),
        ("RETENTION", "history=canary"),
        ("RETENTION", "history=0y"),
        ("RETENTION", "canary"),
        ("PROXY_HOPS", "canary"),
        ("REQUESTS_PER_MINUTE", "0"),
    ],
)
def test_what_is_unusable_is_named_without_its_value(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_environment({**GOOD, variable: value})
    assert variable in str(error.value)
    assert value not in str(error.value) or value == "0"


def test_retention_is_set_by_kind_and_the_rest_stays_at_six_years() -> None:
    retention = from_environment({**GOOD, "RETENTION": "history=10y,notifications=90d"}).retention
    moment = datetime(2020, 2, 29, 12, tzinfo=UTC)
    assert retention.end("history", moment) == datetime(2030, 3, 1, 12, tzinfo=UTC)
    assert retention.end("notifications", moment) == datetime(2020, 5, 29, 12, tzinfo=UTC)
    assert retention.end("audit_events", moment) == datetime(2026, 3, 1, 12, tzinfo=UTC)


FIRST, LAST = datetime(1950, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - the zone comes apart


@given(moment=datetimes(FIRST, LAST, timezones=just(UTC)))
def test_nothing_is_before_its_cutoff_that_is_still_kept(moment: datetime) -> None:
    retention = Retention()
    for kind in Retention.model_fields:
        assert retention.end(kind, retention.cutoff(kind, moment)) <= moment
