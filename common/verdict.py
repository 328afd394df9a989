"""What kind of image a file is: by its first bytes, whatever it is called; and what it must not be.

A DICOM file begins with 128 bytes that are anyone's (PS3.10, 7.1). What puts a
program there, or another kind of file, makes a file that is two things at once
(CVE-2019-11687), and is refused.
"""

from enum import StrEnum

from common.reasons import NotTaken, Reason

HEAD_BYTES = 4096

_PREAMBLE = 128
_LONGEST_FIRST = 1 << 16
"""No first element of a DICOM file is longer."""

_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)


class ImageKind(StrEnum):
    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    WEBP = "webp"


_OTHER_FILES = {
    b"MZ": "Windows program",
    b"\x7fELF": "Linux program",
    b"\xfe\xed\xfa\xce": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O, Java",
    b"\xbe\xba\xfe\xca": "Mach-O",
    b"#!": "script",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"PK": "ZIP",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "RIFF",
    b"\0asm": "WebAssembly",
    b"\x1f\x8b": "gzip",
    b"Rar!": "RAR",
    b"7z\xbc\xaf": "7-Zip",
    b"\xd0\xcf\x11\xe0": "OLE",
    b"!<arch>": "archive",
    b"L\0\0\0\x01\x14\x02\0": "Windows shortcut",
}
"""By how they begin."""


def kind_of(head: bytes) -> ImageKind:
    """What the file is that begins so; `head` is its first `HEAD_BYTES`.

    Raises `NotTaken`: `not_image`, or `hidden_file` for a DICOM file that is another file too.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        if _is_another_file(head[:_PREAMBLE]):
            raise NotTaken(Reason.HIDDEN_FILE)
        return ImageKind.DICOM
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return ImageKind.PNG
    if head[:3] == b"\xff\xd8\xff":
        return ImageKind.JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ImageKind.TIFF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageKind.WEBP
    if _is_bare_dicom(head):
        return ImageKind.DICOM
    raise NotTaken(Reason.NOT_IMAGE)


def _is_another_file(preamble: bytes) -> bool:
    """Whether the preamble begins as another file does, or holds markup, a script or an archive anywhere."""
    if any(preamble.startswith(magic) for magic in _OTHER_FILES):
        return True
    return any(mark in preamble for mark in (b"<?", b"<!", b"<h", b"<s", b"%PDF", b"PK\3\4", b"#!"))


def _is_bare_dicom(head: bytes) -> bool:
    """Whether a data set begins here without a preamble: a first element of group 2 or 8.

    Explicit little endian, explicit big endian, or implicit little endian (PS3.5, 7.1).
    """
    if len(head) < 8:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x1200:
            continue
        if head[4:6] in _VRS:
            return True
        length = int.from_bytes(head[4:8], order)
        if order == "little" and length < _LONGEST_FIRST and length % 2 == 0:
            return True
    return False
