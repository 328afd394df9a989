"""The people, and the project that the platform runs with."""

import os
from collections.abc import AsyncIterator

import pytest

from local.platform import Platform
from tests.client import Api, Person
from tests.rules.firestore import Firestore
from tests.rules.people import meet


@pytest.fixture(scope="session")
async def firestore(platform: Platform, api: Api, admin: Person) -> AsyncIterator[Firestore]:
    """With the rules that the platform loaded at its start."""
    host = os.environ["FIRESTORE_EMULATOR_HOST"]
    async with Firestore(host, await meet(api, admin, host)) as client:
        yield client
