"""Encapsulated Pixel Data as native Pixel Data: every bit and every frame that its code streams hold.

The size that decoding would take is known from the data set and from each code stream before it is decoded, and frames
are read, decoded and let go of one after the other: memory is that of the decoded pixels and of one frame more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dicomkit._support.quantities import counted, in_bytes
from dicomkit.conversion._codestreams import (
    JPEG,
    JPEG_2000,
    JPEG_LS,
    Broken,
    Codestream,
    starts_codestream,
)
from dicomkit.conversion._decoders import decode, decode_rle, working_size
from dicomkit.conversion._frames import (
    Cut,
    Fragments,
    agrees,
    codestreams_in,
    group_fragments,
    read_group,
    rle_frames_in,
    rle_segments,
    starts_rle,
)
from dicomkit.conversion._image import Image, Layout, changes, colour_of, colour_of_rle, high_bit_of, lay_out
from dicomkit.conversion._rewriter import OFFSET_TABLES, Decompressed
from dicomkit.dictionary.uids import RLE_LOSSLESS, uid_name
from dicomkit.errors import NotConverted, UnreadableError
from dicomkit.sources.elements import Fetch

if TYPE_CHECKING:
    from dicomkit.conversion._decoders import Samples


_RLE: Final = "RLE"
_JPEG_SYNTAXES: Final = "1.2.840.10008.1.2.4."
_HTJ2K: Final = frozenset(_JPEG_SYNTAXES + tail for tail in ("201", "202", "203"))
# What the code streams of a transfer syntax are (PS3.5 A.4); those that are not here cannot be decoded.
CODINGS: Final = {
    RLE_LOSSLESS: _RLE,
    **dict.fromkeys((_JPEG_SYNTAXES + tail for tail in ("50", "51", "53", "55", "57", "70")), JPEG),
    **dict.fromkeys((_JPEG_SYNTAXES + tail for tail in ("80", "81")), JPEG_LS),
    **dict.fromkeys((_JPEG_SYNTAXES + "90", _JPEG_SYNTAXES + "91", *_HTJ2K), JPEG_2000),
}
# Lossy Image Compression Method (0028,2114), PS3.3 C.7.6.1.1.5.1.
_LOSSY_METHODS: Final = {JPEG: "ISO_10918_1", JPEG_LS: "ISO_14495_1", JPEG_2000: "ISO_15444_1"}
_HTJ2K_METHOD: Final = "ISO_15444_15"

# Bytes that a decoder may need beside what it returns, however low the limit.
_ALWAYS_ALLOWED: Final = 1 << 31
_ALWAYS_READ: Final = 1 << 20  # bytes of a compressed frame
_RLE_CELLS: Final = (8, 16, 24, 32, 40, 48, 56, 64)  # bits; and single ones
_AS_STORED: Final = "have the peer accept it as it is stored"
_CHECK: Final = f"check the file, or {_AS_STORED}"


def decompress(
    fetch: Fetch,
    fragments: Sequence[tuple[int, int]],
    offset_table: bytes,
    extended: tuple[bytes, bytes] | None,
    attributes: Mapping[int, bytes],
    syntax: str,
    *,
    max_decoded_bytes: int,
) -> Decompressed:
    """Decode all frames; NotConverted where that cannot be done, or would take more than `max_decoded_bytes`.

    The fragments, each with its position and length, are without the Basic Offset Table; `extended` is the Extended
    Offset Table with its lengths; `attributes` are the values of group 0028, in little endian.
    """
    coding = CODINGS.get(syntax)
    if coding is None:
        raise NotConverted(f"{uid_name(syntax)} cannot be decompressed here; {_AS_STORED}")
    try:
        import imagecodecs  # noqa: F401 (not to fail in the middle)
    except ImportError:
        raise _without_decoders(syntax) from None
    decoding = _Decoding(syntax, Image.of(attributes), max_decoded_bytes)
    try:
        groups = decoding.group(fetch, fragments, coding)
        add = decoding.add_rle if coding == _RLE else decoding.add_codestreams
        for group in groups:
            add(read_group(fetch, group))
        layout, pieces = decoding.finish()
    except (UnreadableError, OSError):
        raise
    except ImportError:  # imagecodecs is there, and was built without this codec
        raise _without_decoders(syntax) from None
    except Cut:
        raise NotConverted(
            f"its {uid_name(syntax)} pixels go on where the source ends; check the file"
        ) from None
    except Broken as error:
        raise decoding.refusal(str(error)) from None
    except Exception as error:  # noqa: BLE001 (decoders raise anything, and may quote what they decode)
        raise decoding.refusal(type(error).__name__) from None
    if not agrees(offset_table, extended, groups, fragments[0][0]):
        decoding.note("its offset table does not name the frames that are there")
    changed = changes(decoding.image, layout, decoding.frames, decoding.lossy_method)
    if extended is not None:
        changed |= dict.fromkeys(OFFSET_TABLES)
    return Decompressed(pieces, "OB" if layout.allocated <= 8 else "OW", changed, "; ".join(decoding.notes))


def _without_decoders(syntax: str) -> NotConverted:
    return NotConverted(
        f"decompressing {uid_name(syntax)} needs decoders that are not installed; install them with: "
        "pip install 'dicomkit[codecs]'"
    )


class _Decoding:
    """One Pixel Data while it is decoded: its frames so far, and what has to be said of them."""

    def __init__(self, syntax: str, image: Image, limit: int) -> None:
        self.image = image
        self.frames = 0
        self.lossy_method = ""
        self.notes: list[str] = []
        self._syntax = syntax
        self._limit = limit
        self._expected_frames = image.frames or 1
        self._pieces: list[memoryview] = []
        self._layout: Layout | None = None
        self._first: Codestream | None = None
        self._precision = 0  # where samples have turned out to have more bits than Bits Stored says
        self._check_size(image.claimed_size, "by its attributes ")

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def refusal(self, reason: str) -> NotConverted:
        return NotConverted(f"its {uid_name(self._syntax)} pixels could not be decoded ({reason}); {_CHECK}")

    def _check_size(self, size: int, how: str = "") -> None:
        if size > self._limit:
            raise NotConverted(
                f"its {uid_name(self._syntax)} pixels would take {how}{in_bytes(size)}, and max_decoded_bytes is "
                f"{in_bytes(self._limit)}; give a larger one if that is right, or {_AS_STORED}"
            )

    def group(self, fetch: Fetch, fragments: Fragments, coding: str) -> list[Fragments]:
        """The fragments of each frame."""
        groups = group_fragments(fetch, fragments, starts_rle if coding == _RLE else starts_codestream)
        if not groups:
            raise Broken("there is no code stream in them")
        if any(length for offset, length in fragments if offset < groups[0][0][0]):
            raise Broken("there are bytes before the first code stream")
        for group in groups:
            compressed = sum(length for _, length in group)
            if compressed > 2 * self._limit + _ALWAYS_READ:  # noise takes more than it holds, but not so much
                self._check_size(compressed, "compressed ")
        self._expected_frames = max(self._expected_frames, len(groups))
        return groups

    def add_codestreams(self, data: bytes) -> None:
        """Decode the frame, or the frames, of one group."""
        for found in codestreams_in(data):
            if self._first is None or self._layout is None:
                self._first = found
                self._layout = self._lay_out(found)
            elif found.shape != self._first.shape:
                raise Broken(f"code stream {self.frames + 1} holds another kind of picture than the first")
            layout = self._layout
            self.frames += 1
            self._check_size(layout.size(max(self._expected_frames, self.frames)))
            if working_size(found) > _ALWAYS_ALLOWED:
                self._check_size(working_size(found), "while they are decoded ")
            samples = decode(data, found)
            self._look_at_bits(samples, found, layout)
            self._pieces.append(_as_cells(samples, found, layout, signed=self.image.signed))
            if not found.closed:
                self.note("a code stream is without its end marker, and whole")
            if found.lossy:
                is_htj2k = found.coding == JPEG_2000 and self._syntax in _HTJ2K
                self.lossy_method = _HTJ2K_METHOD if is_htj2k else _LOSSY_METHODS[found.coding]

    def _lay_out(self, found: Codestream) -> Layout:
        image = self.image
        if (image.rows or found.rows, image.columns or found.columns) != (found.rows, found.columns):
            raise Broken(
                f"Rows and Columns are {image.rows} and {image.columns}, those of the code stream "
                f"{found.rows} and {found.columns}"
            )
        if found.samples not in (1, 3) and found.samples != image.samples:
            raise Broken(f"its code stream has {counted(found.samples, 'component')}")
        if found.coding != CODINGS[self._syntax]:
            self.note(f"its code stream is {found.coding}, not {uid_name(self._syntax)}")
        if image.samples is not None and image.samples != found.samples:
            self.note(f"Samples per Pixel was {image.samples}, and the code stream has {found.samples}")
        if found.coding == JPEG_2000 and found.signed != image.signed:
            self.note(
                f"the code stream has {'signed' if found.signed else 'unsigned'} samples, against Pixel "
                "Representation; their bits are left as they are"
            )
        photometric, contradicts = colour_of(image, found)
        if contradicts:
            self._note_colour(photometric)
        layout = lay_out(image, found, photometric)
        if (image.stored or found.precision) < layout.stored:
            self._note_bits(found)
        return layout

    def _note_colour(self, photometric: str) -> None:
        self.note(
            f"Photometric Interpretation was {self.image.photometric or 'missing'}, and is {photometric}"
        )

    def _look_at_bits(self, samples: Samples, found: Codestream, layout: Layout) -> None:
        """Find out whether bits above Bits Stored are used, where a code stream has some that its cells have not.

        A code stream as wide as its cells was made of whole cells, and what is above Bits Stored is its own affair,
        an overlay for one. One of 12 bits of which the data set says 10 was made of 12, if they are used.
        """
        if not layout.stored < found.precision < layout.allocated or self._precision:
            return
        if self.image.signed:
            used = found.signed and max(int(samples.max()), ~int(samples.min())) >> (layout.stored - 1)
        else:
            used = found.signed or int(samples.max()) >> layout.stored
        if used:
            self._precision = found.precision
            self._note_bits(found)

    def _note_bits(self, found: Codestream) -> None:
        self.note(
            f"Bits Stored was {self.image.stored}, and the samples of the code stream have {found.precision}"
        )

    def add_rle(self, data: bytes) -> None:
        """Decode the frame, or the frames, of one group."""
        for frame in rle_frames_in(data):
            if self._layout is None:
                self._layout = self._lay_out_rle()
            layout = self._layout
            self.frames += 1
            self._check_size(layout.size(max(self._expected_frames, self.frames)))
            width = -(-layout.allocated // 8)
            segments = rle_segments(frame[:64]) or []
            if len(segments) != layout.samples * width:
                raise Broken(f"a frame has {counted(len(segments), 'segment')}, not {layout.samples * width}")
            size = -(-layout.rows * layout.columns * layout.allocated // (8 * width))
            planes = decode_rle(frame, segments, size, width)
            if layout.samples > 1 and not layout.planar:
                planes = planes.reshape(layout.samples, size, width).swapaxes(0, 1).reshape(-1)
            self._pieces.append(planes.data)

    def _lay_out_rle(self) -> Layout:
        """RLE has only the data set to say what it is, and the number of its segments to contradict that."""
        image = self.image
        samples, allocated = image.samples or 1, image.allocated or 0
        if not image.rows or not image.columns:
            raise Broken("Rows and Columns are missing")
        if allocated not in _RLE_CELLS and (allocated, samples) != (1, 1):
            raise Broken(f"Bits Allocated is {allocated}")
        stored = min(image.stored or allocated, allocated)
        photometric, contradicts = colour_of_rle(image)
        if contradicts:
            self._note_colour(photometric)
        return Layout(
            rows=image.rows,
            columns=image.columns,
            samples=samples,
            photometric=photometric,
            planar=1 if image.planar == 1 else 0,
            allocated=allocated,
            stored=stored,
            high_bit=high_bit_of(image, stored, allocated),
        )

    def finish(self) -> tuple[Layout, list[memoryview]]:
        """What was decoded, when it is all that there is; its length is what the attributes will say."""
        layout, pieces = self._layout, self._pieces
        if layout is None:
            raise Broken("there is no code stream in them")
        if self._precision:
            layout = layout.__replace__(stored=self._precision, high_bit=self._precision - 1)
        if layout.allocated == 1 and layout.rows * layout.columns % 8:
            pieces = [_joined_bits(pieces, layout.rows * layout.columns)]
        length, expected = sum(len(piece) for piece in pieces), layout.size(self.frames)
        if length != expected:
            raise Broken(f"decoded they have {length} bytes, by their attributes {expected}")
        if self.image.frames != self.frames and (self.image.frames is not None or self.frames > 1):
            before = "missing or not a number" if self.image.frames is None else self.image.frames
            self.note(f"Number of Frames was {before}, and there are {counted(self.frames, 'code stream')}")
        return layout, pieces


def _as_cells(samples: Samples, found: Codestream, layout: Layout, *, signed: bool) -> memoryview:
    """The samples in cells of Bits Allocated, in Little Endian."""
    if found.signed and not signed and found.precision < 8 * samples.dtype.itemsize:
        samples = samples & ((1 << found.precision) - 1)  # without the sign that decoders repeat above
    cells = samples.astype(f"<{samples.dtype.kind}{layout.allocated // 8}", copy=False)
    return cells.reshape(-1).view("u1").data


def _joined_bits(pieces: list[memoryview], count: int) -> memoryview:
    """Frames of single bits, of which the next begins where the one before it ends (PS3.5 8.1.1)."""
    import numpy as np

    bits = [np.unpackbits(np.frombuffer(piece, "u1"), count=count, bitorder="little") for piece in pieces]
    return np.packbits(np.concatenate(bits), bitorder="little").data
