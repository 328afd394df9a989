"""`python -m local.api_changes [REF]`: what in the API breaks clients of the last release, or of REF."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from local.bootstrap import ROOT
from local.compatibility import breaks
from local.gateway import merged

_DOCUMENTS = """
import asyncio, importlib, json, os, sys
import httpx, yaml

async def document(name):
    app = importlib.import_module(f"functions.{name}.main").app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return (await client.get("/openapi.json")).raise_for_status().json()

async def documents():
    with open("functions/catalog.yaml") as file:
        functions = yaml.safe_load(file)["functions"]
    return [await document(name) for name, row in functions.items() if row["kind"] == "http"]

answer = os.fdopen(int(sys.argv[1]), "w")
json.dump(asyncio.run(documents()), answer)
answer.close()
"""
"""A program of its own: each commit's code answers for itself. It writes to a pipe, for functions log to stdout."""


def document_of(tree: Path) -> dict[str, Any]:
    """The OpenAPI document of the code that lies in `tree`, by this environment's packages."""
    settings = {  # of functions that nobody will call
        "GOOGLE_CLOUD_PROJECT": "demo-healthhub",
        "PAGE_TOKEN_KEY": "a" * 43 + "=",
        "AUDIT_KEY": "a" * 43 + "=",
    }
    read, write = os.pipe()
    with os.fdopen(read) as answer:
        program = subprocess.Popen(
            [sys.executable, "-c", _DOCUMENTS, str(write)],
            cwd=tree,
            env={**os.environ, **settings, "PYTHONPATH": str(tree)},
            stdout=subprocess.DEVNULL,
            pass_fds=[write],
        )
        os.close(write)
        text = answer.read()
    if program.wait():
        raise RuntimeError(f"the functions in {tree} could not be imported")
    return merged(json.loads(text))


def document_at(ref: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="healthhub-api-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), f"{ref}^{{commit}}")
        try:
            return document_of(tree)
        finally:
            _git("worktree", "remove", "--force", str(tree))


def last_release() -> str | None:
    try:
        return _git("describe", "--tags", "--abbrev=0", "--match=v*")
    except RuntimeError:
        return None


def declared_since(ref: str) -> str:
    """The commits since `ref` that say that they break something."""
    marks = [r"--grep=^[a-z]+(\([a-z0-9_-]+\))?!: ", "--grep=^BREAKING CHANGE: "]
    return _git("log", "--format=%h %s", "--extended-regexp", *marks, f"{ref}..HEAD")


def main(ref: str | None) -> int:
    if ref is None:
        print("There is no release yet (a tag v…), so no client can break.")
        return 0
    found = breaks(document_at(ref), document_of(ROOT))
    print(*found, f"{len(found)} changes break clients of {ref}", sep="\n")
    if found and (declared := declared_since(ref)):
        print("Some are intended:", declared, sep="\n")
        return 0
    return 1 if found else 0


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else last_release()))
