"""What may differ between a source and what an archive brings back of it: one table, with the reasons.

Everything that is not in `ALLOWED` is a difference, and makes the verdict ``no``. Most of it is encoding, by the
standard's own words, and is not mentioned; what has `words` is named in the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["always", "encapsulated", "decoded", "coerced", "value"]
"""``always``: the elements may differ, outside of sequences. ``encapsulated``: they may beside pixels that are
compressed on either side; ``decoded``: where these had to be decoded, and the samples are the same. ``coerced``: they
may, outside of sequences, where the archive said so when it stored (status 0xB000). ``value``: it is about how values
are encoded, which `_compare`, `_values` and `_pixels` see to."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """One kind of difference that is none."""

    what: str
    reason: str  # with the section of the standard
    when: When = "value"
    tags: tuple[int, ...] = ()
    # extended: it keeps the text that was there
    changes: tuple[str, ...] = ("changed", "extended", "missing", "added")
    words: str = ""  # how the verdict says it, which then names the elements; empty where it is not mentioned


TRAILING_PADDING = 0xFFFCFFFC

ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        "explicit or implicit value representation, byte order, deflation",
        "PS3.5 7.1, 7.3, A.1 to A.5: numbers are compared with their bytes in the same order, all else byte by byte",
    ),
    Allowed(
        "UN, or a representation that PS3.5 does not know, for the one of the dictionary",
        "PS3.5 6.2.2: who does not know the representation writes UN; the bytes of the value stay",
    ),
    Allowed(
        "OB for OW, or one representation of numbers for another, where the bytes mean the same numbers",
        "PS3.5 A.1, A.2: an Attribute may have several, and an implicit source says none",
    ),
    Allowed(
        "sequences and items of defined for undefined length, fragments of an encapsulated value",
        "PS3.5 7.5.1, 7.5.2, A.4: the items, and the code stream that the fragments make together, are compared",
    ),
    Allowed(
        "padding: spaces or a NUL after a text, a NUL after other values",
        "PS3.5 6.2, 8.1.1: values have an even length, and such spaces mean nothing; neither do those before a value "
        "of AE, CS, DS, IS, LO and SH",
    ),
    Allowed(
        "samples of pixels that are compressed on one side, or otherwise on the other",
        "PS3.5 8.2, A.4: both are decoded, and compared sample by sample. What decompressing gives exactly is compared "
        "exactly; for lossy JPEG and irreversible JPEG 2000, whose decoders differ a little, see `_pixels.TOLERANCE`",
    ),
    Allowed(
        "Planar Configuration of native pixels",
        "PS3.3 C.7.6.3.1.3: the same samples in another order; they are compared in one",
        "decoded",
        (0x00280006,),
    ),
    Allowed(
        "Number of Frames, Rows, Columns, Samples per Pixel, Photometric Interpretation, Bits Allocated, Bits Stored, "
        "High Bit and Pixel Representation of pixels that were decompressed",
        "PS3.5 8.2, PS3.3 C.7.6.3.1: the code stream says what the samples are, and what is decoded is described as it "
        "is; colour as in `_pixels.DECODED_AS`. They are held against the code stream",
        "decoded",
        (
            *(0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011),
            *(0x00280100, 0x00280101, 0x00280102, 0x00280103),
        ),
    ),
    Allowed(
        "offset tables and total length of encapsulated pixels",
        "PS3.5 A.4, PS3.3 C.7.6.3.1.8: they speak of fragments, and only whole code streams are compared",
        "encapsulated",
        (0x7FE00001, 0x7FE00002, 0x7FE00003),
    ),
    Allowed(
        "group lengths (gggg,0000)",
        "PS3.5 7.2: retired but for groups 0000 and 0002, and a matter of the encoding",
    ),
    Allowed(
        "Data Set Trailing Padding, and bytes after the last element that are too few to be one",
        "PS3.10 7.2: they mean nothing",
    ),
    Allowed("File Meta Information", "PS3.10 7.1: it is of the file, and not of the data set"),
    Allowed(
        "Lossy Image Compression and its method, added beside pixels that were decompressed",
        "PS3.3 C.7.6.1.1.5: once it was compressed with a loss that must be said",
        "decoded",
        (0x00282110, 0x00282112, 0x00282114),
        ("added",),
        "as decompressing does",
    ),
    Allowed(
        "Derivation Description and Derivation Code Sequence, added or added to beside pixels that were compressed",
        "PS3.3 C.7.6.1.1.3: compressing leaves its mark there",
        "decoded",
        (0x00082111, 0x00089215),
        ("added", "extended"),
        "as compressing does",
    ),
    Allowed(
        "Instance Coercion DateTime, Retrieve AE Title, Instance Availability, Retrieve URI and URL, Storage Media "
        "File-Set, Original Attributes Sequence",
        "the archive's own account of where an instance is and what was done to it: PS3.3 C.12.1, PS3.4 C.3.4",
        "always",
        (
            *(0x00080015, 0x00080054, 0x00080056, 0x00081190, 0x0040E010, 0x00880130, 0x00880140),
            0x04000561,
        ),
        words="the archive's own",
    ),
    Allowed(
        "attributes of patient, study and series that the archive said it coerces (status 0xB000)",
        "PS3.4 B.4.1.3: an archive may fit what it is sent into what it has; without that status it is a difference",
        "coerced",
        (
            *(0x00100010, 0x00100020, 0x00100021, 0x00100022, 0x00100024, 0x00100030, 0x00100032),
            *(0x00100040, 0x00101000, 0x00101001, 0x00101002, 0x0020000D, 0x0020000E, 0x00200010),
            *(0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00081030),
        ),
        words="coerced by the archive, as it said when it stored it",
    ),
)


def is_ignored(tag: int) -> bool:
    """Whether a tag is a group length (gggg,0000), or Data Set Trailing Padding."""
    return tag & 0xFFFF == 0 or tag == TRAILING_PADDING


def rule_for(tag: int, change: str, holds: frozenset[When]) -> Allowed | None:
    """The rule by which an element may differ, where these conditions of `Allowed.when` are met; else None."""
    rows = (one for one in ALLOWED if one.when in holds and tag in one.tags and change in one.changes)
    return next(rows, None)
