"""A browser for tests of what people see.

`page` is a fresh tab for each test, with no memory of earlier ones, on a
platform that runs: `await page.goto(f"{platform.url}/docs")`. A test fails by
any error that the browser's console shows and any request that fails; one that
means to cause some names a part of each:

    async def test_a_wrong_password_is_told(page: Page, expected: list[str]) -> None:
        expected.append("401")

Wait by `expect(page.get_by_role("status")).to_have_text("…")`, which asks until
it is so. `await page.set_viewport_size(PHONE)` makes it a phone.
"""

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    ViewportSize,
    async_playwright,
    expect,
)

from local.platform import Platform
from local.tools import ToolMissing
from tests.browser import chromium

PHONE: ViewportSize = {"width": 390, "height": 844}
_STEP_MS = 60_000  # a machine that runs all tests is busy


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for the session. Where there is none to be had, its tests are skipped; in CI they fail."""
    try:
        found = chromium.find()
    except ToolMissing as problem:
        if "CI" in os.environ:
            raise
        pytest.skip(str(problem))
    expect.set_options(timeout=_STEP_MS)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=found.path,
            args=chromium.ARGUMENTS,
            env={**os.environ, **found.env},
        )
        yield started
        await started.close()


@pytest.fixture
def expected() -> list[str]:
    """Parts of the errors that a test means to cause."""
    return []


@pytest.fixture
async def context(browser: Browser, expected: list[str]) -> AsyncIterator[BrowserContext]:
    """A browser that nobody has used, whose errors fail the test; `new_page` opens further tabs."""
    made = await browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    made.set_default_timeout(_STEP_MS)
    errors = _watch(made)
    yield made
    await made.close()
    unexpected = [error for error in errors if not any(part in error for part in expected)]
    assert not unexpected, f"the browser tells of {unexpected[:5]}"


@pytest.fixture
async def page(context: BrowserContext, platform: Platform) -> Page:
    return await context.new_page()


def _watch(context: BrowserContext) -> list[str]:
    """What goes wrong in a context, as it does."""
    errors: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"console: {message.text} ({message.location['url']})")

    def on_answer(answer: Response) -> None:
        if answer.status >= 400:
            errors.append(f"{answer.status}: {answer.request.method} {answer.url}")

    def on_failure(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself gave it up
            errors.append(f"{request.failure}: {request.method} {request.url}")

    context.on("console", on_console)
    context.on("weberror", lambda raised: errors.append(f"uncaught: {raised.error}"))
    context.on("response", on_answer)
    context.on("requestfailed", on_failure)
    return errors
