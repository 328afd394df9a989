"""The catalogue says what each function may reach; this is what its code reaches."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from common import settings, storage
from common.events import topic_of
from common.telemetry import Metric
from local import catalog
from local.bootstrap import ROOT

FUNCTIONS = catalog.read()

_READS, _MAKES, _ENDS = ("read",), ("create",), ("delete",)
_VERBS = {
    "find": _READS,
    "find_all": _READS,
    "read": _READS,
    "pieces": _READS,
    "create": _MAKES,
    "write": (*_MAKES, *_ENDS),  # in place of what is there
    "delete": _ENDS,
}
_OF_NO_USE = {
    # What a module reaches that this function imports for something else.
    ("transcriptions", "common/recordings.py"),
}

_FOR_OTHERS = {
    # Speech-to-Text opens what it is given as its caller.
    ("transcribe_audio", "results", "read"),
}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                found = ROOT / (name.replace(".", "/") + ".py")
                if name.startswith("common.") and found.exists():
                    yield found


@cache
def reached(function: str) -> frozenset[Path]:
    """The function's files, and what of `common` they import, however far."""
    todo = list((ROOT / "functions" / function).rglob("*.py"))
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_imported(path))
    return frozenset(seen)


def _calls(function: str) -> Iterator[tuple[str, ast.Call]]:
    for path in reached(function):
        where = str(path.relative_to(ROOT))
        if (function, where) in _OF_NO_USE or where == "common/storage.py":
            continue
        for node in ast.walk(_tree(path)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=what)):
                    yield f"{module}.{what}", node


def _several(argument: ast.expr) -> set[str]:
    """The buckets that a tuple names, or one of the tuples of `common/storage.py`."""
    match argument:
        case ast.Attribute(value=ast.Name(id="storage"), attr=name):
            return {bucket.value for bucket in getattr(storage, name)}
        case ast.Tuple(elts=named):
            return {ast.unparse(each).removeprefix("Bucket.").lower() for each in named}
    raise AssertionError(f"which buckets are {ast.unparse(argument)}?")


def touched(function: str) -> set[tuple[str, str]]:
    """(bucket, verb) of each call of `common/storage.py` that the function may come to."""
    found: set[tuple[str, str]] = set()
    for name, call in _calls(function):
        module, _, what = name.partition(".")
        if module != "storage":
            continue
        if what in _VERBS:
            bucket = ast.unparse(call.args[0]).removeprefix("Bucket.").lower()
            found |= {(bucket, verb) for verb in _VERBS[what]}
        elif what == "upload_url":
            found.add(("uploads", "create"))
        elif what == "download_url":
            bucket = ast.unparse(call.args[0]).removeprefix("Bucket.").lower()
            found.add((bucket, "read"))
        elif what == "quarantine":
            found |= {("uploads", "read"), ("uploads", "delete"), ("quarantine", "create")}
            found.add(("quarantine", "delete"))  # the second time, in place of the first
        elif what == "delete_all":
            found |= {(bucket, "delete") for bucket in _several(call.args[1])}
    return found


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_function_may_do_with_objects_what_its_code_does(function: catalog.Function) -> None:
    declared = {
        (bucket, verb)
        for bucket, verbs in function.buckets.items()
        for verb in verbs
        if (function.name, bucket, verb) not in _FOR_OTHERS
    }
    assert declared == touched(function.name)


def test_whoever_signs_urls_may_sign() -> None:
    signing = {
        f.name
        for f in FUNCTIONS
        if any(n in ("storage.upload_url", "storage.download_url") for n, _ in _calls(f.name))
    }
    assert signing == {f.name for f in FUNCTIONS if "signing" in f.uses}


def test_whom_a_function_tells_it_may_tell() -> None:
    names = {function.name for function in FUNCTIONS}
    for function in FUNCTIONS:
        assert set(function.publishes_to) <= names
        told = {path.name for path in reached(function.name)} & {"resumption.py"}
        if function.name == "sweep_stuck_work":
            assert told, "it tells others"
            assert set(function.publishes_to) == {
                "transcribe_audio",
                "store_transcript",
                "analyze_image",
            }
    assert topic_of("transcribe_audio") == "event-transcribe_audio"


def test_every_business_metric_is_counted_in_the_cloud() -> None:
    declared = yaml.safe_load((ROOT / "terraform" / "metrics.yaml").read_text())
    assert {each["name"] for each in declared["business"]} == {metric.value for metric in Metric}


def test_terraform_gives_functions_only_variables_that_they_read() -> None:
    """A name that is misspelt there would be a setting that is silently missing here."""
    source = (ROOT / "terraform" / "functions.tf").read_text()
    known = {*settings._VARIABLES.values(), "FUNCTION_USE_ASGI"}
    given = {
        name
        for line in source.splitlines()
        if (name := line.split("=")[0].strip().strip('"')).isupper() and "_" in name
    }
    assert given, "functions.tf names no variable"
    assert given - known == set()
    required = {settings._VARIABLES[key] for key in ("project_id", *settings._KEYS)}
    assert required <= given | {"PAGE_TOKEN_KEY", "AUDIT_KEY"}
