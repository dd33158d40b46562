"""A data set as the rows of a table: its elements in order, sequences and their items as branches.

A row only remembers where it lies; what it says is read when it is looked at, so that a data set of a hundred
thousand elements is listed as fast as those of it that somebody opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dicomkit.identifying import profile_action
from dicomkit.quiet import PYDICOM_QUIET
from dicomkit.tags.values import (
    element_of,
    one_line,
    read_errors,
    same_value,
    uid_meaning,
    value_text,
    vr_of,
)

if TYPE_CHECKING:
    from pydicom import Dataset

    from dicomkit.tags.values import Element

__all__ = [
    "Difference",
    "Pair",
    "TagRow",
    "children",
    "difference",
    "element",
    "find_rows",
    "groups",
    "has_children",
    "keyword",
    "meaning",
    "name",
    "pair_children",
    "pair_groups",
    "search_text",
    "tag_text",
    "value",
    "vr",
]

Kind = Literal["group", "element", "item"]
Difference = Literal["", "changed", "left", "right"]

CELL_CHARACTERS = 200
_SEARCHED_CHARACTERS = 65536  # of one value


@dataclass(frozen=True, slots=True)
class TagRow:
    """Where one row lies in a data set.

    Attributes
    ----------
    key : str
        What no other row of the data set has: ``data/00081140/0/00081155``; items are counted from 0.
    kind : {"group", "element", "item"}
        File Meta or data set as a whole, an element, an item of a sequence.
    level : int
        Depth, from 1.
    holder : pydicom.Dataset
        What the element is in; for a group or an item, its own data set.
    tag : int or None
        Tag of the element, for an item that of its sequence, None for a group.
    expression : str
        The way to it in Python, beginning with ``dataset``.
    """

    key: str
    kind: Kind
    level: int
    holder: Dataset = field(repr=False)
    tag: int | None
    expression: str

    @property
    def is_identifying(self) -> bool:
        """Whether the basic profile of PS3.15 Annex E changes or removes it."""
        return self.kind == "element" and self.tag is not None and profile_action(self.tag) is not None


# The tree


def groups(dataset: Dataset) -> list[TagRow]:
    """Return the rows of the outermost level: File Meta Information, when there is any, and data set."""
    rows = []
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and len(meta):
        rows.append(TagRow("meta", "group", 1, meta, None, "dataset.file_meta"))
    rows.append(TagRow("data", "group", 1, dataset, None, "dataset"))
    return rows


def has_children(row: TagRow) -> bool:
    """Return whether there is something under the row; a sequence is parsed for that."""
    if row.kind == "element":
        items = _items(row)
        return items is not None and len(items) > 0
    return len(row.holder) > 0


def children(row: TagRow) -> list[TagRow]:
    """Return the rows right under a row: the elements of a group or item, the items of a sequence."""
    if row.kind == "element":
        return [
            TagRow(f"{row.key}/{number}", "item", row.level + 1, item, row.tag, f"{row.expression}[{number}]")
            for number, item in enumerate(_items(row) or ())
        ]
    return [
        TagRow(
            f"{row.key}/{tag:08x}",
            "element",
            row.level + 1,
            row.holder,
            int(tag),
            _member(row.expression, int(tag)),
        )
        for tag in sorted(row.holder.keys())
    ]


def find_rows(dataset: Dataset) -> Iterator[TagRow]:
    """Yield every row of a data set, each before what is under it."""
    waiting = groups(dataset)[::-1]
    while waiting:
        row = waiting.pop()
        yield row
        waiting.extend(reversed(children(row)))


def _items(row: TagRow) -> list[Dataset] | None:
    from pydicom import DataElement

    found = element(row)
    if not isinstance(found, DataElement) or found.VR != "SQ":  # one that is damaged stays raw
        return None
    items: list[Dataset] = found.value
    return items


def _member(expression: str, tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    word = keyword_for_tag(tag)
    return f"{expression}.{word}" if word else f"{expression}[0x{tag >> 16:04x}, 0x{tag & 0xFFFF:04x}]"


# What a row says


def element(row: TagRow) -> Element:
    """Return the element of a row; only elements have one."""
    assert row.tag is not None
    return element_of(row.holder, row.tag)


def tag_text(row: TagRow) -> str:
    """Return ``(0010,0010)``, ``Item 1`` (people count from 1), or the name of the group."""
    if row.kind == "item":
        return f"Item {int(row.key.rpartition('/')[2]) + 1}"
    if row.tag is None:
        return "File Meta Information" if row.key == "meta" else "Data Set"
    return f"({row.tag >> 16:04x},{row.tag & 0xFFFF:04x})"


def keyword(row: TagRow) -> str:
    """Return the keyword of PS3.6; for a private element its creator and name, as far as they are known."""
    from pydicom.datadict import keyword_for_tag

    if row.kind != "element" or row.tag is None:
        return ""
    return keyword_for_tag(row.tag) or name(row)


def name(row: TagRow) -> str:
    """Return the name of PS3.6; for a private element its creator and its name in pydicom's private dictionary."""
    from pydicom.datadict import dictionary_description, private_dictionary_description
    from pydicom.tag import Tag

    if row.kind != "element" or row.tag is None:
        return ""
    tag = Tag(row.tag)
    if tag.element == 0:
        return "Group Length"
    if tag.is_private_creator:
        return "Private Creator"
    if not tag.is_private:
        try:
            return dictionary_description(tag)
        except KeyError:
            return "Unknown"
    creator = _creator(row.holder, row.tag)
    if not creator:
        return "Private, creator missing"
    try:
        return f"{creator}: {private_dictionary_description(tag, creator)}"
    except KeyError:
        return f"{creator}: {tag.element & 0xFF:02x}"


def _creator(holder: Dataset, tag: int) -> str:
    """The creator who reserved the block of a private tag (PS3.5 section 7.8.1)."""
    reserving = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
    if reserving not in holder:
        return ""
    return one_line(value_text(element_of(holder, reserving), holder, CELL_CHARACTERS)[0].strip())


def vr(row: TagRow) -> str:
    """Return the VR, nothing for groups and items."""
    return vr_of(element(row), row.holder) if row.kind == "element" else ""


def value(row: TagRow, limit: int = CELL_CHARACTERS) -> tuple[str, bool]:
    """Return the value as text, and whether that is all of it; of an item or group, what is in it.

    Parameters
    ----------
    row : TagRow
        Any row.
    limit : int
        About how many characters to return at most.
    """
    if row.kind == "element":
        return value_text(element(row), row.holder, limit)
    count = len(row.holder)
    said = _item_text(row.holder) if row.kind == "item" else ""
    return (said or (f"{count} element" if count == 1 else f"{count} elements")), True


def meaning(row: TagRow) -> str:
    """Return what a UID is the name of; nothing for all else."""
    return uid_meaning(value(row)[0]) if vr(row) == "UI" else ""


def _item_text(item: Dataset) -> str:
    """What tells an item from its neighbours: the meaning of a code, the name and text of an SR content item."""
    try:
        with PYDICOM_QUIET:
            if not item.get("ConceptNameCodeSequence"):
                return str(item.get("CodeMeaning", "") or item.get("ReferencedSOPInstanceUID", ""))
            said = [item.ConceptNameCodeSequence[0].get("CodeMeaning", ""), item.get("TextValue", "")]
            if item.get("ConceptCodeSequence"):
                said.append(item.ConceptCodeSequence[0].get("CodeMeaning", ""))
            return ": ".join(str(part) for part in said if part)[:CELL_CHARACTERS]
    except read_errors():
        return ""


def search_text(row: TagRow) -> str:
    """Return what a search looks through, in lower case: tag with and without comma, keyword, name, VR, value."""
    if row.kind != "element" or row.tag is None:
        return f"{tag_text(row)} {value(row)[0]}".lower() if row.kind == "item" else ""
    text = value(row, _SEARCHED_CHARACTERS)[0]
    words = (tag_text(row), f"{row.tag:08x}", keyword(row), name(row), vr(row), text)
    return "\n".join((*words, uid_meaning(text) if words[4] == "UI" else "")).lower()


# Two data sets


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
    return _paired(
        children(pair.left) if pair.left else [],
        children(pair.right) if pair.right else [],
    )


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


def difference(pair: Pair) -> Difference:
    """Return how two data sets differ in a row and in all that is under it.

    Returns
    -------
    {"", "changed", "left", "right"}
        The same; different; only on the left; only on the right.
    """
    left, right = pair.left, pair.right
    if left is None:
        return "right"
    if right is None:
        return "left"
    if left.kind == "element" and left.tag is not None:
        if "SQ" not in (vr(left), vr(right)):
            return "" if same_value(left.holder, right.holder, left.tag) else "changed"
        if vr(left) != vr(right):
            return "changed"
    return "changed" if any(difference(child) for child in pair_children(pair)) else ""
