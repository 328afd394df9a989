"""One whole platform for the session, on free ports; every test talks to it over the wire.

Tests don't clean up: each makes accounts of its own, so any order and any
leftovers do.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local import tools
from local.platform import Platform, Ports, running
from tests.client import Api


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="healthhub-tests-") as run_dir:
        started = Platform(
            tools.find(),
            Ports.free(),
            Path(run_dir),
            function_env={"REQUESTS_PER_MINUTE": "1000000"},
        )
        with running(started):
            os.environ.update(started.client_env())  # tests look into the stores themselves
            yield started


@pytest.fixture(scope="session")
async def api(platform: Platform) -> AsyncIterator[Api]:
    async with Api(platform.url) as client:
        yield client
