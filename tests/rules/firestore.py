"""The Firestore emulator as an app meets it: over the wire, with an ID token, past no rule."""

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from common.clients import DEFAULT_DATABASE
from local.bootstrap import ROOT
from local.platform import PROJECT
from tests.client import Person
from tests.rules.attempts import Attempt, Fields, filled, stored

RULES = (ROOT / "firestore.rules").read_text()

_OWNER = {"Authorization": "Bearer owner"}  # walks past the rules


@dataclass(frozen=True)
class Outcome:
    is_allowed: bool
    reason: str
    """What the emulator says of a refusal."""


class Firestore:
    """One database of a project of the emulator, with rules of its own, for the same people.

    Until rules are loaded for it, those of the emulator's start hold.
    """

    def __init__(
        self,
        host: str,
        people: Mapping[str, Person],
        project: str = PROJECT,
        database: str = DEFAULT_DATABASE,
    ) -> None:
        self.project = project
        self.people = people
        self.host = host
        self.database = f"projects/{project}/databases/{database}"
        self.documents = f"{self.database}/documents"
        self._http = httpx.AsyncClient(base_url=f"http://{host}", timeout=60)

    async def __aenter__(self) -> "Firestore":
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._http.aclose()

    # ------------------------------------------------------------ past the rules

    async def store(self, documents: Mapping[str, Fields]) -> None:
        await self.store_raw({path: stored(fields) for path, fields in documents.items()})

    async def store_raw(self, documents: Mapping[str, Any]) -> None:
        writes = [
            {"update": {"name": f"{self.documents}/{path}", "fields": fields}}
            for path, fields in documents.items()
        ]
        await self._as_owner("POST", f"/v1/{self.documents}:commit", {"writes": writes})

    async def change(self, path: str, fields: Fields, removed: Sequence[str] = ()) -> None:
        mask = "&".join(f"updateMask.fieldPaths={name}" for name in (*fields, *removed))
        await self._as_owner(
            "PATCH", f"/v1/{self.documents}/{path}?{mask}", {"fields": stored(fields)}
        )

    async def remove(self, path: str) -> None:
        await self._as_owner("DELETE", f"/v1/{self.documents}/{path}")

    async def fields_of(self, paths: Iterable[str]) -> dict[str, Any]:
        """The fields, as they are on the wire, of those documents that exist."""
        wanted = {"documents": [f"{self.documents}/{path}" for path in paths]}
        found = await self._as_owner("POST", f"/v1/{self.documents}:batchGet", wanted)
        documents = [each["found"] for each in found if "found" in each]
        return {d["name"].removeprefix(f"{self.documents}/"): d["fields"] for d in documents}

    async def load(self, rules: str) -> None:
        content = {"rules": {"files": [{"name": "security.rules", "content": rules}]}}
        await self._as_owner("PUT", f"/emulator/v1/{self.database}:securityRules", content)

    async def coverage(self) -> Any:
        return await self._as_owner("GET", f"/emulator/v1/{self.database}:ruleCoverage")

    async def _as_owner(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._http.request(method, path, headers=_OWNER, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # ------------------------------------------------------------ under the rules

    async def outcome(self, attempt: Attempt) -> Outcome:
        (only,) = await self.outcomes([attempt])
        return only

    async def outcomes(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        """What comes of each, with the documents given for it stored first."""
        named = [(attempt, self._names(attempt)) for attempt in attempts]
        given: dict[str, Fields] = {}
        for attempt, names in named:
            for path, fields in attempt.given.items():
                given[filled(path, names)] = filled(dict(fields), names)
        if given:
            await self.store(given)
        few = asyncio.Semaphore(8)

        async def one(attempt: Attempt, names: Mapping[str, str]) -> Outcome:
            async with few:
                return await self._try(attempt, names)

        return await asyncio.gather(*(one(*each) for each in named))

    def _names(self, attempt: Attempt) -> dict[str, str]:
        new = secrets.token_hex(12)
        return {
            **{name: person.uid for name, person in self.people.items()},
            "owner": self.people[attempt.owner or attempt.who].uid,
            "documents": self.documents,
            "new": new,
            "fifteen": new[:15],
            "sixteen": new[:16],
            "thousand": new + "_:-A" * 244,
        }

    async def _try(self, attempt: Attempt, names: Mapping[str, str]) -> Outcome:
        request = attempt.request
        person = self.people.get(attempt.who)
        answer = await self._http.request(
            request.method,
            f"/v1/{self.documents}{filled(request.path, names)}",
            headers=person.headers if person else {},
            json=filled(request.body, names),
        )
        # What is not there was looked for only after the rules had allowed it.
        assert answer.status_code in (200, 404, 403), (attempt, answer.text)
        if answer.status_code == 403:
            return Outcome(False, answer.json()["error"]["message"])
        return Outcome(True, "")
