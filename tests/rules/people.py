"""Who asks: real accounts, made, closed, signed out and demoted through the API.

Only what the API can't bring about, such as a sign-out in the very second of
the sign-in, is written into the profile directly.
"""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

from common.clients import DEFAULT_DATABASE
from tests.client import A_PROFILE, Api, Person, a_listed_doctor, make_admin, register, sign_in
from tests.rules.firestore import Firestore

# What `tokens_valid_after` is in relation to the second of the sign-in.
_ENDED = {
    "ended_a_moment_before": timedelta(microseconds=-1),
    "ended_on_the_second": timedelta(0),
    "ended_within_the_second": timedelta(milliseconds=900),
    "ended_later": timedelta(seconds=2),
}


async def meet(api: Api, admin: Person, host: str) -> dict[str, Person]:
    people = {name: await register(api) for name in ("patient", "other")}
    people["admin"] = admin
    people["doctor"] = await a_listed_doctor(api, admin)
    people["unverified_doctor"] = await register(api, "doctor")
    answer = await api.post("/v1/doctors", people["unverified_doctor"], json=A_PROFILE)
    assert answer.status_code == 201, answer.text
    people |= await _demoted(api, admin)
    people |= await _closed(api)
    people |= await _edited(api, host)
    return people


async def _demoted(api: Api, admin: Person) -> dict[str, Person]:
    people = {
        "demoted_admin": await make_admin(api),
        "demoted_doctor": await a_listed_doctor(api, admin),
    }
    for person in people.values():
        path = f"/v1/users/{person.uid}/role"
        answer = await api.put(path, admin, json={"role": "patient"})
        assert answer.status_code == 200, answer.text
    return people


async def _closed(api: Api) -> dict[str, Person]:
    deactivated, signed_out = await register(api), await register(api)
    answer = await api.delete(f"/v1/users/{deactivated.uid}", deactivated)
    assert answer.status_code == 204, answer.text
    answer = await api.post("/v1/logout", signed_out)
    assert answer.status_code == 204, answer.text
    again = await sign_in(api, signed_out.email)
    return {"deactivated": deactivated, "signed_out": signed_out, "signed_in_again": again}


async def _edited(api: Api, host: str) -> dict[str, Person]:
    people = {name: await register(api) for name in (*_ENDED, "switched_off", "never_ended")}
    async with Firestore(host, people) as firestore:
        for name, offset in _ENDED.items():
            moment = auth_time(people[name]) + offset
            path = f"users/{people[name].uid}"
            await firestore.change(path, {"tokens_valid_after": moment})
        await firestore.change(f"users/{people['switched_off'].uid}", {"is_active": False})
        path = f"users/{people['never_ended'].uid}"
        await firestore.change(path, {}, removed=["tokens_valid_after"])
        people["unprofiled"] = await register(api)
        await firestore.remove(f"users/{people['unprofiled'].uid}")
    return people


def auth_time(person: Person) -> datetime:
    return datetime.fromtimestamp(claims(person)["auth_time"], UTC)


def claims(person: Person) -> dict[str, Any]:
    body = person.id_token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


async def copied(
    firestore: Firestore, project: str, rules: str, database: str = DEFAULT_DATABASE
) -> Firestore:
    """Another project of the same emulator, with the same people and with these rules."""
    paths = [f"{c}/{p.uid}" for p in firestore.people.values() for c in ("users", "doctors")]
    profiles = await firestore.fields_of(dict.fromkeys(paths))
    other = Firestore(firestore.host, firestore.people, project, database)
    await other.load(rules)
    await other.store_raw(profiles)
    return other
