"""A stand-in for clamd: speaks its protocol, and knows one signature, EICAR's test file.

python -m local.clamd <port>

A test can have it fail: `zFAULT <mode>` with `down` (connections are cut),
`stall`, `garbage`, or `none`; with `zFAULT down 0.01`, one in a hundred. https://www.eicar.org/download-anti-malware-testfile/
"""

import asyncio
import struct
import sys

from local.faults import Faults

HOST = "127.0.0.1"

# In two parts, so that no scanner takes this file for the test file.
_EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Clamd:
    def __init__(self) -> None:
        self._faults = Faults()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            command = (await reader.readuntil(b"\0")).rstrip(b"\0").decode()
            writer.write(await self._answer(command, reader) + b"\0")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    async def _answer(self, command: str, reader: asyncio.StreamReader) -> bytes:
        if command.startswith("zFAULT "):
            _, mode, *share = command.split()
            self._faults.become({"all": mode, "share": share[0] if share else 1})
            return b"OK"
        match self._faults.meet("all"):
            case "down":
                raise ConnectionError
            case "stall":
                await asyncio.sleep(60)
            case "garbage":
                return b"INSTREAM size limit exceeded. ERROR"
        match command:
            case "zPING":
                return b"PONG"
            case "zVERSION":
                return b"ClamAV stand-in"
            case "zINSTREAM":
                is_found = await _holds_eicar(reader)
                return b"stream: Eicar-Signature FOUND" if is_found else b"stream: OK"
        return b"UNKNOWN COMMAND"


async def _holds_eicar(reader: asyncio.StreamReader) -> bool:
    is_found, tail = False, b""
    while size := struct.unpack(">I", await reader.readexactly(4))[0]:
        tail += await reader.readexactly(size)
        is_found |= _EICAR in tail
        tail = tail[-len(_EICAR) :]
    return is_found


async def main(port: int) -> None:
    server = await asyncio.start_server(Clamd().serve, HOST, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
