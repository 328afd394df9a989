"""Mail, over SMTP to whatever relay is configured."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from common.firestore import now
from common.outside import Failed, Outside, Refused
from common.settings import settings

_DEADLINE = 6.0

_smtp = Outside("smtp", deadline=_DEADLINE, attempts=2)


@dataclass(frozen=True)
class Mail:
    id: str
    """A mailbox keeps one message of an id: what is sent again is recognised."""
    to: str
    subject: str
    text: str
    language: str


def is_configured() -> bool:
    return bool(settings().smtp_host or settings().smtp_emulator_host)


async def send(mail: Mail) -> None:
    """Raises `Refused` (that address is no good) or `Failed`."""
    # Imported here: only this needs it.
    import aiosmtplib

    message = EmailMessage()
    message["From"] = settings().mail_from
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{mail.id}@{settings().mail_from.rpartition('@')[2].strip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message["Content-Language"] = mail.language  # after the content, which drops such headers

    async def ask() -> None:
        client = aiosmtplib.SMTP(**_relay(), timeout=_DEADLINE / 2)
        try:
            await client.connect()
            await client.send_message(message)
            await client.quit()
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(500 <= each.code < 600 for each in error.recipients):
                raise Refused from error
            raise Failed from error
        except aiosmtplib.SMTPResponseException as error:
            if 500 <= error.code < 600 and error.code not in _OUR_FAULT:
                raise Refused from error
            raise Failed from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Failed from error
        finally:
            client.close()  # without a farewell that a relay which hangs would not hear

    await _smtp.call(ask)


_OUR_FAULT = {500, 501, 502, 503, 530, 534, 535, 538}
"""Commands and authentication: an operator mends those, and then the message goes out."""


def _relay() -> dict[str, Any]:
    found = settings()
    if found.smtp_emulator_host:
        host, _, port = found.smtp_emulator_host.partition(":")
        return {"hostname": host, "port": int(port), "start_tls": False}
    relay: dict[str, Any] = {"hostname": found.smtp_host, "port": found.smtp_port}
    # Never without TLS: 465 begins with it, others change to it.
    relay |= {"use_tls": True} if found.smtp_port == _TLS_PORT else {"start_tls": True}
    if found.smtp_user:
        relay |= {"username": found.smtp_user, "password": found.smtp_password}
    return relay


_TLS_PORT = 465


async def is_reachable() -> bool:
    """Whether a relay takes connections; true when none is configured, and nothing is sent."""
    if not is_configured():
        return True
    relay = _relay()
    try:
        opening = asyncio.open_connection(relay["hostname"], relay["port"])
        _, writer = await asyncio.wait_for(opening, 3)
        writer.close()
    except (OSError, TimeoutError):
        return False
    return True
