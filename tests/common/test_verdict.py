"""What a file is by its first bytes, and what it must not be besides."""

import pytest

from common.reasons import NotTaken, Reason
from common.verdict import HEAD_BYTES, ImageKind, kind_of
from tests.pictured import CARRIED, a_photo, a_scan, carried


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (a_scan(), ImageKind.DICOM),
        (carried("ExplVR_LitEndNoMeta.dcm"), ImageKind.DICOM),
        (carried("ExplVR_BigEndNoMeta.dcm"), ImageKind.DICOM),
        (carried("rtstruct.dcm"), ImageKind.DICOM),
        (a_photo(), ImageKind.PNG),
        (a_photo(format="JPEG"), ImageKind.JPEG),
        (a_photo(format="TIFF"), ImageKind.TIFF),
        (a_photo(format="WEBP"), ImageKind.WEBP),
    ],
)
def test_a_file_is_what_it_begins_as(content: bytes, kind: ImageKind) -> None:
    assert kind_of(content[:HEAD_BYTES]) is kind


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"MZ\x90\0",
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
        b"GIF89a",
        b"\0" * 200,
        b"hello " * 99,
    ],
)
def test_what_is_no_image_is_told_so(content: bytes) -> None:
    with pytest.raises(NotTaken) as refused:
        kind_of(content)
    assert refused.value.reason is Reason.NOT_IMAGE


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param(b"MZ\x90\0\3\0\0\0", id="Windows"),
        pytest.param(b"\x7fELF\2\1\1", id="ELF"),
        pytest.param(b"\xcf\xfa\xed\xfe\7\0\0\1", id="Mach-O"),
        pytest.param(b"\xca\xfe\xba\xbe\0\0\0\2", id="universal"),
        pytest.param(b"II*\0\x08\0\0\0", id="TIFF"),
        pytest.param(b"MM\0*\0\0\0\x08", id="TIFF, big endian"),
        pytest.param(b"#!/bin/sh\n", id="script"),
        pytest.param(b"\0\0PK\3\4", id="ZIP further on"),
        pytest.param(b"<script>", id="script of a page"),
        pytest.param(b"  %PDF-1.4", id="PDF"),
    ],
)
def test_p32_an_executable_or_polyglot_preamble_is_refused(hidden: bytes) -> None:
    content = hidden.ljust(128, b"\0") + a_scan()[128:]
    with pytest.raises(NotTaken) as refused:
        kind_of(content[:HEAD_BYTES])
    assert refused.value.reason is Reason.HIDDEN_FILE


def test_a_preamble_of_the_makers_own_is_no_harm() -> None:
    content = b"Made by a scanner".ljust(128, b"\0") + a_scan()[128:]
    assert kind_of(content[:HEAD_BYTES]) is ImageKind.DICOM


def test_files_that_are_also_tiff_are_known_among_those_that_pydicom_carries() -> None:
    """Eleven of them are: what a scanner's maker once found practical."""
    found = []
    for path in CARRIED.rglob("*.dcm"):
        try:
            kind_of(path.read_bytes()[:HEAD_BYTES])
        except NotTaken as refused:
            if refused.reason is Reason.HIDDEN_FILE:
                found.append(path.name)
    assert "CT_small.dcm" in found
    assert all(next(CARRIED.rglob(name)).read_bytes()[:4] == b"II*\0" for name in found)
