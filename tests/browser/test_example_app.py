"""The example app in a browser, with a person's own data: live, on a phone, and when things go wrong."""

import re
import secrets
from datetime import UTC, datetime

import pytest
from playwright.async_api import BrowserContext, FilePayload, Page, expect

from local import tools, web
from local.platform import Platform
from tests.browser.conftest import PHONE
from tests.client import (
    A_PROFILE,
    PASSWORD,
    Api,
    Person,
    a_listed_doctor,
    a_patient,
    book,
    free_starts,
    put_schedule,
    register,
    try_to_book,
)
from tests.pictured import a_photo, a_scan
from tests.recorded import a_visit

BY_THE_PIPELINE_MS = 60_000


@pytest.fixture(scope="module")
def app(platform: Platform) -> str:
    """Its address; it is built before a test's time runs."""
    web.example(tools.find_node())
    return f"{platform.url}/example/"


@pytest.fixture(scope="module")
async def practice(api: Api, admin: Person) -> Person:
    """A doctor who can be found: nobody else of the tests has this specialty."""
    name = f"Dr. {secrets.token_hex(3)} Abel"
    fields = {**A_PROFILE, "name": name, "specialties": ["allergy_immunology"]}
    doctor = await a_listed_doctor(api, admin, **fields)
    await put_schedule(api, doctor)
    doctor.user["name"] = name
    return doctor


async def signed_in(page: Page, app: str, person: Person) -> None:
    await page.set_viewport_size(PHONE)
    await page.goto(app)
    await page.get_by_label("E-mail").fill(person.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Your visits")).to_be_visible()


async def open_tab(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("link", name=name).click()


async def assert_it_fits(page: Page) -> None:
    overflow = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0


async def test_who_is_signed_out_sees_the_demo_account_filled_in(page: Page, app: str) -> None:
    await page.set_viewport_size(PHONE)
    await page.goto(app)
    await expect(page.get_by_label("E-mail")).to_have_value("patient@demo.healthhub.test")
    await expect(page.get_by_label("Password")).to_have_value("healthhub-demo")
    await expect(page.get_by_role("navigation")).to_be_hidden()
    await assert_it_fits(page)


async def test_a_wrong_password_is_told_and_may_be_corrected(
    page: Page, app: str, api: Api, expected: list[str]
) -> None:
    expected.append("400")  # the sign-in service's word for it
    person = await register(api)
    await page.goto(app)
    await page.get_by_label("E-mail").fill(person.email)
    await page.get_by_label("Password").fill("not it at all")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("E-mail or password is wrong.")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No visits ahead.")).to_be_visible()


async def test_a_visit_that_is_booked_elsewhere_appears_and_changes_by_itself(
    page: Page, app: str, api: Api, practice: Person
) -> None:
    person = await a_patient(api)
    await signed_in(page, app, person)
    await expect(page.get_by_text("No visits ahead.")).to_be_visible()
    visit = await book(api, person, practice, (await free_starts(api, practice))[0])
    card = page.get_by_role("article")
    await expect(card).to_contain_text(practice.user["name"])
    await expect(card).to_contain_text("canary: a cough that stays")  # by the API: it is sealed
    await expect(card).to_contain_text("Booked")
    path = f"/v1/appointments/{visit['appointment_id']}"
    answer = await api.delete(path, person, headers={"If-Match": visit["etag"]})
    assert answer.status_code < 300
    await expect(card).to_contain_text("Cancelled")
    await assert_it_fits(page)


async def test_a_free_time_is_found_and_booked_and_one_that_is_gone_is_told(
    page: Page, app: str, api: Api, practice: Person, expected: list[str]
) -> None:
    expected.append("409")
    person = await a_patient(api)
    await signed_in(page, app, person)
    await open_tab(page, "Book")
    await expect(page.get_by_role("heading", name="Book a visit")).to_be_focused()
    await page.get_by_label("What for").select_option("allergy_immunology")
    await page.get_by_role("button", name=practice.user["name"]).click()
    await page.get_by_role("button", name="More days").click()
    await page.locator(".times button").nth(-1).click()
    await page.get_by_label("What do you come for?").fill("canary: sneezing")
    await assert_it_fits(page)
    start = await shown_start(page)
    taken = await try_to_book(api, await a_patient(api), practice, start)
    assert taken.status_code == 201, taken.text
    confirm = page.get_by_role("button", name=re.compile("^Book "))
    await confirm.click()
    await expect(page.get_by_role("alert")).to_contain_text("no longer free")
    await page.locator("form .times button").first.click()
    await confirm.click()
    await expect(page.get_by_role("heading", name="Your visits")).to_be_visible()
    await expect(page.locator("#told")).to_contain_text("Booked: ")
    await expect(page.get_by_role("article")).to_contain_text("canary: sneezing")


async def shown_start(page: Page) -> str:
    """The chosen slot's begin."""
    label = await page.locator(".times [aria-pressed]").get_attribute("data-start")
    assert label
    assert datetime.fromisoformat(label) > datetime.now(UTC)
    return label


async def send(page: Page, name: str, kind: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": kind, "buffer": content}
    await page.get_by_label("A recording or an image").set_input_files(file)
    await page.get_by_role("button", name="Send").click()


async def test_files_are_sent_and_followed_until_they_are_ready(
    page: Page, app: str, api: Api
) -> None:
    await signed_in(page, app, await a_patient(api))
    await open_tab(page, "Files")
    await expect(page.get_by_text("Nothing was sent yet.")).to_be_visible()
    for name, kind, content in (
        ("visit.wav", "audio/wav", a_visit()),
        ("skin.png", "image/png", a_photo("A photo")),
        ("scan.dcm", "", a_scan()),
    ):
        await send(page, name, kind, content)
        await expect(page.locator("#told")).to_have_text(f"{name} was sent")
    cards = page.get_by_role("article")
    await expect(cards).to_have_count(3)
    for name in ("visit.wav", "skin.png", "scan.dcm"):
        ready = cards.filter(has_text=name)
        await expect(ready).to_contain_text("Ready", timeout=BY_THE_PIPELINE_MS)
    await expect(page.get_by_role("img", name="Preview of")).to_have_count(2)
    await page.get_by_text("What was said").click()
    await expect(page.get_by_text("ibuprofen")).to_be_visible()
    await assert_it_fits(page)


async def test_a_file_that_is_not_what_it_seems_is_refused_with_the_reason(
    page: Page, app: str, api: Api
) -> None:
    await signed_in(page, app, await a_patient(api))
    await open_tab(page, "Files")
    await send(page, "visit.wav", "audio/wav", b"this is no sound at all" * 100)
    card = page.get_by_role("article")
    await expect(card).to_contain_text("Not accepted", timeout=BY_THE_PIPELINE_MS)
    await expect(card).to_contain_text(re.compile(r"\w+ \w+ \w+.*\."))


async def test_being_offline_is_told_and_what_came_meanwhile_is_seen_afterwards(
    page: Page,
    context: BrowserContext,
    app: str,
    api: Api,
    practice: Person,
    expected: list[str],
) -> None:
    expected += ["Could not reach Cloud Firestore", "ERR_INTERNET_DISCONNECTED", "cleardot.gif"]
    person = await a_patient(api)
    await signed_in(page, app, person)
    await expect(page.get_by_text("No visits ahead.")).to_be_visible()
    await context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await book(api, person, practice, (await free_starts(api, practice))[1])
    await context.set_offline(False)
    await expect(page.get_by_text("You are offline.")).to_be_hidden()
    await expect(page.get_by_role("article")).to_contain_text("a cough that stays")


async def test_signing_out_hides_everything(page: Page, app: str, api: Api) -> None:
    await signed_in(page, app, await a_patient(api))
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Your health, in one place")).to_be_visible()
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await expect(page.get_by_role("heading", name="Your visits")).to_be_hidden()
    await page.reload()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
