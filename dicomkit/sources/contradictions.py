"""Where a transfer syntax and the data set contradict each other, so that no peer could read what is sent.

The walk over the elements has seen how they are encoded and whether the Pixel Data is encapsulated (PS3.5
A.4) or native; only where that is not what the transfer syntax says, a look at the code stream tells what it would be.
"""

from __future__ import annotations

from dicomkit.dictionary.codestreams import (
    CAP,
    COD,
    FRAME_MARKERS,
    SIZ,
    SOC_SIZ,
    SOF_LS,
    SOI,
    SOS,
    marker_segments,
)
from dicomkit.dictionary.uids import RLE_LOSSLESS, UNCOMPRESSED, is_encapsulated, uid_name
from dicomkit.dictionary.vrs import ITEM, ITEM_BYTES, UNDEFINED_LENGTH
from dicomkit.sources.elements import LITTLE_EXPLICIT, Encoding, Header, Window

__all__ = ["contradiction", "syntax_of_code_stream"]

_SYNTAXES_OF_PIXELS = "1.2.840.10008.1.2.4."
_NEEDS = "which needs Explicit VR Little Endian (PS3.5 A.4)"
_MOST_OF_A_CODE_STREAM = 1 << 16  # of its beginning, where its headers are

_JPEG_BY_FRAME = {0xC0: "50", 0xC1: "51"}  # SOF0, SOF1; T.81 Table B.1
_JPEG_LOSSLESS_FRAME = 0xC3
_MOST_RLE_SEGMENTS = 15  # PS3.5 G.5
_RLE_HEADER_SIZE = 64
_OTHER_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"jP  ", "JPEG 2000 in a JP2 file"),
    (4, b"JXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"ftyp", "MPEG-4 video"),
    (0, b"\0\0\1\xb3", "MPEG-2 video"),
    (0, b"\0\0\0\1", "H.264 or HEVC video"),
)


def contradiction(window: Window, syntax: str, encoding: Encoding, pixels: Header | None) -> str:
    """Say what in a data set contradicts its transfer syntax, and what to declare where that is certain.

    `syntax` is what the File Meta Information declares, `pixels` the Pixel Data of the data set itself. Empty where
    nothing does.
    """
    is_compressed = pixels is not None and pixels.length == UNDEFINED_LENGTH
    if is_encapsulated(syntax):
        if encoding is LITTLE_EXPLICIT and (is_compressed or pixels is None or not pixels.length):
            return ""
    elif not is_compressed or (syntax and syntax not in UNCOMPRESSED):
        return ""
    said = f"its Transfer Syntax UID says {_named(syntax)}" if syntax else "it has no Transfer Syntax UID"
    if pixels is None or not pixels.length:
        there = f"{said}, {_NEEDS}, but its data set is in {encoding.name} and has no pixels"
        return f"{there}; {_declare(encoding.syntax)}"
    if not is_compressed:
        return f"{said}, but its Pixel Data {_of_native(window, encoding, pixels)}"
    if is_encapsulated(syntax):
        return f"{said}, {_NEEDS}, but its data set is in {encoding.name}; {_declare()}"
    kind, found = syntax_of_code_stream(_first_code_stream(window, pixels.start, encoding))
    there = f"{said}, {'but' if syntax else 'and'} its Pixel Data is compressed ({kind})"
    if encoding is LITTLE_EXPLICIT:
        return f"{there}; {_declare(found)}"
    return (
        f"{there} and its data set in {encoding.name}, where compressed Pixel Data needs Explicit VR Little Endian "
        f"(PS3.5 A.4); {_declare()}"
    )


def _of_native(window: Window, encoding: Encoding, pixels: Header) -> str:
    first = window.fetch(pixels.start, min(pixels.length, _MOST_OF_A_CODE_STREAM))
    if first.startswith(ITEM_BYTES):
        return f"has a length, as if it were not compressed, and has fragments in it; {_declare()}"
    kind, found = syntax_of_code_stream(first)
    if found or first.startswith(b"\xff\xd8\xff"):
        return (
            f"has a length, as if it were not compressed, and a code stream ({kind}) in it without the fragments of "
            f"PS3.5 A.4; {_declare()}"
        )
    from dicomkit.sources._by_pydicom import native_length

    native = native_length(window)
    is_certain = not native or native + native % 2 == pixels.length
    return (
        f"is not compressed: it has a length, and its data set is in {encoding.name}; "
        f"{_declare(encoding.syntax if is_certain else '')}"
    )


def _named(syntax: str) -> str:
    name = uid_name(syntax)
    return syntax if name == syntax else f"{name} ({syntax})"


def _declare(syntax: str = "") -> str:
    if not syntax:
        return "export it again from where it came from"
    return f"declare {_named(syntax)} in its File Meta, or export it again from where it came from"


def _first_code_stream(window: Window, position: int, encoding: Encoding) -> bytes:
    """The beginning of what the first fragment after the Basic Offset Table holds (PS3.5 A.4)."""
    for is_table in (True, False):
        head = window.fetch(position, encoding.item.size)
        if len(head) < encoding.item.size:
            return b""
        written, length = encoding.item.unpack(head)
        position += encoding.item.size
        if encoding.tag(written) != ITEM:
            return b""
        if is_table:
            position += length
    return window.fetch(position, min(length, _MOST_OF_A_CODE_STREAM))


def syntax_of_code_stream(first: bytes) -> tuple[str, str]:
    """What kind of code stream begins with these bytes, in words, and its transfer syntax where that is certain."""
    if first.startswith(SOI):
        return _jpeg(first)
    if first.startswith(SOC_SIZ):
        return _jpeg_2000(first)
    if _is_rle(first):
        return "RLE", RLE_LOSSLESS
    for place, magic, kind in _OTHER_KINDS:
        if first[place:].startswith(magic):
            return kind, ""
    return "in a way that its first bytes do not tell", ""


def _jpeg(first: bytes) -> tuple[str, str]:
    segments = marker_segments(first)
    frame = next((marker for marker, _ in segments if marker in FRAME_MARKERS), 0)
    scan = next((segment for marker, segment in segments if marker == SOS), b"")
    # Length, number of components, two bytes for each, and then what is asked for: T.81 B.2.3, T.87 C.2.3.
    place = 3 + 2 * scan[2] if len(scan) > 2 else 0
    parameter = scan[place] if 0 < place < len(scan) else -1
    last = _JPEG_BY_FRAME.get(frame, "")
    if frame == _JPEG_LOSSLESS_FRAME and parameter >= 0:  # which of the predictors
        last = "70" if parameter == 1 else "57"
    elif frame == SOF_LS and parameter >= 0:  # by how much a sample may differ
        last = "81" if parameter else "80"
    if last:
        syntax = _SYNTAXES_OF_PIXELS + last
        return uid_name(syntax), syntax
    return "JPEG-LS" if frame == SOF_LS else "JPEG", ""


def _jpeg_2000(first: bytes) -> tuple[str, str]:
    segments = dict(reversed(marker_segments(first)))
    size, style = segments.get(SIZ, b""), segments.get(COD, b"")
    if len(style) < 12 or len(size) < 4 or size[2] & 0x80:  # Rsiz says Part 2
        return "JPEG 2000", ""
    is_reversible = style[11] == 1  # T.800 Table A.20
    reversible, irreversible = ("201", "203") if CAP in segments else ("90", "91")
    last = reversible if is_reversible else irreversible
    syntax = _SYNTAXES_OF_PIXELS + last
    return uid_name(syntax), syntax


def _is_rle(first: bytes) -> bool:
    """Whether it begins with the header of PS3.5 G.5: the number of segments, and where each of them begins."""
    if len(first) <= _RLE_HEADER_SIZE:
        return False
    numbers = [int.from_bytes(first[at : at + 4], "little") for at in range(0, _RLE_HEADER_SIZE, 4)]
    count, places, unused = numbers[0], numbers[1 : numbers[0] + 1], numbers[numbers[0] + 1 :]
    return (
        1 <= count <= _MOST_RLE_SEGMENTS
        and places[0] == _RLE_HEADER_SIZE
        and places == sorted(set(places))
        and not any(unused)
    )
