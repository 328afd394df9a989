"""The assistant: emergencies found and false alarms, the right entry found, identifiers missed; all on labelled sets."""

import json
from pathlib import Path

from common import egress
from common.knowledge import search
from tests.asked import load
from tests.bench.table import Row
from tests.common.test_red_flags import measured
from tests.promises.test_assistant import redacted

_LABELLED = Path(__file__).parents[1] / "labelled"


async def measure() -> tuple[list[Row], list[str]]:
    """Needs the database and the stand-in of the model, by the environment."""
    await load()
    return [], [*recognised(), await _retrieved(), missed()]


def recognised() -> list[str]:
    found = []
    for of in ("development", "held out"):
        for as_form, kind in ((True, "as a form"), (False, "in free words")):
            counts = measured(of, as_form=as_form)
            found.append(
                f"Red flags alone, {of} set, {kind}: {counts['found']} of {counts['emergencies']} emergencies"
                f" found, {counts['alarms']} of {counts['others']} others taken for one."
            )
    return found


async def _retrieved() -> str:
    asked = json.loads((_LABELLED / "retrieval.json").read_text())
    vectors = await egress.embed([each["question"] for each in asked])
    hits = [0, 0]
    for each, vector in zip(asked, vectors, strict=True):
        for place, given in enumerate((vector, None)):
            found = await search(each["question"], given, most=3)
            hits[place] += each["entry"] in {one.entry.id for one in found}
    return (
        f"Knowledge base: of {len(asked)} questions the right entry is among the first three for {hits[0]},"
        f" by words alone for {hits[1]}. Meaning is the stand-in's, static word vectors; questions and keywords"
        " have one author, which flatters both."
    )


def missed() -> str:
    planted, misses, held = redacted()
    kinds = ", ".join(f"{kind}: {misses[kind]} of {planted[kind]}" for kind in sorted(planted))
    return f"Identifiers missed in 300 sentences ({held} held back whole): {kinds}."
