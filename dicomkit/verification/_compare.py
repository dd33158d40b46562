"""A source and what came back of it, compared element by element: bytes in, differences out, no I/O.

A value is compared as it is encoded, so that nothing is lost to a conversion, and no conversion of ours is used that
might repeat what went wrong. What is no difference stands in `_allowed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dicomkit.dictionary.identifying import profile_action
from dicomkit.dictionary.uids import UNCOMPRESSED, uid_name
from dicomkit.dictionary.vrs import PIXEL_DATA
from dicomkit.verification._allowed import Allowed, When, is_ignored, rule_for
from dicomkit.verification._elements import (
    DataSet,
    Element,
    Encoded,
    NotComparable,
    items_of,
    read_data_set,
)
from dicomkit.verification._pixels import Pixels, PixelVerdict, compare_pixels
from dicomkit.verification._values import extends, is_same_value, representation, shown

_PLANAR_CONFIGURATION = 0x00280006
_MOST_NAMED = 8
_CAN_BE_LEFT_OUT = 8  # bytes after the last element that are fewer than the header of one

What = Literal["changed", "missing", "added"]
Above = tuple[tuple[int, int], ...]
"""The sequences around an element, each with the number of the item, from 1."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One element that did not come back as it was sent."""

    path: str  # (0010,0010) PatientName, (0008,1140)[1] > (0008,1155) ReferencedSOPInstanceUID; items from 1
    what: What
    tag: int  # of the element of the top level that it is in
    values: str = ""  # 'CT' became 'MR', or empty where a value might say who the patient is

    def __str__(self) -> str:
        return f"{self.path} {self.what}{f' ({self.values})' if self.values else ''}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing two data sets."""

    elements: int  # how many of the top level were looked at
    differences: tuple[Difference, ...]  # in the order of the tags
    allowed: tuple[tuple[Difference, Allowed], ...]  # those that the table allows, and has words for
    doubts: tuple[str, ...]  # why pixels could not be compared
    has_decoded: bool  # whether pixels were decoded and are the same

    def __str__(self) -> str:
        return named(self.differences)


def named(differences: Sequence[Difference]) -> str:
    """The first few of them, by tag and keyword, and how many more."""
    first = "; ".join(str(difference) for difference in differences[:_MOST_NAMED])
    more = len(differences) - _MOST_NAMED
    return f"{first}; and {more} more" if more > 0 else first


def compare(sent: Encoded, back: Encoded, *, coerced: bool = False) -> Comparison:
    """Compare two data sets, each in whatever transfer syntax.

    With `coerced` the archive said when it stored that it coerces (status 0xB000). Raises NotComparable where one of
    them is no data set, or is nested too deep.
    """
    one, other = read_data_set(sent), read_data_set(back)
    walk = _Walk(sent.transfer_syntax, back.transfer_syntax, coerced)
    try:
        differences = tuple(walk.compare(one, other, ()))
    except RecursionError as error:
        raise NotComparable("its sequences are nested too deep to be compared") from error
    tags = {tag for tag, _ in (*one.elements, *other.elements) if not is_ignored(tag)}
    return Comparison(len(tags), differences, tuple(walk.allowed), tuple(walk.doubts), walk.has_decoded)


class _Walk:
    """A walk through two data sets, side by side."""

    def __init__(self, syntax: str, other_syntax: str, coerced: bool) -> None:
        self._syntax, self._other_syntax, self._coerced = syntax, other_syntax, coerced
        self.allowed: list[tuple[Difference, Allowed]] = []
        self.doubts: list[str] = []
        self.has_decoded = False

    def compare(self, one: DataSet, other: DataSet, above: Above) -> Iterator[Difference]:
        """Yield what differs."""
        pixels = self._compare_pixels(one, other)
        met: dict[When, bool] = {
            "always": not above,
            "coerced": not above and self._coerced,
            "encapsulated": any(_fragments(each.get(PIXEL_DATA)) is not None for each in (one, other)),
            "decoded": pixels is not None and pixels.same != "no",
        }
        holds = frozenset(when for when, is_met in met.items() if is_met)
        for key in sorted({*one.elements, *other.elements}):
            tag = key[0]
            if is_ignored(tag):
                continue
            if key == (PIXEL_DATA, 0) and pixels is not None:
                if pixels.same == "no":
                    yield _difference(above, tag, "changed", pixels.sentence)
                continue
            element, back = one.elements.get(key), other.elements.get(key)
            is_extended = element is not None and back is not None and extends(back, element)
            for difference in self._compare_element(element, back, above):
                rule = rule_for(tag, "extended" if is_extended else difference.what, holds)
                if rule is None:
                    yield difference
                elif rule.words:
                    self.allowed.append((difference, rule))
        if len(one.rest) >= _CAN_BE_LEFT_OUT and one.rest != other.rest:
            yield Difference(f"{len(one.rest)} bytes after the last element", "missing", 0)

    def _compare_pixels(self, one: DataSet, other: DataSet) -> PixelVerdict | None:
        """The verdict on Pixel Data that must be decoded to be compared; None where its bytes can be."""
        data, back = one.get(PIXEL_DATA), other.get(PIXEL_DATA)
        if data is None or back is None:
            return None
        if data.fragments is None and back.fragments is None:
            planar, planar_back = one.get(_PLANAR_CONFIGURATION), other.get(_PLANAR_CONFIGURATION)
            if planar is None or planar_back is None or is_same_value(planar, planar_back):
                return None
            if is_same_value(data, back):  # so that the samples are others
                return None
        elif self._syntax == self._other_syntax and None not in (data.fragments, back.fragments):
            return None  # nobody had a reason to make another code stream of it
        if back.fragments is not None and self._other_syntax in UNCOMPRESSED:
            return PixelVerdict("no", f"it is compressed still, as {uid_name(self._other_syntax)} has none")
        verdict = compare_pixels(Pixels(data, one, self._syntax), Pixels(back, other, self._other_syntax))
        if verdict.same == "unknown":
            self.doubts.append(verdict.sentence)
        self.has_decoded = self.has_decoded or verdict.same == "yes"
        return verdict

    def _compare_element(
        self, one: Element | None, other: Element | None, above: Above
    ) -> Iterator[Difference]:
        if one is None or other is None:
            present = one or other
            assert present is not None, "it is in one of the two"
            yield _difference(above, present.tag, "added" if one is None else "missing")
            return
        tag = one.tag
        if one.fragments is not None or other.fragments is not None:
            # The stream that the fragments make together, however it is cut up (PS3.5 A.4).
            streams = [
                None if each is None else b"".join(each[1:]) for each in (one.fragments, other.fragments)
            ]
            if streams[0] != streams[1]:
                yield _difference(above, tag, "changed")
            return
        vr = representation(one, other)
        is_sequence = vr == "SQ" or one.items is not None or other.items is not None
        if not is_sequence and is_same_value(one, other) and one.is_cut == other.is_cut:
            return
        items, other_items = (items_of(one), items_of(other)) if is_sequence or vr == "UN" else (None, None)
        if items is None or other_items is None:
            if not is_sequence or items is not other_items or one.value != other.value:
                yield _difference(above, tag, "changed", _shown(above, tag, one, other))
        elif len(items) != len(other_items):
            yield _difference(above, tag, "changed", f"{len(items)} items became {len(other_items)}")
        else:
            for number, (item, other_item) in enumerate(zip(items, other_items, strict=True), 1):
                yield from self.compare(item, other_item, (*above, (tag, number)))


def _fragments(data: Element | None) -> tuple[bytes, ...] | None:
    return None if data is None else data.fragments


def _difference(above: Above, tag: int, what: What, values: str = "") -> Difference:
    from pydicom.datadict import keyword_for_tag

    around = "".join(f"{_number(sequence)}[{item}] > " for sequence, item in above)
    path = f"{around}{_number(tag)} {keyword_for_tag(tag)}".rstrip()
    return Difference(path, what, above[0][0] if above else tag, values)


def _number(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _shown(above: Above, tag: int, one: Element, other: Element) -> str:
    """Both values, when neither the attribute nor any sequence around it can tell who the patient is (PS3.15 E.1)."""
    if any(profile_action(one_of) is not None for one_of in (tag, *(sequence for sequence, _ in above))):
        return ""
    return shown(one, other)
