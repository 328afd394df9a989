"""Every problem is documented, drawn in the tree, and says what to do without quoting what was sent."""

import json
import re

import pytest
from starlette.exceptions import HTTPException

from common import problems
from common.problems import Problem
from local.bootstrap import ROOT

EVERY = sorted(problems.every(), key=lambda problem: problem.__name__)


@pytest.mark.parametrize("problem", EVERY, ids=lambda problem: problem.slug())
def test_each_problem_is_documented_with_its_status(problem: type[Problem]) -> None:
    text = (ROOT / "docs" / "problems.md").read_text()
    section = re.search(rf"^## {problem.slug()}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section, f"docs/problems.md has no section {problem.slug()}"
    assert f"**{problem.status}**" in section[1]
    assert len(section[1].split()) > 8


def test_nothing_is_documented_that_is_no_problem() -> None:
    text = (ROOT / "docs" / "problems.md").read_text()
    assert set(re.findall(r"^## ([a-z-]+)$", text, re.M)) == {p.slug() for p in EVERY}


def test_the_tree_in_the_module_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", problems.__doc__ or "")
    assert sorted(drawn) == [problem.__name__ for problem in EVERY]


@pytest.mark.parametrize("problem", EVERY, ids=lambda problem: problem.slug())
def test_each_problem_says_something_in_a_sentence(problem: type[Problem]) -> None:
    made = problem(3) if problem is problems.TooManyRequests else problem()
    document = json.loads(made.body())
    assert document["type"] == f"urn:healthhub:problem:{problem.slug()}"
    assert document["detail"].endswith((".", "each"))
    assert document["status"] == problem.status


def test_a_status_that_we_do_not_know_is_our_fault() -> None:
    assert problems.from_http(HTTPException(418)).status == 500
    assert problems.from_http(HTTPException(404)).status == 404
