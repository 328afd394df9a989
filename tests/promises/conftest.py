"""What several promises look at."""

import pytest

from tests.client import Api
from tests.promises.people import Cell, ask_everything


@pytest.fixture(scope="session")
async def asked(api: Api) -> list[Cell]:
    """The whole matrix, asked once: its answers and its audit events are both promised."""
    return await ask_everything(api)
