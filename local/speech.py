"""A stand-in for Speech-to-Text: its own protocol, version 2, with pocketsphinx's English ears.

python -m local.speech <port>

It knows `Recognize`, `StreamingRecognize` and `BatchRecognize`, without stored
recognizers (`…/recognizers/_` only), and the operations of the last. Files are
read from, and written to, the storage at STORAGE_EMULATOR_HOST. What the real
one refuses is refused here: see speech_answers.py. Not known: captions,
translation, denoising; phrases to expect are taken, and make no difference.

A test can have it fail, by a call to `/healthhub.dev.Faults/Set` with JSON:

    {"BatchRecognize": "fail", "result": "garbage"}     until {}

With `"share": 0.01` beside them, one call of a method in a hundred.

By method:
    fail     UNAVAILABLE               refuse   INVALID_ARGUMENT
    busy     RESOURCE_EXHAUSTED        stall    no answer for a minute
    garbage  an answer that means nothing
    hangup   (StreamingRecognize) UNAVAILABLE after the first result
"operation":
    error    ends with INTERNAL        never    does not end
    late     starts after 5 s
"result", of a batch:
    garbage  no JSON                   truncated  half of it
    empty    results without words     twice      two files of the same
"""

import sys
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Never

import grpc
from google.cloud.speech_v2.types import cloud_speech
from google.longrunning import operations_pb2

from local.audio import Undecodable
from local.faults import Faults, set_by
from local.grpc_stand_in import FAULTS, start
from local.recognizer import Recogniser
from local.speech_answers import Refused, billed, decoding_of, results_of, transcribed
from local.speech_batch import Batches, fetch
from local.speech_streams import recognize_stream

_MOST_BYTES = 10 * 1024 * 1024
_MOST_SECONDS = 60

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_GARBAGE = {
    "BatchRecognize": operations_pb2.Operation(done=True),
    "Recognize": cloud_speech.RecognizeResponse.pb()(results=[{"language_code": "?"}]),
    "StreamingRecognize": cloud_speech.StreamingRecognizeResponse.pb()(
        results=[{"is_final": True, "language_code": "?"}]
    ),
}


class SpeechToText:
    def __init__(self) -> None:
        self.faults = Faults()
        self.recogniser = Recogniser()
        self.batches = Batches(self.recogniser, self.faults)

    def recognize(self, request: Any, context: grpc.ServicerContext) -> Any:
        decoding_of(request.recognizer, request.config)
        audio = _short(request)
        transcript = transcribed(self.recogniser, audio, request.config, _check_short)
        return cloud_speech.RecognizeResponse.pb()(
            results=results_of(transcript, request.config),
            metadata={"total_billed_duration": billed(transcript.seconds)},
        )

    def streaming_recognize(
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        return recognize_stream(self.recogniser, requests)

    def set_faults(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return set_by(self.faults, request)
        except (ValueError, TypeError) as error:
            raise Refused(_INVALID, f"Not a JSON object: {error}") from error


def _short(request: Any) -> BytesIO:
    match request.WhichOneof("audio_source"):
        case "content":
            content = request.content
        case "uri":
            with fetch(request.uri) as file:
                content = file.read(_MOST_BYTES + 1)
        case _:
            content = b""
    if not content:
        raise Refused(_INVALID, "Audio is empty")
    if len(content) > _MOST_BYTES:
        raise Refused(_INVALID, f"Audio exceeds the limit of {_MOST_BYTES} bytes")
    return BytesIO(content)


def _check_short(seconds: float) -> None:
    if seconds > _MOST_SECONDS:
        raise Refused(_INVALID, "Audio can be of a maximum of 60 seconds; use BatchRecognize")


# ------------------------------------------------------------ the server


def _abort(context: grpc.ServicerContext, error: Exception) -> Never:
    code = error.code if isinstance(error, Refused) else _INVALID
    context.abort(code, str(error))
    raise AssertionError("unreachable")


def _trip(fault: str | None, context: grpc.ServicerContext) -> None:
    if fault in FAULTS:
        context.abort(*FAULTS[fault])
    if fault == "stall":
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait(60)


def _unary(name: str, method: Any, request: Any, speech: SpeechToText) -> Any:
    def answer(message: Any, context: grpc.ServicerContext) -> Any:
        fault = speech.faults.meet(name)
        _trip(fault, context)
        if fault == "garbage":
            return _GARBAGE[name]
        try:
            return method(message, context)
        except (Refused, Undecodable) as error:
            _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request and request.FromString,
        response_serializer=lambda answer: (
            answer if isinstance(answer, bytes) else answer.SerializeToString()
        ),
    )


def _stream(name: str, method: Any, request: Any, speech: SpeechToText) -> Any:
    def answer(messages: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        fault = speech.faults.meet(name)
        _trip(fault, context)
        if fault == "garbage":
            yield _GARBAGE[name]
            return
        try:
            for response in method(messages, context):
                yield response
                if fault == "hangup" and response.results:
                    context.abort(*FAULTS["fail"])
        except (Refused, Undecodable) as error:
            _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )


def serve(port: int) -> grpc.Server:
    speech = SpeechToText()
    operations = speech.batches.operations
    v2, lro, pb = "google.cloud.speech.v2.Speech", "google.longrunning.Operations", cloud_speech
    unary = {
        (v2, "Recognize"): (speech.recognize, pb.RecognizeRequest.pb()),
        (v2, "BatchRecognize"): (speech.batches.recognize, pb.BatchRecognizeRequest.pb()),
        (lro, "GetOperation"): (operations.get, operations_pb2.GetOperationRequest),
        (lro, "ListOperations"): (operations.list, operations_pb2.ListOperationsRequest),
        (lro, "CancelOperation"): (operations.cancel, operations_pb2.CancelOperationRequest),
        ("healthhub.dev.Faults", "Set"): (speech.set_faults, None),
    }
    streaming = pb.StreamingRecognizeRequest.pb()
    services: dict[str, dict[str, Any]] = {}
    for (service, name), (method, request) in unary.items():
        services.setdefault(service, {})[name] = _unary(name, method, request, speech)
    stream = _stream("StreamingRecognize", speech.streaming_recognize, streaming, speech)
    services[v2]["StreamingRecognize"] = stream
    # A stream has its thread for as long as it lasts.
    return start(services, port, threads=32, most_bytes=2 * _MOST_BYTES)


if __name__ == "__main__":
    serve(int(sys.argv[1])).wait_for_termination()
