"""Why an uploaded file is as it is, for programs and for people."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a record is as it is; `REASONS` says it to people."""

    NO_SPEECH = "no_speech"
    NOT_UPLOADED = "not_uploaded"
    SIZE_MISMATCH = "size_mismatch"
    HASH_MISMATCH = "hash_mismatch"
    NOT_AUDIO = "not_audio"
    UNREADABLE_AUDIO = "unreadable_audio"
    TOO_LONG = "too_long"
    MALWARE = "malware"
    NOT_SCANNED = "not_scanned"
    SPEECH_REFUSED = "speech_refused"
    SPEECH_FAILED = "speech_failed"
    PROCESSING_FAILED = "processing_failed"
    CONNECTION_LOST = "connection_lost"
    NOT_IMAGE = "not_image"
    HIDDEN_FILE = "hidden_file"
    TRUNCATED = "truncated"
    UNREADABLE_IMAGE = "unreadable_image"
    BOMB = "bomb"
    TOO_MANY_PIXELS = "too_many_pixels"
    NESTED_TOO_DEEP = "nested_too_deep"
    VIDEO = "video"
    DIRECTORY = "directory"
    DUPLICATE = "duplicate"
    CONFLICTING_INSTANCE = "conflicting_instance"
    VISION_FAILED = "vision_failed"


REASONS = {
    Reason.NO_SPEECH: "Nobody speaks in this recording.",
    Reason.NOT_UPLOADED: "The file did not come within a day. Ask for a new upload.",
    Reason.SIZE_MISMATCH: "The file has another size than was announced. Upload it again.",
    Reason.HASH_MISMATCH: "The file is not the one that was announced. Upload it again.",
    Reason.NOT_AUDIO: "This is no audio file of a known kind.",
    Reason.UNREADABLE_AUDIO: "The file is damaged: no sound could be read from it.",
    Reason.TOO_LONG: "The recording is longer than 8 hours.",
    Reason.MALWARE: "The file was refused by the malware scan.",
    Reason.NOT_SCANNED: "The file could not be scanned for malware and is held back.",
    Reason.SPEECH_REFUSED: "Speech recognition can't work on this recording.",
    Reason.SPEECH_FAILED: "Speech recognition failed. Support can start it again.",
    Reason.PROCESSING_FAILED: "Processing failed. Support can start it again.",
    Reason.CONNECTION_LOST: "The connection broke off; what was heard until then is kept.",
    Reason.NOT_IMAGE: "This is no image of a known kind: DICOM, PNG, JPEG, TIFF or WebP.",
    Reason.HIDDEN_FILE: "The file is a DICOM image and another kind of file at once, which can be dangerous. Export it again.",
    Reason.TRUNCATED: "The file ends too early. Upload it again from its source.",
    Reason.UNREADABLE_IMAGE: "The file is damaged, or written in a way that can't be read.",
    Reason.BOMB: "The file unpacks to far more than an image has.",
    Reason.TOO_MANY_PIXELS: "The image has more pixels than can be worked on: 100 million a frame, 4 GiB in all.",
    Reason.NESTED_TOO_DEEP: "The file's contents are nested deeper than any real image's.",
    Reason.VIDEO: "Video (MPEG, HEVC) can't be worked on. Export the frames.",
    Reason.DIRECTORY: "This is a directory of images (DICOMDIR), not an image. Upload the images themselves.",
    Reason.DUPLICATE: "This image is in the record already.",
    Reason.CONFLICTING_INSTANCE: "The record has another image with this image's identifier (SOP Instance UID).",
    Reason.VISION_FAILED: "Image analysis failed. Support can start it again.",
}


class NotTaken(Exception):
    """This file is refused, for that reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)
