"""The browser itself: both ways to have one, and that its fixture sees what goes wrong."""

import platform as machine
import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from local.tools import ToolMissing
from tests.browser import chromium
from tests.browser.conftest import _watch

A_PAGE = "data:text/html,<title>Here</title><p>Hello</p>"


def a_command(path: Path, output: str) -> None:
    path.write_text(f"#!/bin/sh\n{output}\n")
    path.chmod(0o755)


def test_the_machines_browser_is_taken_if_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(chromium, "_NAMES", ("chromium-browser", "chrome-of-ours"))
    a_command(tmp_path / "chromium-browser", "echo 'install it from the shop, version 1.0'; exit 1")
    assert chromium.on_machine() is None
    a_command(tmp_path / "chrome-of-ours", "echo 'Chromium 147.0.1'")
    assert chromium.on_machine() == chromium.Chromium(tmp_path / "chrome-of-ours")


def test_a_machine_that_npm_has_no_browser_for_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "machine", lambda: "riscv64")
    with pytest.raises(ToolMissing, match="install Chromium"):
        chromium.from_npm("node")


async def test_a_browser_shows_a_page(context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto(A_PAGE)
    await expect(page).to_have_title("Here")
    await expect(page.get_by_text("Hello")).to_be_visible()


async def test_what_goes_wrong_in_a_page_is_seen(browser: Browser) -> None:
    context = await browser.new_context()
    errors = _watch(context)
    page = await context.new_page()
    await page.goto(A_PAGE)
    await page.evaluate("console.error('told'); console.log('no matter')")
    await page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    await page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    await context.close()
    assert len([error for error in errors if "told" in error or "thrown" in error]) == 2
    assert any("ERR_CONNECTION_REFUSED" in error or "ERR_UNSAFE_PORT" in error for error in errors)
    assert not [error for error in errors if "no matter" in error]
