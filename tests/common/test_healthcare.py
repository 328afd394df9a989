"""Terms by Google's service where it is configured, and by our own list when it does not answer."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from common import findings, healthcare
from common.settings import settings
from common.transcripts import Segment, TermKind

_ENTITIES = [
    {
        "entityId": "UMLS/C0008031",
        "preferredTerm": "Chest Pain",
        "vocabularyCodes": ["MTH/NOCODE", "ICD10CM/R07.9", "SNOMEDCT_US/29857009"],
    }
]


class _Nlp(BaseHTTPRequestHandler):
    """`nlp:analyzeEntities`, which knows one complaint and one drug."""

    asked: list[dict[str, Any]] = []
    status = 200
    answer: bytes | None = None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, **asked})
        text = asked["documentContent"]
        mentions = []
        for words, kind, certainty in (
            ("chest pain", "PROBLEM", "UNLIKELY"),
            ("metformin", "MEDICINE", "LIKELY"),
            ("yesterday", "TIME", "LIKELY"),
        ):
            if (at := text.find(words)) >= 0:
                mentions.append(
                    {
                        "type": kind,
                        "text": {"content": words, "beginOffset": at},
                        "linkedEntities": [{"entityId": "UMLS/C0008031"}]
                        if kind == "PROBLEM"
                        else [],
                        "certaintyAssessment": {"value": certainty},
                        "confidence": 0.9,
                    }
                )
        found = {"entityMentions": mentions, "entities": _ENTITIES}
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer if self.answer is not None else json.dumps(found).encode())

    def log_message(self, *arguments: Any) -> None:
        pass


SEGMENTS = [
    Segment(id="s1", speaker="1", start=0, end=1, text="hello"),
    Segment(id="s2", speaker="2", start=1, end=2, text="no chest pain since yesterday"),
    Segment(id="s3", speaker="2", start=2, end=3, text="i take metformin"),
]


@pytest.fixture
def nlp(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Nlp]]:
    server = HTTPServer(("127.0.0.1", 0), _Nlp)
    Thread(target=server.serve_forever, daemon=True).start()
    configured = settings().model_copy(
        update={
            "healthcare_nlp": "projects/p/locations/us-central1",
            "healthcare_url": f"http://127.0.0.1:{server.server_port}",
        }
    )
    for module in (findings, healthcare):
        monkeypatch.setattr(module, "settings", lambda: configured)
    healthcare._http.cache_clear()
    _Nlp.asked, _Nlp.status, _Nlp.answer = [], 200, None
    yield _Nlp
    server.shutdown()
    server.server_close()
    healthcare._http.cache_clear()


async def test_google_finds_the_terms_where_it_is_configured(
    nlp: type[_Nlp], platform: Any
) -> None:
    complaint, drug = await findings.terms_of(SEGMENTS, "en-US")
    assert (complaint.text, complaint.kind, complaint.negated) == (
        "chest pain",
        TermKind.CONDITION,
        True,
    )
    assert complaint.code is not None
    assert (complaint.code.system, complaint.code.value) == ("icd-10", "R07.9")
    assert (complaint.segment_id, complaint.start, complaint.speaker) == ("s2", 3, "2")
    assert (drug.segment_id, drug.kind) == ("s3", TermKind.MEDICATION)
    (asked,) = nlp.asked
    assert asked["path"] == "/v1/projects/p/locations/us-central1/services/nlp:analyzeEntities"


@pytest.mark.parametrize(
    ("status", "answer"),
    [(503, b""), (400, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"entityMentions": 1}')],
)
async def test_our_list_finds_them_when_google_does_not_answer(
    nlp: type[_Nlp], platform: Any, status: int, answer: bytes
) -> None:
    nlp.status, nlp.answer = status, answer
    found = await findings.terms_of(SEGMENTS, "en-US")
    assert [term.text for term in found] == ["chest pain", "metformin"]
    healthcare._nlp._opened_at = -1e9  # the breaker, for the next test


async def test_what_is_not_english_has_no_terms(platform: Any) -> None:
    assert await findings.terms_of(SEGMENTS, "de-DE") == []
