"""A data set as the rows of a table: its elements in order, sequences and their items as branches.

A row only remembers where it lies; what it says is read when it is looked at, so that a data set of a hundred
thousand elements is listed as fast as those of it that somebody opens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from unicodedata import normalize

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_description, keyword_for_tag, private_dictionary_description
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.dictionary.identifying import profile_action
from dicomkit.tags._values import (
    READ_ERRORS,
    Element,
    creator_of,
    element_of,
    is_binary,
    item_at,
    one_line,
    reading_vr,
    terms_of,
    text_of,
    uid_meaning,
    value_text,
)

Kind = Literal["group", "element", "item"]

CELL_CHARACTERS = 200
_SEARCHED_CHARACTERS = 65536  # of an array of numbers; of text, all are


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
    parent : TagRow or None
        The row it is under, None for a group.
    terms : tuple of str
        The Specific Character Set that is in force there: its own item's, or of what that is in.
    written_vr : str
        The VR that the file has; empty where it has none, or where that is not known any more.
    """

    key: str
    kind: Kind
    level: int
    holder: Dataset = field(repr=False)
    tag: int | None
    parent: TagRow | None = field(default=None, repr=False, compare=False)
    terms: tuple[str, ...] = ()
    written_vr: str = ""

    @property
    def expression(self) -> str:
        """The way to it in Python, beginning with ``dataset``."""
        steps = []
        row: TagRow | None = self
        while row is not None:
            if row.tag is None:
                steps.append("dataset.file_meta" if row.key == "meta" else "dataset")
            elif row.kind == "item":
                steps.append(f"[{row.key.rpartition('/')[2]}]")
            else:
                steps.append(_member(row.tag))
            row = row.parent
        return "".join(reversed(steps))

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
        rows.append(TagRow("meta", "group", 1, meta, None))
    rows.append(TagRow("data", "group", 1, dataset, None, None, terms_of(dataset)))
    return rows


def has_children(row: TagRow) -> bool:
    """Return whether there is something under the row; a sequence is parsed for that."""
    if row.kind == "element":
        below = items(row)
        return below is not None and len(below) > 0
    return len(row.holder) > 0


def children(row: TagRow) -> list[TagRow]:
    """Return the rows right under a row: the elements of a group or item, the items of a sequence."""
    if row.kind == "element":
        return [
            TagRow(
                f"{row.key}/{number}", "item", row.level + 1, item, row.tag, row, terms_of(item) or row.terms
            )
            for number, item in enumerate(items(row) or ())
        ]
    rows = []
    for tag in sorted(map(int, row.holder.keys())):
        found = item_at(row.holder, tag)
        written_vr = found.VR or "" if isinstance(found, RawDataElement) else ""
        key = f"{row.key}/{tag:08x}"
        rows.append(TagRow(key, "element", row.level + 1, row.holder, tag, row, row.terms, written_vr))
    return rows


def find_rows(dataset: Dataset) -> Iterator[TagRow]:
    """Yield every row of a data set, each before what is under it.

    Parameters
    ----------
    dataset : Dataset
        Is not changed.

    Yields
    ------
    TagRow
        A group, an element or an item.
    """
    waiting = groups(dataset)[::-1]
    while waiting:
        row = waiting.pop()
        yield row
        waiting.extend(reversed(children(row)))


def items(row: TagRow) -> list[Dataset] | None:
    """Return the items of a sequence, None for what is none; a sequence is parsed for that."""
    found = element(row)
    if not isinstance(found, DataElement) or found.VR != "SQ":  # one that is damaged stays raw
        return None
    below: list[Dataset] = found.value
    return below


def _member(tag: int) -> str:
    word = keyword_for_tag(tag)
    return f".{word}" if word else f"[0x{tag >> 16:04x}, 0x{tag & 0xFFFF:04x}]"


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
    if row.kind != "element" or row.tag is None:
        return ""
    return keyword_for_tag(row.tag) or name(row)


def name(row: TagRow) -> str:
    """Return the name of PS3.6; for a private element its creator and its name in pydicom's private dictionary."""
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
    creator = one_line(creator_of(row.holder, row.tag))
    if not creator:
        return "Private, creator missing"
    try:
        return f"{creator}: {private_dictionary_description(tag, creator)}"
    except KeyError:
        return f"{creator}: {tag.element & 0xFF:02x}"


def vr(row: TagRow) -> str:
    """Return the VR that the file has, else the one of the dictionary; nothing for groups and items."""
    if row.kind != "element":
        return ""
    return row.written_vr or reading_vr(element(row), row.holder)


def character_problem(row: TagRow) -> str:
    """Return in what the bytes of a value do not fit its character set, in words that follow "it"; mostly empty."""
    if row.kind != "element" or row.tag is None:
        return ""
    text = text_of(row.holder, row.tag, row.terms)
    return text[1] if text is not None else ""


def value(row: TagRow, limit: int = CELL_CHARACTERS) -> tuple[str, bool]:
    """Return the value as text, and whether that is all of it; of an item or group, what is in it.

    Parameters
    ----------
    row : TagRow
        Any row.
    limit : int
        About how many characters to return at most.

    Returns
    -------
    tuple of (str, bool)
        The text, and whether it is all of it.
    """
    if row.kind == "element" and row.tag is not None:
        return value_text(row.holder, row.tag, limit, row.terms)
    count = len(row.holder)
    text = _item_text(row.holder) if row.kind == "item" else ""
    return text or f"{count} element{'' if count == 1 else 's'}", True


def meaning(row: TagRow) -> str:
    """Return what a UID is the name of; nothing for all else."""
    return uid_meaning(value(row)[0]) if vr(row) == "UI" else ""


def _item_text(item: Dataset) -> str:
    """What distinguishes an item: the meaning of a code, the name and text of an SR content item."""
    try:
        with PYDICOM_QUIET:
            if not item.get("ConceptNameCodeSequence"):
                return str(item.get("CodeMeaning", "") or item.get("ReferencedSOPInstanceUID", ""))
            parts = [item.ConceptNameCodeSequence[0].get("CodeMeaning", ""), item.get("TextValue", "")]
            if item.get("ConceptCodeSequence"):
                parts.append(item.ConceptCodeSequence[0].get("CodeMeaning", ""))
            return ": ".join(str(part) for part in parts if part)[:CELL_CHARACTERS]
    except READ_ERRORS:
        return ""


def search_text(row: TagRow) -> str:
    """Return what a search looks through: tag with and without comma, keyword, name, VR, value; as `searchable` has it.

    The lower case of it stands there as well.
    """
    if row.kind != "element" or row.tag is None:
        text = f"{tag_text(row)} {value(row)[0]}" if row.kind == "item" else ""
    else:
        is_array = is_binary(reading_vr(item_at(row.holder, row.tag), row.holder))
        all_of_it = value(row, _SEARCHED_CHARACTERS if is_array else sys.maxsize)[0]
        uids = uid_meaning(all_of_it) if vr(row) == "UI" else ""
        text = "\n".join((tag_text(row), f"{row.tag:08x}", keyword(row), name(row), vr(row), all_of_it, uids))
    lower, folded = normalize("NFC", text).lower(), searchable(text)
    return lower if lower == folded else f"{lower}\n{folded}"


def searchable(text: str) -> str:
    """Return text in one spelling of all there are: composed or not, wide or narrow, upper or lower case."""
    return normalize("NFKC", normalize("NFKC", text).casefold())
