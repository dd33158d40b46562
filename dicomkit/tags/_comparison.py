"""Two data sets side by side: which rows belong together, and how they differ.

What a value says is compared, by the VR it is read by; where that is the same and was only written in another way, the
difference is named so.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from unicodedata import normalize

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement, convert_raw_data_element

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.tags._rows import TagRow, children, groups, items, vr
from dicomkit.tags._values import (
    READ_ERRORS,
    Element,
    element_of,
    in_little_endian,
    is_binary,
    is_little_endian,
    item_at,
    reading_vr,
    text_of,
    with_value,
)

Difference = Literal["", "written", "changed", "left", "right"]

_PIXEL_VRS = frozenset({"OB", "OW"})


@dataclass(frozen=True, slots=True)
class Pair:
    """The same row of two data sets; None on the side that does not have it. One data set has no right side."""

    left: TagRow | None
    right: TagRow | None

    @property
    def row(self) -> TagRow:
        """The row of the left side, or of the right when there is no other."""
        row = self.left or self.right
        assert row is not None
        return row


def pair_groups(left: Dataset, right: Dataset | None) -> list[Pair]:
    """Return the outermost rows of one data set or two."""
    return _paired(groups(left), groups(right) if right is not None else [])


def pair_children(pair: Pair) -> list[Pair]:
    """Return the rows right under a pair: elements matched by their tag, items by their number."""
    return _paired(children(pair.left) if pair.left else [], children(pair.right) if pair.right else [])


def _paired(left: list[TagRow], right: list[TagRow]) -> list[Pair]:
    others = {row.key: row for row in right}
    pairs = [Pair(row, others.pop(row.key, None)) for row in left]
    if others:
        pairs.extend(Pair(None, row) for row in others.values())
        pairs.sort(key=_place)
    return pairs


def _place(pair: Pair) -> tuple[int, int]:
    row = pair.row
    if row.kind == "item":
        return 0, int(row.key.rpartition("/")[2])
    return (0, row.tag) if row.tag is not None else (0 if row.key == "meta" else 1, 0)


def difference(pair: Pair, known: MutableMapping[Any, Difference] | None = None) -> Difference:
    """Return how two data sets differ in a row and in all that is under it.

    Parameters
    ----------
    pair : Pair
        Any pair of rows.
    known : mapping, optional
        What was found out so far, by the key of the row; more is added.

    Returns
    -------
    {"", "written", "changed", "left", "right"}
        The same; the same, written differently; different; only on the left; only on the right.
    """
    found: MutableMapping[Any, Difference] = {} if known is None else known
    own = _own(pair, found)
    if own is not None:
        return own
    # Down and up again by hand: a sequence may be nested deeper than Python calls.
    open_pairs = [_opened(pair)]
    while open_pairs:
        current = open_pairs[-1]
        child = next(current.below, None)
        if child is None:
            open_pairs.pop()
            found[current.key] = current.so_far
            if open_pairs:
                open_pairs[-1].so_far = open_pairs[-1].so_far or current.so_far
            continue
        own = _own(child, found)
        if own is None:
            open_pairs.append(_opened(child))
        elif own in ("", "written"):
            current.so_far = current.so_far or own
        else:
            found.update((one.key, "changed") for one in open_pairs)
            return "changed"
    return found[pair.row.key]


@dataclass(slots=True)
class _Open:
    """A pair whose rows underneath are being compared."""

    key: str
    below: Iterator[Pair]
    so_far: Difference


def _opened(pair: Pair) -> _Open:
    written = {vr(row) for row in (pair.left, pair.right) if row is not None}  # a sequence in UN, say
    return _Open(pair.row.key, iter(pair_children(pair)), "" if len(written) == 1 else "written")


def _own(pair: Pair, found: MutableMapping[Any, Difference]) -> Difference | None:
    """Return how a pair differs, None where that is for the rows under it to say."""
    key, left, right = pair.row.key, pair.left, pair.right
    if key not in found:
        if left is None:
            found[key] = "right"
        elif right is None:
            found[key] = "left"
        elif left.kind != "element":
            return None
        else:
            are_sequences = [items(row) is not None for row in (left, right)]
            if all(are_sequences):
                return None
            found[key] = "changed" if any(are_sequences) else _of_values(left, right)
    return found[key]


def _of_values(left: TagRow, right: TagRow) -> Difference:
    if _is_same_bytes(left, right):
        return ""
    vrs = [_read_by(row) for row in (left, right)]
    is_written_so = vr(left) == vr(right)
    if vrs[0] != vrs[1]:
        if "UN" in vrs:
            vrs = [next(one for one in vrs if one != "UN")] * 2
        elif not _PIXEL_VRS.issuperset(vrs):
            return "changed"
        else:
            vrs = ["OB", "OB"]
            # The VR of a file in Implicit VR is nobody's choice.
            is_written_so = not (left.written_vr and right.written_vr)
    contents = [_content(row, vrs[0]) for row in (left, right)]
    if contents[0] == contents[1]:
        return "" if is_written_so else "written"
    loose = [_loose(content, vrs[0]) for content in contents]
    return "written" if loose[0] == loose[1] else "changed"


def _is_same_bytes(left: TagRow, right: TagRow) -> bool:
    """Whether the bytes are the same, and how they are to be read, so that nothing need be converted."""
    first, second = (item_at(row.holder, row.tag or 0) for row in (left, right))
    return (
        isinstance(first, RawDataElement)
        and isinstance(second, RawDataElement)
        and first.value is not None
        and first.value == second.value
        and (first.VR, first.is_implicit_VR, first.is_little_endian)
        == (second.VR, second.is_implicit_VR, second.is_little_endian)
        and (first.value.isascii() or left.terms == right.terms)
    )


def _read_by(row: TagRow) -> str:
    """Return the VR a value is read by; of two that are possible for pixels or a table, the one that is meant."""
    assert row.tag is not None
    found = reading_vr(item_at(row.holder, row.tag), row.holder)
    return str(element_of(row.holder, row.tag).VR or found)[:2] if " or " in found else found


def _content(row: TagRow, by: str) -> Any:
    """Return what a value says when it is read by a VR: texts, numbers, or bytes without their padding."""
    assert row.tag is not None
    text = text_of(row.holder, row.tag, row.terms, by)
    if text is not None:
        return text[0]
    element = item_at(row.holder, row.tag)
    if isinstance(element, RawDataElement):
        raw = with_value(element, row.holder)
        if is_binary(by):
            return _bytes(raw, row.holder, by)
        converted = _converted_by(raw, by)
        if converted is None:
            return bytes(raw.value or b"")
        element = converted
    assert isinstance(element, DataElement)
    value = element.value
    if isinstance(value, bytes | bytearray):
        return _bytes(element, row.holder, by)
    several = [] if value is None or value == "" else list(value) if element.VM > 1 else [value]
    return tuple(repr(one) if isinstance(one, float) else one for one in several)


def _bytes(element: Element, holder: Dataset, by: str) -> bytes:
    data = bytes(element.value or b"")
    return in_little_endian(data, by, is_little=is_little_endian(element, holder)).removesuffix(b"\0")


def _converted_by(raw: Any, by: str) -> Any:
    try:
        with PYDICOM_QUIET:
            return convert_raw_data_element(raw._replace(VR=by))
    except READ_ERRORS:
        return None


def _loose(content: Any, by: str) -> Any:
    """Return what is the same for two spellings of a value (PS3.5 section 6.2): 1.0 and 1.00, padding, names."""
    if not isinstance(content, tuple) or not all(isinstance(one, str) for one in content):
        return content
    if by in ("DS", "IS"):
        try:
            return tuple(Decimal(one.strip()) if one.strip() else None for one in content)
        except InvalidOperation:
            return content
    texts = tuple(normalize("NFC", one) for one in content)
    if by == "PN":
        return tuple(_name(one) for one in texts)
    return (
        tuple(one.rstrip() for one in texts)
        if by in ("LT", "ST", "UT")
        else tuple(one.strip() for one in texts)
    )


def _name(text: str) -> str:
    """Return a name without the delimiters and spaces that may be left out (PS3.5 section 6.2.1)."""
    groups_ = ("^".join(part.strip() for part in group.split("^")).rstrip("^") for group in text.split("="))
    return "=".join(groups_).rstrip("=")
