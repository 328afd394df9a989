"""Settings: what is required, and errors that name the variable but never its value."""

import base64

import pytest

from common.settings import ConfigurationError, from_environment

GOOD = {
    "GOOGLE_CLOUD_PROJECT": "demo-healthhub",
    "PAGE_TOKEN_KEY": base64.b64encode(b"k" * 32).decode(),
}


def test_two_variables_are_enough() -> None:
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
        ("PROXY_HOPS", "canary"),
        ("REQUESTS_PER_MINUTE", "0"),
    ],
)
def test_what_is_unusable_is_named_without_its_value(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_environment({**GOOD, variable: value})
    assert variable in str(error.value)
    assert value not in str(error.value) or value == "0"
