"""Traces and business metrics: how an operator knows what a request did, and how the platform is used.

Spans follow W3C Trace Context from the load balancer through functions,
Pub/Sub and outside services, and are sent by OTLP to whatever address the
settings give: Cloud Trace's, or a collector's. Names and attributes are
routes, kinds and counts, never an id or a value from a record.

Metrics are log lines: Cloud Logging counts them (terraform/metrics.yaml), so
that nothing is lost when an instance ends, and no call is made.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common import logs
from common.settings import settings

_GOOGLE = "https://telemetry.googleapis.com"
_LAST_CALL = 6.0
"""Seconds, of the ten that Cloud Run gives."""
_SCOPE = "https://www.googleapis.com/auth/trace.append"

_metrics = logging.getLogger("healthhub.metrics")
_propagator = TraceContextTextMapPropagator()


class Metric(StrEnum):
    """What is counted; `terraform/metrics.yaml` makes a log-based metric of each."""

    BOOKINGS = "bookings"
    RACES_LOST = "races_lost"
    """Bookings of a slot that somebody else took first."""
    TRANSCRIPTS = "transcripts"
    IMAGES = "images"
    DEAD_LETTERS = "dead_letters"
    STUCK_WORK = "stuck_work"
    """Work that the sweep found standing still."""
    BREAK_GLASS = "break_glass"
    AUDIT_FAILURES = "audit_failures"
    """Accesses that did not happen because they could not be recorded."""
    PROMPTS_REFUSED = "prompts_refused"
    """Prompts that did not leave because identifiers were left in them."""
    RED_FLAGS = "red_flags"
    """Questions and lists of symptoms in which the rules saw something urgent."""
    SENTENCES_LEFT_OUT = "sentences_left_out"
    """Of a model's answers: what no source held, and what told somebody to wait."""


def count(metric: Metric, number: int = 1, **labels: str) -> None:
    """Labels are few and fixed words: each combination is a time series that is paid for."""
    fields = {"metric": metric, "count": number, **labels}
    _metrics.info("metric", extra={"fields": fields})


# ---------------------------------------------------------------- spans


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.CLIENT, attributes: Mapping[str, str | int] | None = None
) -> Iterator[Span]:
    """A step of the request in hand. What it raises is noted by its type, without the message."""
    with _tracer().start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        yield from _watched(current)


@contextmanager
def request(name: str, headers: Mapping[bytes, bytes]) -> Iterator[Span]:
    """The span of a request that came in; it goes on with the caller's trace, if there is one."""
    with _tracer().start_as_current_span(
        name,
        context=_context_of(headers),
        kind=SpanKind.SERVER,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        yield from _watched(current)


def answered(current: Span, method: str, route: str, status: int) -> None:
    """Name a request's span by its route's pattern, never by its path: that holds ids."""
    current.update_name(f"{method} {route}")
    current.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    if status >= 500:
        current.set_status(Status(StatusCode.ERROR))


@contextmanager
def continued(traceparent: str | None, name: str) -> Iterator[Span]:
    """A step that belongs to an earlier request's trace: the one that had an event happen.

    The delivery in which it is done is linked. Without a trace to go on with, it is a step of the delivery.
    """
    earlier = _propagator.extract({"traceparent": traceparent or ""})
    if not trace.get_current_span(earlier).get_span_context().is_valid:
        with span(name, SpanKind.CONSUMER) as current:
            yield current
        return
    delivery = trace.get_current_span().get_span_context()
    links = [Link(delivery)] if delivery.is_valid else []
    with (
        _tracer().start_as_current_span(
            name,
            context=earlier,
            kind=SpanKind.CONSUMER,
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as current,
        logs.traced(*_ids(current)),
    ):
        yield from _watched(current)


def traceparent() -> str:
    """Of the step in hand, to give to whoever goes on with it; empty outside any."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def ids() -> tuple[str, str]:
    """Trace and span id (hex) of the step in hand; empty outside any."""
    return _ids(trace.get_current_span())


def _ids(current: Span) -> tuple[str, str]:
    context = current.get_span_context()
    if not context.is_valid:
        return "", ""
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def _watched(current: Span) -> Iterator[Span]:
    try:
        yield current
    except Exception as error:
        current.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise


def _context_of(headers: Mapping[bytes, bytes]) -> Any:
    """The caller's: W3C's header, else Google's older one."""
    given = headers.get(b"traceparent", b"").decode("latin-1")
    context = _propagator.extract({"traceparent": given})
    if trace.get_current_span(context).get_span_context().is_valid:
        return context
    older = headers.get(b"x-cloud-trace-context", b"").decode("latin-1")
    trace_id, span_id = logs.cloud_trace(older)
    if not trace_id:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if older.endswith("o=1") else TraceFlags.DEFAULT)
    remote = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(remote))


# ---------------------------------------------------------------- export


@lru_cache
def _tracer() -> trace.Tracer:
    """Built by the first request, in the process that serves: its exporter has a thread.

    Without an address nothing is recorded, but ids still go from log line to log line.
    """
    given = settings()
    resource = Resource(
        {
            "service.name": given.function,
            "service.version": given.version,
            "service.namespace": "healthhub",
            "gcp.project_id": given.project_id,
        }
    )
    sampler = ParentBased(TraceIdRatioBased(given.trace_ratio if given.otlp_endpoint else 0.0))
    provider = TracerProvider(resource=resource, sampler=sampler)
    if given.otlp_endpoint:
        provider.add_span_processor(
            BatchSpanProcessor(_Exporter(given.otlp_endpoint), schedule_delay_millis=2000)
        )
        _send_the_last_at_the_end(provider)
    return provider.get_tracer("healthhub")


def _send_the_last_at_the_end(provider: TracerProvider) -> None:
    """The cloud ends an instance with SIGTERM; the server then dies of it, and nothing at exit runs."""
    before = signal.getsignal(signal.SIGTERM)

    def ended(number: int, frame: Any) -> None:
        # The flush itself knows no end while nobody takes the spans.
        flushing = threading.Thread(target=provider.force_flush, daemon=True)
        flushing.start()
        flushing.join(_LAST_CALL)
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, before)
            signal.raise_signal(number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ended)


class _Exporter(SpanExporter):
    """OTLP over HTTP, built by the first batch, in the thread that sends it: no request waits for it."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._sending: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._sending is None:
            self._sending = self._built()
        return self._sending.export(spans)

    def shutdown(self) -> None:
        if self._sending is not None:
            self._sending.shutdown()

    def _built(self) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        session = None
        if self._endpoint == _GOOGLE:
            from common.clients import authorized_session

            session = authorized_session(_SCOPE)
        return OTLPSpanExporter(f"{self._endpoint}/v1/traces", session=session, timeout=10)
