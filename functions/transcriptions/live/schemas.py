"""What travels to the transcriptions service besides the sound itself, and its events."""

from typing import Any

from common.live import LIVE_TYPES
from common.models import Language

from ..schemas import Recorded


class LiveQuery(Recorded):
    language: Language = "en-US"


LIVE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Sound in pieces; `audio/l16` is 16 bit, mono, 16 kHz, little endian.",
        "content": {
            name: {"schema": {"type": "string", "format": "binary"}} for name in LIVE_TYPES
        },
    }
}
