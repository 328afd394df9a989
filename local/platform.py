"""Starts and stops the platform: emulators, functions, gateway. Used by `make dev` and by the tests."""

import base64
import hashlib
import http.client
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local import bundles, catalog, topics
from local.bootstrap import ROOT
from local.ports import HOST, VARIABLE, Ports, free_ports
from local.processes import Children, Process, StartFailed
from local.tools import Tools

PROJECT = "demo-healthhub"
_START_SECONDS = 180
"""How long a part may take to answer first: seconds, but for a machine that is busy with much else."""
KMS_KEY = f"gcp-kms://projects/{PROJECT}/locations/local/keyRings/healthhub/cryptoKeys/patients"


def _demo_key(purpose: str) -> str:
    return base64.b64encode(hashlib.sha256(f"{PROJECT} {purpose}".encode()).digest()).decode()


@dataclass
class Platform:
    """One running platform; `run_dir` holds its logs, bundles and the list of its processes."""

    tools: Tools
    ports: Ports
    run_dir: Path
    function_env: Mapping[str, str] = field(default_factory=dict)
    """Settings that differ from the usual ones, for tests."""
    is_demo: bool = False
    """Whether somebody looks at it: the explorer offers the demo accounts, `/dev` shows what goes on."""
    is_clocked: bool = False
    """Whether clock functions are fired at their times; tests fire them themselves."""
    say: Callable[[str], None] = lambda line: None
    functions: dict[str, str] = field(default_factory=dict)
    """Address by name."""
    children: Children = field(init=False)

    def __post_init__(self) -> None:
        self.children = Children(self.run_dir)
        self._doors: dict[str, tuple[int, str | None]] = {}

    @property
    def services(self) -> dict[str, str]:
        """Addresses of the functions that answer HTTP."""
        called = [function.name for function in catalog.read() if function.kind == "http"]
        return {name: url for name, url in self.functions.items() if name in called}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports.gateway}"

    @property
    def addresses(self) -> dict[str, str]:
        """Where each process is reached, by its name."""
        ports = self.ports
        return {
            "gateway": self.url,
            "firestore": f"{HOST}:{ports.firestore}",
            "auth": f"{HOST}:{ports.auth}",
            "pubsub": f"{HOST}:{ports.pubsub}",
            "storage": f"{HOST}:{ports.storage}",
            "kms": f"{HOST}:{ports.kms}",
            "speech": f"{HOST}:{ports.speech}",
            "vision": f"{HOST}:{ports.vision}",
            "model": f"http://{HOST}:{ports.openai}/v1",
            "clamd": f"{HOST}:{ports.clamd}",
            "outbox": f"{HOST}:{ports.fcm} (FCM), {HOST}:{ports.smtp} (SMTP)",
            "traces": f"http://{HOST}:{ports.traces}/v1/traces",
            **self.functions,
        }

    def start(self) -> None:
        """Start everything and wait until it answers. Raises `StartFailed`; then nothing is left running."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.children.end_leftovers(self.say)
        self._require_free_ports()
        try:
            waits = [*self._start_emulators(), *self._start_functions(), self._start_gateway()]
            with ThreadPoolExecutor(len(waits)) as pool:
                for name in pool.map(lambda wait: wait(), waits):
                    self.say(f"{name} is up")
            self._subscribe()
            topics.make_buckets(f"http://{HOST}:{self.ports.storage}", PROJECT)
            if self.is_clocked:
                command = [sys.executable, "-m", "local.scheduler"]
                self.children.launch("scheduler", command, self.client_env(), ROOT)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.children.end()

    def restart(self, name: str) -> None:
        """Kill one process as a crash would, start it again, and wait until it answers.

        What it held in memory is gone: of Pub/Sub, what was not delivered yet. Its subscriptions
        are made anew, for in the cloud they outlast everything.
        """
        process = self.children.launch_again(name)
        self._waited(process, *self._doors[name])
        if name == "pubsub":
            self._subscribe()

    def _subscribe(self) -> None:
        pubsub = f"{HOST}:{self.ports.pubsub}"
        topics.subscribe(pubsub, PROJECT, self.functions)
        if self.is_demo:
            topics.watch(pubsub, PROJECT)

    def fire(self, name: str) -> None:
        """Fire a clock function now."""
        topics.fire(f"{HOST}:{self.ports.pubsub}", PROJECT, name)

    def client_env(self) -> dict[str, str]:
        """What a client of this platform needs: tools, tests, the operator's commands."""
        return {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "FIRESTORE_EMULATOR_HOST": f"{HOST}:{self.ports.firestore}",
            "FIREBASE_AUTH_EMULATOR_HOST": f"{HOST}:{self.ports.auth}",
            "PUBSUB_EMULATOR_HOST": f"{HOST}:{self.ports.pubsub}",
            "STORAGE_EMULATOR_HOST": f"http://{HOST}:{self.ports.storage}",
            "SMTP_EMULATOR_HOST": f"{HOST}:{self.ports.smtp}",
            "FCM_EMULATOR_HOST": f"{HOST}:{self.ports.fcm}",
            "MAIL_FROM": "HealthHub <no-reply@demo.healthhub.test>",
            "SPEECH_EMULATOR_HOST": f"{HOST}:{self.ports.speech}",
            "VISION_EMULATOR_HOST": f"{HOST}:{self.ports.vision}",
            "CLAMD_HOST": f"{HOST}:{self.ports.clamd}",
            "OPENAI_BASE_URL": f"http://{HOST}:{self.ports.openai}/v1",
            "OPENAI_API_KEY": "demo",
            "IDENTITY_API_KEY": "demo",
            # Fixed keys: a page token outlives a restart. The demo has nothing to hide.
            "PAGE_TOKEN_KEY": _demo_key("page tokens"),
            "AUDIT_KEY": _demo_key("audit"),
            "KMS_KEY": KMS_KEY,
            "KMS_EMULATOR_HOST": f"{HOST}:{self.ports.kms}",
        }

    def _require_free_ports(self) -> None:
        for name, port in vars(self.ports).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    raise StartFailed(
                        f"port {port} ({name}) is in use; end what uses it, or set {VARIABLE[name]}"
                    ) from None

    def _start_emulators(self) -> Iterator[Callable[[], str]]:
        java, ports = [self.tools.java, "-Duser.language=en", "-Xmx1g"], self.ports
        emulator = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
        rules = ["--rules", str(ROOT / "firestore.rules")]
        bind = ["--host", HOST, "--port", str(ports.firestore)]
        jar = ["-cp", str(self.tools.firestore_jar)]
        yield self._service("firestore", [*java, *jar, emulator, *bind, *rules], ports.firestore)
        script = [str(ROOT / "local" / "auth_emulator.js"), PROJECT, HOST, str(ports.auth)]
        path = {"NODE_PATH": str(self.tools.node_modules)}
        yield self._service("auth", [self.tools.node, *script], ports.auth, env=path)
        jar = ["-jar", str(self.tools.pubsub_jar)]
        bind = [f"--host={HOST}", f"--port={ports.pubsub}"]
        yield self._service("pubsub", [*java, *jar, *bind], ports.pubsub)
        script = _module("local.kms", str(ports.kms), str(self.run_dir / "kms.json"))
        yield self._service("kms", script, ports.kms, cwd=ROOT, path=None)
        script = _module("local.outbox", str(ports.fcm), str(ports.smtp))
        yield self._service("outbox", script, ports.fcm, cwd=ROOT, path="/dev/outbox")
        bind = [str(ports.storage), str(self._key_file), PROJECT, f"{HOST}:{ports.pubsub}"]
        yield self._service("storage", _module("local.storage", *bind), ports.storage, cwd=ROOT)
        env = {"STORAGE_EMULATOR_HOST": f"http://{HOST}:{ports.storage}"}
        script = _module("local.speech", str(ports.speech))
        yield self._service("speech", script, ports.speech, env=env, cwd=ROOT, path=None)
        data = (str(self.tools.traineddata), str(self.run_dir / "vision"))
        script = _module("local.vision", str(ports.vision), *data)
        yield self._service("vision", script, ports.vision, cwd=ROOT, path=None)
        script = _module("local.model", str(ports.openai))
        yield self._service("model", script, ports.openai, cwd=ROOT, path="/dev/prompts")
        script = _module("local.clamd", str(ports.clamd))
        yield self._service("clamd", script, ports.clamd, cwd=ROOT, path=None)
        script = _module("local.traces", str(ports.traces))
        yield self._service("traces", script, ports.traces, cwd=ROOT, path="/dev/traces")

    @property
    def _key_file(self) -> Path:
        """The service account's key, for signed URLs: made here, where the cloud has IAM."""
        return self.run_dir / "service-account.json"

    @property
    def _tracing(self) -> dict[str, str]:
        given = {
            name: self.function_env[name] for name in ["TRACE_RATIO"] if name in self.function_env
        }
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{self.ports.traces}", **given}

    def _start_functions(self) -> Iterator[Callable[[], str]]:
        declared = catalog.read()
        for function, port in zip(declared, free_ports(len(declared)), strict=True):
            name = function.name
            bundle = bundles.build(name, self.run_dir / "bundles" / name)
            env = {
                **_reaching(function, self.client_env()),
                "GOOGLE_APPLICATION_CREDENTIALS": str(self._key_file),
                **self._tracing,
                "FUNCTION_TARGET": name,
                "FUNCTION_SOURCE": str(bundle / "main.py"),
                "FUNCTION_SIGNATURE_TYPE": "http",
                "FUNCTION_USE_ASGI": "true",
                "HOST": HOST,
                "PORT": str(port),
                **self.function_env,
            }
            self.functions[name] = f"http://{HOST}:{port}"
            command = [sys.executable, "-m", "functions_framework"]
            yield self._service(name, command, port, env=env, cwd=bundle, path="/health")

    def _start_gateway(self) -> Callable[[], str]:
        env = {
            **self.client_env(),
            **self._tracing,
            "HEALTHHUB_FUNCTIONS": json.dumps(self.services),
            "FUNCTION_TARGET": "gateway",
            "HEALTHHUB_OUTBOX": f"http://{HOST}:{self.ports.fcm}",
            "HEALTHHUB_TRACES": f"http://{HOST}:{self.ports.traces}",
            "HEALTHHUB_EXPLORER": str(self.tools.node_modules / "swagger-ui-dist"),
            "HEALTHHUB_NODE": self.tools.node,
            "HEALTHHUB_DEMO": "1" if self.is_demo else "",
            "HEALTHHUB_RUN_DIR": str(self.run_dir),
            "HEALTHHUB_ADDRESSES": json.dumps(self.addresses),
            "HEALTHHUB_PORT": str(self.ports.gateway),
        }
        command = [sys.executable, "-m", "local.gateway"]
        return self._service(
            "gateway", command, self.ports.gateway, env=env, cwd=ROOT, path="/docs"
        )

    def _service(
        self,
        name: str,
        command: list[str],
        port: int,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        path: str | None = "/",
    ) -> Callable[[], str]:
        """Launch, and return what waits until it answers and then gives its name.

        What has no `path` speaks no HTTP, and answers when it takes connections.
        """
        process = self.children.launch(name, command, env or {}, cwd or self.run_dir)
        self._doors[name] = port, path
        return lambda: self._waited(process, port, path)

    def _waited(self, process: Process, port: int, path: str | None) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while not (_takes_connections(port) if path is None else _answers(port, path)):
            if process.popen.poll() is not None:
                raise StartFailed(process.failure())
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{process.name} did not answer within {_START_SECONDS} seconds; see {process.log}"
                )
            time.sleep(0.05)
        return process.name


_REACHED_BY = {
    "KMS_KEY": "keys",
    "KMS_EMULATOR_HOST": "keys",
    "IDENTITY_API_KEY": "accounts",
    "SPEECH_EMULATOR_HOST": "speech",
    "VISION_EMULATOR_HOST": "vision",
    "OPENAI_BASE_URL": "model",
    "OPENAI_API_KEY": "model",
    "FCM_EMULATOR_HOST": "push",
    "SMTP_EMULATOR_HOST": "mail",
    "MAIL_FROM": "mail",
    "CLAMD_HOST": "scanner",
}


def _reaching(function: catalog.Function, env: Mapping[str, str]) -> dict[str, str]:
    """Without the addresses of what the catalogue does not let this function use, as in the cloud."""
    return {
        name: value
        for name, value in env.items()
        if name not in _REACHED_BY or _REACHED_BY[name] in function.uses
    }


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


@contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code != 503  # a function is up once it is healthy
    except (OSError, http.client.HTTPException):
        return False
