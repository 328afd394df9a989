"""Bodies and headers that are too large, too deep, or not what they say: refused, and never 500.

Each goes to the gateway, and straight to a function: in the cloud, Google's front end would stop some.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator

from tests.stress import wire
from tests.stress.scene import Scene, Told, expect_nothing_unforeseen
from tests.stress.wire import Answer, Raw, chunked, request

_JSON = {"Content-Type": "application/json"}
_CHUNKED = {**_JSON, "Transfer-Encoding": "chunked"}
_PATH = "/v1/login"
_REFUSED = (400, 413, 415, 422)
_MIB = 1 << 20
_TOO_MUCH = 2 * _MIB


async def tried(scene: Scene) -> Told:
    told = Told(
        "Large and lying bodies",
        f"{len(list(_cases()))} kinds, to the gateway and straight to a function",
    )
    before = scene.unforeseen()
    statuses: Counter[int] = Counter()
    ends, rounds = scene.ends(), 0
    while rounds == 0 or time.monotonic() < ends:
        cases = list(_cases())
        for url in (scene.platform.url, scene.platform.functions["users"]):
            is_gateway = url == scene.platform.url
            for raw in (each for each in cases if each.is_for_gateway or not is_gateway):
                answer = await wire.answered(url, raw)
                statuses[answer.status] += 1
                judge(raw, answer, told)
            healthy = await scene.api.get("/v1/health/users")
            told.expect(healthy.status_code == 200, "afterwards the function was not healthy")
        rounds += 1
    told.add("rounds", rounds)
    told.add("answers (0: closed without one)", dict(sorted(statuses.items())))
    expect_nothing_unforeseen(scene, before, told)
    return told


def judge(raw: Raw, answer: Answer, told: Told) -> None:
    told.expect(
        answer.status in raw.allowed,
        f"{raw.what} was answered {answer.status}, not one of {raw.allowed}",
    )


def _cases() -> Iterator[Raw]:
    yield from _too_large()
    yield from _lying()
    yield from _chunked()
    yield from _deep()
    yield from _headers()


def _too_large() -> Iterator[Raw]:
    long = json.dumps({"email": "a@example.test", "password": "x" * _TOO_MUCH}).encode()
    yield Raw("2 MB of JSON", request("POST", _PATH, long, _JSON), (413,))
    yield Raw(
        "a body said to be of 1 TB",
        request("POST", _PATH, headers=_JSON, length=str(1 << 40)),
        (413,),
        is_for_gateway=False,
    )
    many = b"[" + b"0," * (_MIB // 4) + b"0]"
    yield Raw("half a megabyte of numbers", request("POST", _PATH, many, _JSON), _REFUSED)
    keys = json.dumps({f"key{n}": n for n in range(30_000)}).encode()
    yield Raw("thirty thousand fields", request("POST", _PATH, keys, _JSON), _REFUSED)


def _lying() -> Iterator[Raw]:
    body = b'{"email": "a@example.test"}'
    less = request("POST", _PATH, body, _JSON, "5")
    yield Raw("a length shorter than the body", less, _REFUSED)
    more = request("POST", _PATH, body, _JSON, "900")
    yield Raw("a length longer than the body", more, (0, 400, 503), ends=True)
    for length in ("-1", "+5", "0x10", "1e3", "five", "9" * 40, "5, 5"):
        sent = request("POST", _PATH, body, _JSON, length)
        yield Raw(f"the length {length[:10]}", sent, (0, 400, 413, 422))
    twice = request("POST", _PATH, body, _JSON, "27\r\nContent-Length: 9")
    yield Raw("two lengths", twice, (0, 400))
    both = request("POST", _PATH, b"0\r\n\r\n", _CHUNKED)
    yield Raw("a length, and in chunks", both, (0, *_REFUSED))


def _chunked() -> Iterator[Raw]:
    pieces = [b'{"email": "', *([b"x" * 65_536] * 32), b'"}']
    yield Raw("2 MB in chunks", chunked(_PATH, pieces, _JSON), (413,))
    small = [b"x"] * 2000
    yield Raw("two thousand chunks of a byte", chunked(_PATH, small, _JSON), _REFUSED)
    head = request("POST", _PATH, headers=_CHUNKED)
    yield Raw("a chunk of no size", head + b"zz\r\nabc\r\n0\r\n\r\n", (0, *_REFUSED))
    yield Raw("a chunk of endless size", head + b"f" * 40 + b"\r\nabc", (0, *_REFUSED), ends=True)
    yield Raw("a chunk that breaks off", head + b"ff\r\nabc", (0, 400, 503), ends=True)


def _deep() -> Iterator[Raw]:
    name = secrets.token_hex(8).encode()  # as no round before had it: guesses at one are limited
    for what, text in (
        ("100,000 lists deep", b"[" * 100_000),
        ("100,000 lists deep, and closed", b"[" * 100_000 + b"]" * 100_000),
        ("50,000 objects deep", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        ("a number of 100,000 digits", b'{"email": ' + b"9" * 100_000 + b"}"),
        ("an exponent without end", b'{"email": 1e999999999}'),
        ("half of a surrogate", b'{"email": "\\ud800@example.test", "password": "12345678"}'),
        ("zeros", b'{"email": "%s\\u0000@example.test", "password": "12345678"}' % name),
    ):
        # 401: text that could be an address, and is nobody's.
        yield Raw(what, request("POST", _PATH, text, _JSON), (401, *_REFUSED))


def _headers() -> Iterator[Raw]:
    refused = (0, 400, 401, 404, 413, 414, 431)
    for size in (20_000, 200_000, _MIB):
        sent = request("GET", "/v1/users/me", headers={"X-Long": "x" * size})
        yield Raw(f"a header of {size:,} bytes", sent, refused)
    many = {f"X-Many-{n}": "1" for n in range(5000)}
    yield Raw("five thousand headers", request("GET", "/v1/users/me", headers=many), refused)
    yield Raw("a path of 100,000 letters", request("GET", "/v1/users/" + "x" * 100_000), refused)
    query = request("GET", "/v1/doctors?q=" + "x" * 50_000)
    yield Raw("a query of 50,000 letters", query, (*refused, 422))
    token = request("GET", "/v1/users/me", headers={"Authorization": "Bearer " + "x" * 50_000})
    yield Raw("a token of 50,000 letters", token, refused)
    yield Raw("no HTTP", b"\x16\x03\x01\x02\x00" + bytes(200) + b"\r\n\r\n", (0, 400), ends=True)
