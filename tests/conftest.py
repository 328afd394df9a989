"""One whole platform for the session, on free ports; every test talks to it over the wire.

Tests don't clean up: each makes accounts of its own, so any order and any
leftovers do.
"""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every child that is started

import hypothesis
import pytest
from rich.console import Console
from rich.table import Table

from common import clients, rpc
from local import tools
from local.platform import Platform, running
from local.ports import HOST, Ports
from ops.verify_audit import Verified, verify_audit
from tests import promised
from tests.client import EMAIL_DOMAIN, PASSWORD, Api, Person, make_admin, register
from tests.coverage import measured_environment
from tests.demo_data import fill
from tests.indexes import is_declared
from tests.recorder import Recorder

# Whatever a test registers carries these; no log may ever hold one.
CANARIES = (PASSWORD, EMAIL_DOMAIN, "García", "canary")

# The same examples in each run: a suite that fails by chance is not believed.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("same")

_figures: list[promised.Figure] = []
_outcomes: dict[str, list[bool]] = {}
"""Whether each test passed that carries a promise's number, by number."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promises",
        action="store_true",
        help="print the promises' figures, and write the document",
    )


_FILLING = ("promises/", "stress/", "load/", "test_readme.py", "common/test_pictures.py")
"""What fills the database, whose emulator reads all there is for each query; or takes long."""
_SHORT = "common/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What could come at any time comes so that all takes least time.

    What reads or restores the whole database comes while that is small, and what fills it late;
    short files come last, so that no worker waits long for the other.
    """

    def turn(item: pytest.Item) -> tuple[bool, int]:
        file = item.nodeid.removeprefix("tests/")
        late = 1 if file.startswith(_FILLING) else 2 if file.startswith(_SHORT) else 0
        return item.get_closest_marker("whole_database") is None, late

    items.sort(key=turn)


@pytest.fixture(scope="session")
def ports() -> Ports:
    return Ports.free()


@pytest.fixture(scope="session")
def recorder(ports: Ports) -> Iterator[Recorder]:
    started = Recorder(f"{HOST}:{ports.firestore}")
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def platform(ports: Ports, recorder: Recorder) -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="healthhub-tests-") as run_dir:
        started = Platform(
            tools.find(),
            ports,
            Path(run_dir),
            function_env={
                "REQUESTS_PER_MINUTE": "1000000",
                "TRACE_RATIO": "0.1",  # all would take a tenth of the suite's time
                "FIRESTORE_EMULATOR_HOST": recorder.address,
                "CORS_ORIGINS": "https://app.healthhub.test",
                **measured_environment(),
            },
            is_demo=True,
        )
        with running(started):
            os.environ.update(started.client_env())  # tests look into the stores themselves
            yield started
            verified = asyncio.run(trail_of(started))
        assert not verified.breaks, f"the audit trail is not what was logged: {verified.breaks[:5]}"
        leaks = found_in_logs(started, CANARIES)
        assert not leaks, f"patient data in logs: {leaks[:5]}"


async def trail_of(platform: Platform) -> Verified:
    """Promise 23, for the whole suite: its audit trail, against what the functions logged."""
    clients.firestore_client.cache_clear()  # this is another event loop
    rpc._getter.cache_clear()
    rpc._committer.cache_clear()
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in platform.functions]
    return await verify_audit(*(log.read_text(errors="replace").splitlines() for log in logs))


def found_in_logs(platform: Platform, canaries: tuple[str, ...]) -> list[str]:
    """Log lines of functions and gateway, and traced spans, that hold one of these."""
    named = (*platform.functions, "gateway", "traces")
    logs = [platform.run_dir / "logs" / f"{name}.log" for name in named]
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    assert lines, "the functions logged nothing, so this would prove nothing"
    return [line for line in lines if any(canary in line for canary in canaries)]


@pytest.fixture(scope="session")
async def api(platform: Platform) -> AsyncIterator[Api]:
    async with Api(platform.url) as client:
        yield client


@pytest.fixture(scope="session")
def demo(platform: Platform) -> dict[str, int]:
    """The demo data and its accounts; how much there is of each kind."""
    return fill(platform)


@pytest.fixture(scope="session")
async def admin(api: Api) -> Person:
    return await make_admin(api)


@pytest.fixture
async def patient(api: Api) -> Person:
    return await register(api, "patient")


@pytest.fixture
async def doctor(api: Api) -> Person:
    """A doctor's account; `tests.client.a_listed_doctor` makes a profile too."""
    return await register(api, "doctor")


@pytest.fixture
async def within_a_window() -> None:
    """Limits count per quarter of an hour or hour of the clock: a test must not run across the turn of one."""
    left = 900 - time.time() % 900
    if left < 30:
        await asyncio.sleep(left)


@pytest.fixture(autouse=True)
def every_query_is_indexed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Promise 16, for the whole suite: a test that causes a query without its index fails."""
    yield
    if "platform" in request.fixturenames:
        recorder: Recorder = request.getfixturevalue("recorder")
        undeclared = [shape for shape in recorder.shapes if not is_declared(shape)]
        recorder.shapes.difference_update(undeclared)  # blame this test only
        assert not undeclared, f"no index declared for {undeclared}"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Record a promise's figure, for the table of `make promises`."""
    number = re.match(r"test_p(\d\d)_", request.node.name)

    def record(what: str, value: object) -> None:
        _figures.append((number[1] if number else "", what, str(value)))

    return record


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.failed:
        name = report.nodeid.rsplit("::", 1)[-1]
        for number in re.findall(r"_p(\d\d)(?=_)", name.split("[")[0]):
            _outcomes.setdefault(number, []).append(report.passed)


def pytest_terminal_summary(config: pytest.Config) -> None:
    if not config.getoption("--promises"):
        return
    if len(_outcomes) == sum(map(len, promised.PROMISES.values())):  # all were run, not some
        promised.write(_figures, _outcomes)
    table = Table("promise", "figure", "value", title="Promises", title_justify="left")
    for row in sorted(_figures):
        table.add_row(*row)
    Console().print(table)
