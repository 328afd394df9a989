"""Far more than is allowed, from one caller: they are told when to come again, and nobody else notices."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import httpx

from local.processes import Children
from tests.client import Api, Person, a_listed_doctor, a_patient, register
from tests.processes import an_instance, answers
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen

_MOST = 60
_FLOOD = 600
_AT_ONCE = 40
_OTHERS = 20
_PAIR = 10
"""Failed sign-ins of one address at one account in a quarter of an hour: SIGN_IN_PAIR of `common/limits.py`."""
_GUESSES = 60


async def tried(scene: Scene) -> Told:
    told = Told(
        "Floods",
        f"{_FLOOD} requests of one person where {_MOST} a minute are allowed; {_GUESSES} guesses of a password at once",
    )
    before = scene.unforeseen()
    ends, rounds = scene.ends(), 0
    while rounds == 0 or time.monotonic() < ends - scene.seconds / 2:
        await _requests(scene, told)
        await _sign_ins(scene, told)
        rounds += 1
    expect_nothing_unforeseen(scene, before, told)
    return told


async def _requests(scene: Scene, told: Told) -> None:
    """On an instance that has a usual limit: the platform's own are there for all the other load."""
    doctor = await a_listed_doctor(scene.api, scene.admin)
    flooding, other = await a_patient(scene.api), await a_patient(scene.api)
    children = Children(scene.folder / "flooded")
    try:
        env = {"REQUESTS_PER_MINUTE": str(_MOST)}
        _, url = an_instance(scene.platform, children, "doctors", env)
        async with Api(url) as flooded:
            await answers(flooded)
            path = f"/doctors/{doctor.uid}"
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one(person: Person | None) -> httpx.Response:
                async with gate:
                    return await flooded.get(path, person)

            flood = [asyncio.create_task(one(flooding)) for _ in range(_FLOOD)]
            spared = [await flooded.get(path, other) for _ in range(_OTHERS)]
            got = await asyncio.gather(*flood)
    finally:
        children.end()
    statuses = Counter(answer.status_code for answer in got)
    told.add("the flood was answered", dict(statuses))
    judge_flood(got, _MOST, told)
    judge_others(spared, told)


def judge_flood(got: Iterable[httpx.Response], most: int, told: Told) -> None:
    """No more than are allowed in a minute, or in two if one turned meanwhile; the rest is 429."""
    statuses = Counter(answer.status_code for answer in got)
    told.expect(set(statuses) <= {200, 429}, f"a flood was answered {dict(statuses)}")
    told.expect(most <= statuses[200] <= 2 * most, f"{statuses[200]} passed where {most} may")
    told.expect(all_say_when(got), "a 429 did not say when to come again")


def all_say_when(got: Iterable[httpx.Response]) -> bool:
    stopped = [answer for answer in got if answer.status_code == 429]
    return all(
        answer.headers.get("retry-after", "").isdigit()
        and answer.headers["content-type"] == "application/problem+json"
        for answer in stopped
    )


def judge_others(spared: Iterable[httpx.Response], told: Told) -> None:
    statuses = Counter(answer.status_code for answer in spared)
    told.add("others were answered meanwhile", dict(statuses))
    told.expect(set(statuses) == {200}, f"others were answered {dict(statuses)} during a flood")


async def _sign_ins(scene: Scene, told: Told) -> None:
    """Guesses from one address: the account's owner signs in elsewhere, another one beside them."""
    victim, neighbour = await register(scene.api), await register(scene.api)
    wrong = {"email": victim.email, "password": "not this one either"}
    async with scene.api.from_elsewhere() as address, scene.api.from_elsewhere() as home:
        guesses = [
            asyncio.create_task(address.post("/v1/login", json=wrong)) for _ in range(_GUESSES)
        ]
        right = [
            await home.post("/v1/login", json=_right(victim)),
            await address.post("/v1/login", json=_right(neighbour)),
        ]
        got = await asyncio.gather(*guesses)
    statuses = Counter(answer.status_code for answer in got)
    told.add("guesses were answered", dict(statuses))
    # 503: of so many at once, some are not even counted. It fails closed.
    told.expect(set(statuses) <= {401, 429, 503}, f"guesses were answered {dict(statuses)}")
    told.expect(statuses[401] <= 2 * _PAIR, f"{statuses[401]} passwords could be tried")
    told.expect(all_say_when(got), "a 429 did not say when to come again")
    judge_others(right, told)


def _right(person: Person) -> dict[str, str]:
    from tests.client import PASSWORD

    return {"email": person.email, "password": PASSWORD}
