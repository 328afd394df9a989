"""The API explorer and `/dev`, as somebody sees them who has just started the platform."""

import asyncio
import json
import subprocess
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from local.platform import Platform
from tests.browser.conftest import PHONE
from tests.client import Api

pytestmark = pytest.mark.usefixtures("demo")


async def opened(page: Page, platform: Platform) -> None:
    await page.goto(f"{platform.url}/docs")
    await expect(page.locator("#operations-doctors-list_doctors")).to_be_visible()


async def signed_in(page: Page, platform: Platform, who: str = "patient") -> None:
    await opened(page, platform)
    await page.get_by_role("button", name=f"As {who}").click()
    await expect(page.get_by_role("status")).to_contain_text(f"({who})")


async def unfolded(page: Page, operation: str) -> Locator:
    """An operation's form, ready to be filled in."""
    found = page.locator(f"#operations-{operation}")
    await found.locator(".opblock-summary-control").click()
    await expect(found.get_by_role("button", name="Execute")).to_be_visible()
    return found


async def answered(operation: Locator) -> tuple[str, Any]:
    """Send it; the status and the body that are shown."""
    await operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table")
    status = live.locator(".response .response-col_status").first
    await expect(status).to_be_visible()
    shown = await live.locator(".response .highlight-code code").first.text_content()
    return (await status.inner_text()).split()[0], json.loads(shown or "null")


async def test_somebody_signs_in_by_one_click_lists_doctors_and_books_one(
    page: Page, platform: Platform, api: Api
) -> None:
    await signed_in(page, platform)
    listing = await unfolded(page, "doctors-list_doctors")
    status, doctors = await answered(listing)
    assert status == "200"
    assert doctors["items"]
    doctor, start = await a_free_slot(api, doctors["items"])
    booking = await unfolded(page, "appointments-book_appointment")
    wish = {"doctor_id": doctor, "start": start, "type": "in_person", "reason": "Tried out"}
    await booking.get_by_role("textbox").last.fill(json.dumps(wish))
    status, booked = await answered(booking)
    assert status == "201"
    assert (booked["doctor_id"], booked["start"]) == (doctor, start)
    taken = await api.get(f"/v1/appointments/available/{doctor}")
    assert start not in [slot["start"] for slot in taken.json()["items"]]


async def a_free_slot(api: Api, doctors: list[dict[str, Any]]) -> tuple[str, str]:
    for doctor in doctors:
        answer = await api.get(f"/v1/appointments/available/{doctor['doctor_id']}")
        if free := answer.json().get("items"):
            return doctor["doctor_id"], free[-1]["start"]
    raise AssertionError("no doctor of the first page has a free slot")


async def test_a_request_is_copied_as_curl_and_runs_in_a_shell(
    context: BrowserContext, page: Page, platform: Platform
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await signed_in(page, platform, "doctor")
    status, shown = await answered(await unfolded(page, "users-get_own_user"))
    assert status == "200"
    await page.locator("#operations-users-get_own_user .curl-command .copy-to-clipboard").click()
    command = await page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("curl")
    in_shell = ["bash", "-c", command]
    printed = await asyncio.to_thread(subprocess.check_output, in_shell, stderr=subprocess.DEVNULL)
    assert json.loads(printed) == shown


async def test_a_wrong_password_is_told_and_signs_nobody_in(
    page: Page, platform: Platform, expected: list[str]
) -> None:
    expected.append("401")
    await opened(page, platform)
    await page.locator("#password").fill("not this one")
    await page.locator("#sign-in button").click()
    await expect(page.get_by_role("status")).to_contain_text("password")
    status, problem = await answered(await unfolded(page, "users-get_own_user"))
    assert (status, problem["status"]) == ("401", 401)


@pytest.mark.parametrize("path", ["/docs", "/dev"])
async def test_a_phone_shows_it_without_scrolling_sideways(
    page: Page, platform: Platform, path: str
) -> None:
    await page.set_viewport_size(PHONE)
    await page.goto(f"{platform.url}{path}")
    if path == "/docs":
        await opened(page, platform)
        await unfolded(page, "doctors-list_doctors")
    else:
        await expect(page.get_by_role("status")).to_have_text("Live")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) <= 0


async def test_dev_shows_what_runs_and_what_happens_as_it_happens(
    page: Page, platform: Platform, api: Api
) -> None:
    await page.goto(f"{platform.url}/dev")
    await expect(page.get_by_role("status")).to_have_text("Live")
    count = len(platform.addresses)
    await expect(page.locator("#running-count")).to_have_text(f"{count} of {count} processes")
    fired = page.locator("#events tr", has_text="sweep_stuck_work")
    before = await fired.count()
    platform.fire("sweep_stuck_work")
    await expect(fired).to_have_count(before + 1)
    await page.locator("#running tr", has_text="gateway").get_by_role("link", name="log").click()
    await page.wait_for_url("**/dev/logs/gateway")
