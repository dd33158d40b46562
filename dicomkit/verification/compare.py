"""Two encodings of one instance, compared element by element: bytes in, differences out, no I/O.

The idea: a value is compared as it is encoded, so that nothing is lost to a conversion. Only what is encoding by the
standard's own words is no difference: padding, group lengths, lengths of sequences, fragments, offset tables.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from dicomkit.errors import DicomkitError
from dicomkit.identifying import profile_action
from dicomkit.quiet import PYDICOM_QUIET
from dicomkit.uids import DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "Comparison",
    "Difference",
    "Encoded",
    "NotComparable",
    "compare",
    "decode",
    "PIXEL_DATA",
    "PIXEL_ENCODING",
]

PIXEL_DATA = 0x7FE00010

PIXEL_ENCODING = frozenset(
    {
        0x00280004,  # Photometric Interpretation
        0x00280006,  # Planar Configuration
        0x7FE00001,  # Extended Offset Table
        0x7FE00002,  # Extended Offset Table Lengths
        PIXEL_DATA,
    }
)
"""What compressing or decompressing changes (PS3.5 section 8.2, PS3.3 C.7.6.3.1); compared as pixels instead."""

DERIVATION = frozenset({0x00082111, 0x00089215})
"""Derivation Description and Derivation Code Sequence (PS3.3 C.7.6.1.1.3), in which compressing leaves its mark."""

_TRAILING_PADDING = 0xFFFCFFFC  # Data Set Trailing Padding, PS3.10 section 7.2
_UNDEFINED_LENGTH = 0xFFFFFFFF

# Value representations (PS3.5 Table 6.2-1) by what of their spaces means nothing.
_SPACES_AROUND = frozenset({"AE", "CS", "DS", "IS", "LO", "SH"})
_SPACES_AFTER = frozenset({"AS", "DA", "DT", "LT", "PN", "ST", "TM", "UC", "UR", "UT"})
# Those that Specific Character Set governs (PS3.5 section 6.1.2.2).
_IN_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})

# Value representations whose values may be shown, if the attribute identifies nobody; free text never is.
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_SHOWN_TEXTS = frozenset({"CS", "DS", "IS"})
_LONGEST_SHOWN = 40
_MOST_NAMED = 8


class NotComparable(DicomkitError):
    """One of two data sets cannot be read."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A data set as bytes, with the UID of the transfer syntax they are in."""

    data: bytes
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One element that did not come back as it was sent.

    Attributes
    ----------
    path : str
        Where: ``(0010,0010) PatientName``, ``(0008,1140)[1] > (0008,1155) ReferencedSOPInstanceUID``; items from 1.
    what : {"changed", "missing", "added"}
    tag : int
        Of the element of the top level that it is in.
    values : str
        ``"'CT' became 'MR'"``, or empty where a value might say who the patient is.
    """

    path: str
    what: Literal["changed", "missing", "added"]
    tag: int
    values: str = ""

    def __str__(self) -> str:
        return f"{self.path} {self.what}{f' ({self.values})' if self.values else ''}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing two data sets.

    Attributes
    ----------
    elements : int
        How many elements of the top level were looked at.
    differences : tuple of Difference
        In the order of the tags.
    """

    elements: int
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        """Which elements differ, by tag and keyword: the first few of them, and how many more."""
        named = "; ".join(str(difference) for difference in self.differences[:_MOST_NAMED])
        more = len(self.differences) - _MOST_NAMED
        return f"{named}; and {more} more" if more > 0 else named


def compare(sent: Encoded, back: Encoded, *, leave_out: frozenset[int] = frozenset()) -> Comparison:
    """Compare two data sets of the same byte order.

    Parameters
    ----------
    leave_out
        Tags that are not compared at the top level.

    Raises
    ------
    NotComparable
        One of them is no data set.
    """
    try:
        with PYDICOM_QUIET:
            one, other = decode(sent), decode(back)
            tags = [tag for tag in _tags(one, other) if tag not in leave_out]
            walk = _Walk(sent.transfer_syntax == back.transfer_syntax)
            differences = tuple(walk.compare(one, other, tags, (), ([], [])))
    except (
        Exception
    ) as error:  # pydicom raises whatever its parts raise, and quotes values, maybe a patient's
        raise NotComparable(f"it is no data set that pydicom can read ({type(error).__name__})") from error
    return Comparison(len(tags), differences)


def decode(encoded: Encoded) -> Dataset:
    """The data set with its values undecoded, as far as pydicom leaves them so."""
    from pydicom.filereader import read_dataset

    data = encoded.data
    if encoded.transfer_syntax == DEFLATED_LE:
        data = zlib.decompress(data, -zlib.MAX_WBITS)  # PS3.5 A.5: the bare stream of RFC 1951
    return read_dataset(
        BytesIO(data),
        is_implicit_VR=encoded.transfer_syntax == IMPLICIT_LE,
        is_little_endian=encoded.transfer_syntax != EXPLICIT_BE,
    )


def _tags(one: Dataset, other: Dataset) -> list[int]:
    found = {int(tag) for ds in (one, other) for tag in ds.keys()}  # noqa: SIM118 (iterating would decode values)
    return sorted(tag for tag in found if tag & 0xFFFF and tag != _TRAILING_PADDING)


CharacterSets = tuple[list[str], list[str]]
"""The Python encodings of the texts of either data set."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """One way through two data sets, side by side."""

    in_same_syntax: bool

    def compare(
        self,
        one: Dataset,
        other: Dataset,
        tags: Sequence[int],
        above: tuple[tuple[int, int], ...],
        inherited: CharacterSets,
    ) -> Iterator[Difference]:
        """Yield what differs; `above` has the sequences around, each with the number of the item."""
        sets = (_character_set(one, inherited[0]), _character_set(other, inherited[1]))
        for tag in tags:
            if tag not in other:
                yield _difference(above, tag, "missing")
            elif tag not in one:
                yield _difference(above, tag, "added")
            else:
                yield from self._compare_element(one.get_item(tag), other.get_item(tag), above, sets)

    def _compare_element(
        self, one: Any, other: Any, above: tuple[tuple[int, int], ...], sets: CharacterSets
    ) -> Iterator[Difference]:
        tag = int(one.tag)
        representations = _representation(one), _representation(other)
        if "SQ" in representations:
            yield from self._compare_items(tag, one, other, above, sets)
            return
        vr = representations[0] if representations[0] != "UN" else representations[1]
        if tag == PIXEL_DATA and _is_encapsulated(one) and _is_encapsulated(other):
            if not _same_fragments(one.value, other.value):
                yield _difference(above, tag, "changed")
        elif not _same_value(one.value or b"", other.value or b"", vr, sets):
            yield _difference(above, tag, "changed", _shown(above, tag, vr, one.value, other.value))

    def _compare_items(
        self, tag: int, one: Any, other: Any, above: tuple[tuple[int, int], ...], sets: CharacterSets
    ) -> Iterator[Difference]:
        if self.in_same_syntax and isinstance(one.value, bytes) and one.value == other.value:
            return
        items, other_items = _items(one, sets[0]), _items(other, sets[1])
        if len(items) != len(other_items):
            counts = f"{len(items)} items became {len(other_items)}"
            yield _difference(above, tag, "changed", counts)
            return
        for number, (item, other_item) in enumerate(zip(items, other_items, strict=True), 1):
            yield from self.compare(item, other_item, _tags(item, other_item), (*above, (tag, number)), sets)


def _representation(element: Any) -> str:
    """The value representation, from the dictionary where the encoding does not say."""
    from pydicom.datadict import dictionary_VR

    vr: str | None = element.VR
    if vr is None or vr == "UN":
        try:
            vr = dictionary_VR(element.tag)
        except KeyError:
            return "UN"
    return vr


def _items(element: Any, encodings: list[str]) -> Sequence[Dataset]:
    from pydicom.values import convert_SQ

    value = element.value
    if not isinstance(value, bytes):
        items: Sequence[Dataset] = value or []
        return items
    # A sequence of unknown VR is in Implicit VR Little Endian, whatever is around it (PS3.5 section 6.2.2, note 4).
    is_unknown = element.VR == "UN"
    return convert_SQ(
        value,
        is_implicit_VR=is_unknown or element.is_implicit_VR,
        is_little_endian=is_unknown or element.is_little_endian,
        encoding=encodings or None,
    )


def _character_set(ds: Dataset, inherited: list[str]) -> list[str]:
    from pydicom.charset import convert_encodings

    if "SpecificCharacterSet" not in ds:
        return inherited or convert_encodings(None)
    value = ds.get_item("SpecificCharacterSet").value
    names = value.decode("ascii", "replace").split("\\") if isinstance(value, bytes) else value
    return convert_encodings([name.strip(" \0") for name in names or [""]])


def _same_value(one: bytes, other: bytes, vr: str, sets: CharacterSets) -> bool:
    if one == other and (sets[0] == sets[1] or vr not in _IN_CHARACTER_SET or one.isascii()):
        return True
    if vr in _SPACES_AROUND or vr in _SPACES_AFTER or vr == "UI":
        if sets[0] == sets[1] or vr not in _IN_CHARACTER_SET:
            return _trimmed(one, vr) == _trimmed(other, vr)
        return _same_text(_trimmed(one, vr), _trimmed(other, vr), vr, sets)
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter + b"\0" and len(longer) % 2 == 0  # PS3.5 section 8.1.1: padded to an even length


def _trimmed(value: bytes, vr: str) -> bytes:
    if vr == "UI":
        return b"\\".join(part.strip(b"\0 ") for part in value.split(b"\\"))
    if vr in _SPACES_AROUND:
        return b"\\".join(part.strip(b" \0") for part in value.split(b"\\"))
    if vr in _ONE_VALUE:
        return value.rstrip(b" \0")
    return b"\\".join(part.rstrip(b" \0") for part in value.split(b"\\"))


def _same_text(one: bytes, other: bytes, vr: str, sets: CharacterSets) -> bool:
    """Whether two texts in different character sets say the same."""
    from pydicom.charset import decode_bytes
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
    texts = [
        decode_bytes(value, encodings, delimiters)
        for value, encodings in zip((one, other), sets, strict=True)
    ]
    return texts[0] == texts[1] and "\ufffd" not in texts[0]


def _is_encapsulated(element: Any) -> bool:
    return getattr(element, "length", None) == _UNDEFINED_LENGTH


def _same_fragments(one: bytes, other: bytes) -> bool:
    """Whether two encapsulated values hold the same stream, however it is cut up (PS3.5 A.4)."""
    if one == other:
        return True
    return _stream(one) == _stream(other)


def _stream(value: bytes) -> bytes:
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    buffer = BytesIO(value)
    parse_basic_offsets(buffer)  # the first item is the offset table, and moves the position behind it
    return b"".join(generate_fragments(buffer))


def _difference(
    above: tuple[tuple[int, int], ...],
    tag: int,
    what: Literal["changed", "missing", "added"],
    values: str = "",
) -> Difference:
    return Difference(_path(above, tag), what, above[0][0] if above else tag, values)


def _path(above: tuple[tuple[int, int], ...], tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    around = "".join(f"{_number(sequence)}[{item}] > " for sequence, item in above)
    return f"{around}{_number(tag)} {keyword_for_tag(tag)}".rstrip()


def _number(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _shown(
    above: tuple[tuple[int, int], ...], tag: int, vr: str, one: bytes | None, other: bytes | None
) -> str:
    """Both values, when neither the attribute nor any sequence around it can tell who the patient is (PS3.15 E.1)."""
    if any(profile_action(one_of) is not None for one_of in (tag, *(sequence for sequence, _ in above))):
        return ""
    texts = [_as_text(value or b"", vr) for value in (one, other)]
    return f"{texts[0]} became {texts[1]}" if all(texts) else ""


def _as_text(value: bytes, vr: str) -> str:
    if not value:
        return "nothing"
    if vr in _SHOWN_TEXTS:
        text = _trimmed(value, vr).decode("ascii", "replace")
    elif vr in _NUMBERS and len(value) == struct.calcsize(_NUMBERS[vr]):
        text = str(struct.unpack(f"<{_NUMBERS[vr]}", value)[0])
    else:
        return ""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}...")
