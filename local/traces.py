"""What Cloud Trace is to the functions, on this machine: takes spans by OTLP over HTTP, and shows them.

`/dev/traces` lists the newest requests with what each waited for; as JSON to
who asks for that. Every span is also a line of the log.
"""

import gzip
import json
import sys
from collections import OrderedDict
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.ports import HOST

MOST_TRACES = 2000
_SHOWN = 100
_PROTOBUF = "application/x-protobuf"
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}

Span = dict[str, Any]


class Traces:
    def __init__(self) -> None:
        self._spans: OrderedDict[str, list[Span]] = OrderedDict()

    async def take(self, request: Request) -> Response:
        """`POST /v1/traces`, as OTLP has it."""
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for span in _spans(ExportTraceServiceRequest.FromString(body)):
            self._spans.setdefault(span["trace_id"], []).append(span)
            self._spans.move_to_end(span["trace_id"])
            print(json.dumps(span), flush=True)
        while len(self._spans) > MOST_TRACES:
            self._spans.popitem(last=False)
        answer = ExportTraceServiceResponse().SerializeToString()
        return Response(answer, media_type=_PROTOBUF)

    async def show(self, request: Request) -> Response:
        """`GET /dev/traces?q=&errors=`: newest first. `DELETE` empties it."""
        if request.method == "DELETE":
            self._spans.clear()
            return Response(status_code=204)
        wanted = request.query_params.get("q", "").strip().lower()
        is_failed = request.query_params.get("errors", "") not in ("", "0")
        found = [trace for trace in self._all() if _matches(trace, wanted, is_failed)]
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"items": found[:_SHOWN]})
        return HTMLResponse(_page(found[:_SHOWN], wanted, is_failed))

    def _all(self) -> list[dict[str, Any]]:
        traces = [_trace(spans) for spans in self._spans.values()]
        return sorted(traces, key=lambda trace: str(trace["start"]), reverse=True)


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        {
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "parent_id": span.parent_span_id.hex(),
            "service": _attributes(resource.resource.attributes).get("service.name", "?"),
            "name": span.name,
            "kind": _KINDS.get(span.kind, "internal"),
            "start": span.start_time_unix_nano,
            "ms": round((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6, 2),
            "is_error": span.status.code == 2,
            "reason": span.status.message,
            "attributes": _attributes(span.attributes),
            "links": [link.trace_id.hex() for link in span.links],
        }
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _trace(spans: list[Span]) -> dict[str, Any]:
    """A trace as one request: named after the first route that it met."""
    ordered = sorted(spans, key=lambda span: (span["start"], -span["ms"]))
    start = ordered[0]["start"]
    end = max(span["start"] + span["ms"] * 1e6 for span in ordered)
    return {
        "trace_id": ordered[0]["trace_id"],
        "name": next(
            (span["name"] for span in ordered if "http.route" in span["attributes"]),
            ordered[0]["name"],
        ),
        "services": list(dict.fromkeys(span["service"] for span in ordered)),
        "start": start,
        "ms": round((end - start) / 1e6, 1),
        "is_error": any(span["is_error"] for span in ordered),
        "spans": ordered,
    }


def _matches(trace: dict[str, Any], wanted: str, is_failed: bool) -> bool:
    if is_failed and not trace["is_error"]:
        return False
    said = [trace["trace_id"], *trace["services"], *(span["name"] for span in trace["spans"])]
    return any(wanted in text.lower() for text in said)


# ---------------------------------------------------------------- the page

_STYLE = """
body{font:15px/1.4 system-ui;margin:2rem;color:#1d2733}
form{margin:1rem 0;display:flex;gap:.8rem;flex-wrap:wrap;align-items:center}
input,button{font:inherit;padding:.3rem .6rem}
details{border-bottom:1px solid #dde3ea;padding:.4rem 0}
summary{cursor:pointer;display:flex;gap:1rem;align-items:baseline}
summary span:first-child{flex:1;font-weight:600}summary small,td small{color:#5b6b7a}
table{width:100%;border-collapse:collapse;margin:.5rem 0 1rem}
td{padding:.15rem .5rem;white-space:nowrap;font-size:13px}td.bar{width:55%}
td.bar div{height:.8rem;border-radius:2px;background:#2bb3a3;min-width:2px}
tr.error div{background:#c62f3b}tr.error td:nth-child(2),summary.error span:first-child{color:#c62f3b}
"""


def _page(traces: list[dict[str, Any]], wanted: str, is_failed: bool) -> str:
    rows = "".join(_shown(trace) for trace in traces)
    is_filtered = bool(wanted or is_failed)
    empty = "<p>Nothing matches." if is_filtered else "<p>Nothing yet. Send a request to the API."
    checked = " checked" if is_failed else ""
    again = escape("/dev/traces?" + urlencode({"q": wanted, "errors": int(is_failed)}))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>HealthHub: traces</title><style>{_STYLE}</style><h1>Traces</h1>"
        "<p>What the newest requests did, across gateway, functions, Pub/Sub and outside services. "
        "A span carries routes and counts, never anything of a record."
        f"<form><input name=q value='{escape(wanted, quote=True)}' placeholder='route, service or trace id' "
        f"size=30><label><input type=checkbox name=errors value=1{checked}> only failed</label>"
        f"<button>Show</button><a href='{again}'>Look again</a></form>{rows or empty}"
    )


def _shown(trace: dict[str, Any]) -> str:
    error = " class=error" if trace["is_error"] else ""
    spans = "".join(_row(span, trace) for span in trace["spans"])
    return (
        f"<details id=t{trace['trace_id']}><summary{error}><span>{escape(trace['name'])}</span>"
        f"<small>{escape(' → '.join(trace['services']))}</small><small>{_clock(trace['start'])}</small>"
        f"<span>{trace['ms']:g} ms</span></summary><small>{trace['trace_id']}</small>"
        f"<table>{spans}</table></details>"
    )


def _clock(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds / 1e9, UTC):%H:%M:%S} UTC"


def _row(span: Span, trace: dict[str, Any]) -> str:
    total = max(trace["ms"], 0.01)
    before = (span["start"] - trace["start"]) / 1e6 / total * 100
    width = min(span["ms"] / total * 100, 100 - before)
    indent = _depth(span, trace) * 1.1
    said = [f"{k.rsplit('.', 1)[-1]} {v}" for k, v in span["attributes"].items()]
    about = ", ".join([*([span["reason"]] if span["reason"] else []), *said])
    return (
        f"<tr{' class=error' if span['is_error'] else ''}>"
        f"<td><small>{escape(span['service'])}</small>"
        f"<td style='padding-left:{indent:.1f}rem' title='{escape(about, quote=True)}'>"
        f"{escape(span['name'])}<td style='text-align:right'>{span['ms']:g} ms"
        f"<td class=bar><div style='margin-left:{before:.2f}%;width:{width:.2f}%'></div>"
    )


def _depth(span: Span, trace: dict[str, Any]) -> int:
    parents = {each["span_id"]: each["parent_id"] for each in trace["spans"]}
    depth, at = 0, span["parent_id"]
    while at in parents and depth < 20:
        depth, at = depth + 1, parents[at]
    return depth


def application(traces: Traces) -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/traces", traces.take, methods=["POST"]),
            Route("/dev/traces", traces.show, methods=["GET", "DELETE"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(
        application(Traces()),
        host=HOST,
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
    )
