"""BatchRecognize and its operations, for the stand-in of Speech-to-Text in speech.py.

An operation runs in a thread of its own and is kept in memory, the latest
thousand: a restart forgets them, as nothing else here does.
"""

import os
import secrets
import shutil
import tempfile
import threading
import urllib.request
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote

import grpc
from google.cloud.speech_v2.types import cloud_speech
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, json_format
from google.rpc import code_pb2, status_pb2

from local.audio import Undecodable
from local.recognizer import Recogniser
from local.speech_answers import Refused, billed, decoding_of, results_of, transcribed

_MOST_SECONDS = 8 * 3600
_MOST_FILES = 15


# ------------------------------------------------------------ storage


def _address(path: str) -> str:
    return os.environ["STORAGE_EMULATOR_HOST"].rstrip("/") + path


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid Cloud Storage URI: {uri}")
    return bucket, name


def _call(request: urllib.request.Request | str, uri: str, to: BinaryIO | None = None) -> None:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            shutil.copyfileobj(answer, to) if to else answer.read()
    except HTTPError as error:
        if error.code == 404:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"{uri} does not exist") from error
        message = f"Cloud Storage answered {error.code} for {uri}"
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, message) from error
    except (URLError, OSError) as error:
        raise Refused(grpc.StatusCode.UNAVAILABLE, f"Cloud Storage: {error}") from error


def fetch(uri: str) -> BinaryIO:
    """To a file without a name, at its start; hours of audio should not be in memory."""
    bucket, name = _parts(uri)
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        path = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}?alt=media"
        _call(_address(path), uri, file)
    except Refused:
        file.close()
        raise
    file.seek(0)
    return file


def _store(uri: str, text: str) -> None:
    bucket, name = _parts(uri)
    path = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o?uploadType=media&name="
    address = _address(path + quote(name, safe=""))
    headers = {"Content-Type": "application/json"}
    _call(urllib.request.Request(address, text.encode(), headers, method="POST"), uri)


# ------------------------------------------------------------ operations


class Operations:
    _KEPT = 1000

    def __init__(self) -> None:
        self._operations: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, parent: str, metadata: Any) -> Any:
        operation = operations_pb2.Operation(
            name=f"{parent}/operations/{secrets.token_hex(8)}",
        )
        metadata.create_time.GetCurrentTime()
        metadata.update_time.GetCurrentTime()
        operation.metadata.Pack(metadata)
        with self._lock:
            self._operations[operation.name] = operation
            if len(self._operations) > self._KEPT:
                self._operations.popitem(last=False)
        return self._copy(operation)

    def end(self, name: str, *, response: Any = None, error: Any = None) -> None:
        """An operation that has ended, by a cancellation, stays as it ended."""
        with self._lock:
            operation = self._operations.get(name)
            if operation is None or operation.done:
                return
            metadata = cloud_speech.OperationMetadata.pb()()
            operation.metadata.Unpack(metadata)
            metadata.update_time.GetCurrentTime()
            if response is not None:
                metadata.progress_percent = 100
                operation.response.Pack(response)
            else:
                operation.error.CopyFrom(error)
            operation.metadata.Pack(metadata)
            operation.done = True

    def running(self, name: str) -> bool:
        with self._lock:
            return name in self._operations and not self._operations[name].done

    def get(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._lock:
            if request.name in self._operations:
                return self._copy(self._operations[request.name])
        message = f"Operation {request.name} does not exist"
        raise Refused(grpc.StatusCode.NOT_FOUND, message)

    def list(self, request: Any, context: grpc.ServicerContext) -> Any:
        """All at once, the newest first; filters are not read."""
        start = f"{request.name.removesuffix('/operations')}/operations/"
        with self._lock:
            found = [o for name, o in self._operations.items() if name.startswith(start)]
            return operations_pb2.ListOperationsResponse(operations=reversed(found))

    def cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.get(request, context)
        cancelled = status_pb2.Status(code=code_pb2.CANCELLED, message="Operation was cancelled")
        self.end(request.name, error=cancelled)
        return empty_pb2.Empty()

    def _copy(self, operation: Any) -> Any:
        """What is answered is written out later, when the operation may be changing."""
        copy = operations_pb2.Operation()
        copy.CopyFrom(operation)
        return copy


# ------------------------------------------------------------ the batches


class _Cancelled(Exception):
    pass


class Batches:
    def __init__(self, recogniser: Recogniser, faults: dict[str, str]) -> None:
        self.operations = Operations()
        self._recogniser = recogniser
        self._faults = faults

    def recognize(self, request: Any, context: grpc.ServicerContext) -> Any:
        _check(request)
        metadata = cloud_speech.OperationMetadata.pb()(
            resource=request.recognizer,
            method="google.cloud.speech.v2.Speech.BatchRecognize",
            batch_recognize_request=request,
        )
        parent = request.recognizer.rpartition("/recognizers/")[0]
        operation = self.operations.start(parent, metadata)
        work = threading.Thread(target=self._run, args=(operation.name, request), daemon=True)
        if self._faults.get("operation") != "never":
            work.start()
        return operation

    def _run(self, name: str, request: Any) -> None:
        match self._faults.get("operation"):
            case "late":
                threading.Event().wait(5)
            case "error":
                error = status_pb2.Status(code=code_pb2.INTERNAL, message="Internal error")
                return self.operations.end(name, error=error)
        answer = cloud_speech.BatchRecognizeResponse.pb()()
        try:
            for file in request.files:
                result = self._file(name, request, file)
                answer.results[file.uri].CopyFrom(result)
                answer.total_billed_duration.seconds += (
                    result.metadata.total_billed_duration.seconds
                )
        except _Cancelled:
            return None
        except Exception as error:
            problem = status_pb2.Status(code=code_pb2.INTERNAL, message=repr(error))
            self.operations.end(name, error=problem)
            raise
        return self.operations.end(name, response=answer)

    def _file(self, name: str, request: Any, file: Any) -> Any:
        """One file that fails does not fail the others."""

        def check(seconds: float) -> None:
            if not self.operations.running(name):
                raise _Cancelled
            if seconds > _MOST_SECONDS:
                raise Undecodable("Audio is longer than 480 minutes")

        config = file.config if file.HasField("config") else request.config
        answer = cloud_speech.BatchRecognizeFileResult.pb()()
        try:
            with fetch(file.uri) as audio:
                transcript = transcribed(self._recogniser, audio, config, check)
            results = cloud_speech.BatchRecognizeResults.pb()(
                results=results_of(transcript, config),
                metadata={"total_billed_duration": billed(transcript.seconds)},
            )
            self._deliver(request, file.uri, results, answer)
            answer.metadata.CopyFrom(results.metadata)
        except Undecodable as error:
            answer.error.code, answer.error.message = code_pb2.INVALID_ARGUMENT, str(error)
        except Refused as error:
            answer.error.code, answer.error.message = error.code.value[0], str(error)
        return answer

    def _deliver(self, request: Any, uri: str, results: Any, answer: Any) -> None:
        fault = self._faults.get("result")
        if fault == "empty":
            for result in results.results:
                result.ClearField("alternatives")
        if request.recognition_output_config.HasField("inline_response_config"):
            answer.inline_result.transcript.CopyFrom(results)
            return
        text = json_format.MessageToJson(results)
        if fault == "garbage":
            text = "<html>It works!</html>"
        elif fault == "truncated":
            text = text[: len(text) // 2]
        prefix = request.recognition_output_config.gcs_output_config.uri.rstrip("/")
        for _ in range(2 if fault == "twice" else 1):
            target = f"{prefix}/{PurePosixPath(uri).stem}_transcript_{secrets.token_hex(8)}.json"
            _store(target, text)
            answer.cloud_storage_result.uri = target


def _check(request: Any) -> None:
    """What the real one refuses at once; what is wrong with a file, it finds out later."""
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    if not 1 <= len(request.files) <= _MOST_FILES:
        raise Refused(invalid, f"Between 1 and {_MOST_FILES} files must be specified")
    output = request.recognition_output_config
    if output.HasField("gcs_output_config"):
        _parts(output.gcs_output_config.uri)
    elif not output.HasField("inline_response_config"):
        raise Refused(invalid, "recognition_output_config is not specified")
    elif len(request.files) > 1:
        raise Refused(invalid, "Inline responses are supported for one file only")
    for file in request.files:
        if not _parts(file.uri)[1]:
            raise Refused(invalid, f"Invalid Cloud Storage URI: {file.uri}")
        config = file.config if file.HasField("config") else request.config
        decoding_of(request.recognizer, config)
