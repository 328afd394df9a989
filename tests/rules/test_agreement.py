"""Whether the rules and the server mean the same: who is active, what a device is."""

import ast
import re
from typing import get_args

import pytest

from common.auth import accounts, principal
from common.models import Device, Platform, PushToken
from common.problems import Problem
from common.tokens import verifier
from tests.client import Person
from tests.rules.allowed import ACCOUNT
from tests.rules.firestore import RULES, Firestore


async def _server_accepts(person: Person) -> bool:
    claims = await verifier().verify(person.id_token)
    accounts.forget(claims.uid)
    try:
        principal(claims, await accounts.get(claims.uid))
    except Problem:
        return False
    return True


async def test_p05_server_and_rules_agree_on_who_is_active(firestore: Firestore) -> None:
    accepted = set()
    for name, person in firestore.people.items():
        by_rules = (await firestore.outcome(ACCOUNT.as_(name))).is_allowed
        assert by_rules == await _server_accepts(person), name
        accepted |= {name} if by_rules else set()
    assert {"patient", "signed_in_again", "ended_a_moment_before"} <= accepted
    assert not {"deactivated", "signed_out", "ended_on_the_second"} & accepted


def test_p05_server_and_rules_agree_on_the_shape_of_a_device() -> None:
    new_device = RULES.partition("function addsDeviceNow")[2]
    (names,) = re.findall(r"keys\(\)\.hasOnly\((\[.*?\])\)", new_device)
    assert set(ast.literal_eval(names)) == set(Device.model_fields)


def test_p05_server_and_rules_agree_on_platforms() -> None:
    (platforms,) = re.findall(r"value in (\[.*?\])", RULES)
    assert set(ast.literal_eval(platforms)) == set(Platform)


def test_p05_server_and_rules_agree_on_push_tokens() -> None:
    (pattern,) = re.findall(r"token\.matches\(('.*?')\)", RULES)
    _, constraint = get_args(PushToken)
    assert [ast.literal_eval(pattern)] == [
        each.pattern for each in constraint.metadata if hasattr(each, "pattern")
    ]


@pytest.mark.parametrize("role", ["admin", "doctor", "patient"])
def test_p05_the_rules_know_no_roles(role: str) -> None:
    """A demotion needs no time to bite where no role gives anything."""
    code = re.sub(r"//.*", "", RULES)
    assert f"'{role}'" not in code
    assert "token.role" not in code
