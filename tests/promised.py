"""The promises, and the table of what their tests measured: `make promises` writes docs/promises.md."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from local.bootstrap import ROOT

DOCUMENT = ROOT / "docs" / "promises.md"

PROMISES: Mapping[str, Mapping[int, str]] = {
    "Access": {
        1: "every route, role and ownership follows one declared matrix; what is not in it is refused",
        2: "someone else's id and an id that does not exist are answered alike",
        3: "no body sets owner, role, verification or state, at any depth",
        4: "emergency access needs a reason, ends after 60 minutes, is announced and logged",
        5: "security rules deny by default; server and rules agree",
        6: "a refusal by the rules is the rule's, not an exceeded limit's",
        7: "a demoted, disabled or signed-out account is refused within 30 seconds",
        8: "forged tokens are refused; emulator variables in the cloud stop the start",
        9: "sign-in, registration and reset do not tell who has an account",
        10: "rate limits hold under concurrency; sign-in fails closed",
    },
    "Data": {
        11: "one effect for each Idempotency-Key",
        12: "no lost update",
        13: "a crash at any step leaves something that recovers",
        14: "contention is 409 or 503, never 500",
        15: "no double booking, on any path",
        16: "each query has a declared index",
        17: "documents stay under 900 KB",
        18: "no hot document",
        19: "fields are encrypted, and a ciphertext that is moved does not decrypt",
        20: "a destroyed key makes every copy unreadable",
        21: "nothing clinical is deleted early or under hold; each deletion is logged",
        22: "one audit event for each access and refusal; without it the access does not happen",
        23: "an audit event that is edited, deleted or moved is noticed",
        24: "no patient data in logs, errors, addresses, traces, metrics",
        25: "what was exported can be restored",
    },
    "Events and uploads": {
        26: "handlers are idempotent by object and generation; order does not matter",
        27: "poison reaches the dead letters; neighbours are unharmed; replay works",
        28: "outputs never trigger inputs",
        29: "a signed URL binds method, path, type, size and generation, for 15 minutes",
        30: "what arrives is checked again, and nothing reads it before",
        31: "malware is quarantined; a scanner that is down means quarantine",
        32: "an executable or polyglot preamble is refused",
        33: "a hostile file kills no worker",
        34: "no identifier leaves in a de-identified image, in attributes or pixels",
        35: "outside services that are slow, failing or lying: bounded time, resumable, nothing lost",
        36: "a reminder goes out once, never after a cancellation",
    },
    "AI": {
        37: "no identifier reaches the model; what leaves is in a ledger",
        38: "text inside uploads, records or messages causes no action",
        39: "red flags come first, and no model lowers the urgency",
        40: "silence and noise become no note",
        41: "what a note says is in the turns it cites, or it is marked",
        42: "availability is right on every day on which clocks change, in every zone",
    },
}

Figure = tuple[str, str, str]
"""Number, what was measured, value."""


def written(figures: Iterable[Figure], outcomes: Mapping[str, list[bool]]) -> str:
    """The document. `outcomes` are those of the tests that carry a promise's number."""
    by_number: dict[int, list[str]] = {}
    for named, what, value in sorted(set(figures)):
        if named:
            by_number.setdefault(int(named), []).append(f"{what}: {value}")
    lines = [
        "# Promises",
        "",
        "What reliability and security mean here, and what the tests that carry a promise's number (`test_p15_…`) measured.",
        "Written by `make promises`, on the emulators and stand-ins of one machine; figures of the cloud are not among them.",
    ]
    for part, promises in PROMISES.items():
        lines += ["", f"## {part}", "", "| | promise | tests | figures |", "|--:|---|--:|---|"]
        for number, promise in promises.items():
            results = outcomes.get(f"{number:02}", [])
            kept = f"{sum(results)} of {len(results)}" if results else "none ran"
            told = "; ".join(by_number.get(number, [])).replace("|", "/")
            lines.append(f"| {number} | {promise} | {kept} | {told} |")
    return "\n".join(lines) + "\n"


def write(
    figures: Iterable[Figure], outcomes: Mapping[str, list[bool]], to: Path = DOCUMENT
) -> None:
    to.write_text(written(figures, outcomes))
