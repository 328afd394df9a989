"""What checking one ID token costs: ours against the Admin SDK, on the same token and certificate.

Measured in a process of its own, without any emulator's address: with one, the
Admin SDK would not check the signature.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import firebase_admin
import firebase_admin.auth
import firebase_admin.credentials
import google.auth.credentials
from firebase_admin import _token_gen

from common.problems import TokenInvalid
from common.tokens import Certificates, GoogleTokenVerifier
from local.bootstrap import ROOT
from local.platform import PROJECT
from tests.bench.issuer import issuing
from tests.bench.table import Row, Target

_ROUNDS = 15
_CHECKS = 150
_UID = "someone"


def measure() -> tuple[list[Row], list[str]]:
    env = {k: v for k, v in os.environ.items() if not k.endswith("_EMULATOR_HOST")}
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    sdk, new, again = json.loads(done.stdout)
    return [
        Row(
            "checking a new token (faster by)",
            f"{sdk:.3f} ms",
            f"{new:.3f} ms",
            sdk / new,
            Target("≥", 5),
        ),
        Row(
            "… the same one again", f"{sdk:.3f} ms", f"{again:.3f} ms", sdk / again, Target("≥", 5)
        ),
    ], []


class _NoCredential(firebase_admin.credentials.Base):  # type: ignore[misc]
    """Checking a token needs none, but the SDK asks for one."""

    def get_credential(self) -> Any:
        return google.auth.credentials.AnonymousCredentials()  # type: ignore[no-untyped-call]


async def _compare() -> tuple[float, float, float]:
    """Milliseconds per check: the Admin SDK's; ours of a token not seen before, and of one that was."""
    assert not [name for name in os.environ if name.endswith("_EMULATOR_HOST")]
    with issuing() as issuer:
        _token_gen.ID_TOKEN_CERT_URI = issuer.url
        app = firebase_admin.initialize_app(_NoCredential(), {"projectId": PROJECT})
        verifier = GoogleTokenVerifier(PROJECT, Certificates(issuer.url))
        token = issuer.token(_UID)
        await _check_refusals(app, verifier, token)
        sdk: list[float] = []
        new: list[float] = []
        again: list[float] = []
        for round_ in range(_ROUNDS):
            fresh = [issuer.token(f"{_UID}-{round_}-{number}") for number in range(_CHECKS)]
            moments = [time.perf_counter()]
            for each in fresh:
                firebase_admin.auth.verify_id_token(each, app)
            moments.append(time.perf_counter())
            for _ in range(2):
                for each in fresh:
                    await verifier.verify(each)
                moments.append(time.perf_counter())
            for took, start, end in zip((sdk, new, again), moments, moments[1:], strict=False):
                took.append((end - start) * 1000 / _CHECKS)
        assert issuer.fetches <= 3, f"certificates were not cached: {issuer.fetches} fetches"
    return statistics.median(sdk), statistics.median(new), statistics.median(again)


async def _check_refusals(app: Any, verifier: GoogleTokenVerifier, token: str) -> None:
    """Both take the token and refuse one whose claims were exchanged under its signature."""
    assert firebase_admin.auth.verify_id_token(token, app)["uid"] == _UID
    assert (await verifier.verify(token)).uid == _UID
    with issuing() as stranger:
        forged = stranger.token(_UID)  # the same key id, another key
        others_claims = stranger.token("someone else").split(".")[1]
    header, _, signature = token.split(".")
    tampered = f"{header}.{others_claims}.{signature}"
    for bad in (forged, tampered):
        try:
            firebase_admin.auth.verify_id_token(bad, app)
        except firebase_admin.auth.InvalidIdTokenError:
            pass
        else:
            raise AssertionError("the Admin SDK took a forged token")
        try:
            await verifier.verify(bad)
        except TokenInvalid:
            pass
        else:
            raise AssertionError("our check took a forged token")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_compare())))
