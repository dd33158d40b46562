"""The rows of one data set, or of two side by side, for a table.

Which branches are open, what is searched for and what is chosen decide together which rows are listed; what a row says
is read when it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dicomkit import tags
from dicomkit.dictionary.identifying import action_words, profile_action
from dicomkit.tags import Difference, Pair, TagRow, hex_dump, is_binary, one_line, uid_meaning, value_bytes
from dicomkit.widgets.table import Cell, Choice, Column, Fact, Filter, Key, Order, Row, RowSource, Tone

if TYPE_CHECKING:
    from pydicom import Dataset

IDENTIFYING = "identifying"  # the filter of what identifies the patient
DIFFERENCES = "differences"  # the filter of what differs between two data sets

_DUMPED_BYTES = 1024
_WHOLE_CHARACTERS = 1_000_000
_DIFFERENCE_TONE: dict[Difference, Tone] = {
    "": "",
    "written": "muted",
    "changed": "changed",
    "left": "removed",
    "right": "added",
}
_PROFILE = "PS3.15 Table E.1-1, Basic Application Level Confidentiality Profile"
_SORTED_BY = {"tag": tags.tag_text, "keyword": tags.keyword, "vr": tags.vr}


class TagSource(RowSource):
    """The elements of a data set as a tree; with a second data set, of both, and how they differ."""

    is_tree = True
    has_detail = True
    noun = ("tag", "tags")

    def __init__(
        self, dataset: Dataset, other: Dataset | None = None, labels: tuple[str, str] = ("left", "right")
    ) -> None:
        self._labels = labels
        self._has_two = other is not None
        self._order: Order = None
        self._words: tuple[str, ...] = ()
        self._is_wanted: dict[str, Callable[[Pair], bool]] = {}
        self._roots = tags.pair_groups(dataset, other)
        self._pairs: dict[Key, Pair] = {pair.row.key: pair for pair in self._roots}
        self._open: set[Key] = {*self._pairs}
        self._shut: set[Key] = set()  # branches shut by hand while only what is wanted is listed
        self._under: dict[Key, list[Pair]] = {}
        self._difference: dict[Key, Difference] = {}
        self._text: dict[Key, str] = {}
        self._listed: list[Pair] | None = None
        self._hits = 0
        self._walked = 0
        self.columns = self._columns()

    def _columns(self) -> tuple[Column, ...]:
        values = [Column("value", "Value", 200, stretch=2, is_sortable=False)]
        if self._has_two:
            left, right = (label[:1].upper() + label[1:] for label in self._labels)
            values = [
                Column("value", left, 115, stretch=3, is_sortable=False),
                Column("other_value", right, 115, stretch=3, is_sortable=False),
                Column("difference", "Difference", 110, is_sortable=False),
            ]
        return (
            Column("tag", "Tag", 150, is_code=True),
            Column("keyword", "Keyword", 150 if self._has_two else 155, stretch=1),
            Column("vr", "VR", 48, is_code=True, meaning="Value Representation, PS3.5 section 6.2"),
            *values,
            Column("action", "De-identify", 132, is_sortable=False, meaning=_PROFILE),
        )

    # What is listed

    def pair(self, key: Key) -> Pair:
        """Return the rows of a key; KeyError where it was never listed."""
        self._list()
        return self._pairs[key]

    def key_of(self, tag: int) -> Key | None:
        """Return the key of a tag at the outermost level, None when it is not there."""
        below = (child.row for root in self._roots for child in self._children(root))
        return next((row.key for row in below if row.tag == tag), None)

    def _list(self) -> list[Pair]:
        """The rows to scroll through: what is open, or else what is wanted with the branches that lead to it.

        A sequence may be nested deeper than Python calls, so no function here calls itself.
        """
        if self._listed is None:
            self._listed = []
            self._hits = self._walked = 0
            is_narrowed = bool(self._words or self._is_wanted)
            wanted, leading = self._find_wanted() if is_narrowed else (set(), set())
            there = wanted | leading
            waiting = [one for one in reversed(self._roots) if not is_narrowed or one.row.key in leading]
            while waiting:
                pair = waiting.pop()
                key = pair.row.key
                self._listed.append(pair)
                below: list[Pair] = []
                if key in leading:
                    if key not in self._shut:
                        below = [one for one in self._children(pair) if one.row.key in there]
                elif key in self._open:
                    below = self._children(pair)
                waiting.extend(reversed(below))
            if not is_narrowed:
                self._hits = sum(pair.row.kind == "element" for pair in self._listed)
        return self._listed

    def _find_wanted(self) -> tuple[set[Key], set[Key]]:
        """The rows that are wanted for themselves, and those that lead to one."""
        wanted: set[Key] = set()
        leading: set[Key] = set()
        waiting = [*self._roots]
        while waiting:
            pair = waiting.pop()
            is_element = pair.row.kind == "element"
            self._walked += is_element
            if self._wants(pair):
                wanted.add(pair.row.key)
                self._hits += is_element
                above = pair.row.parent
                while above is not None and above.key not in leading:
                    leading.add(above.key)
                    above = above.parent
            waiting.extend(self._children(pair))
        return wanted, leading

    def _wants(self, pair: Pair) -> bool:
        if not all(wanted(pair) for wanted in self._is_wanted.values()):
            return False
        if not self._words:
            return pair.row.kind == "element"
        key = pair.row.key
        if key not in self._text:
            self._text[key] = "\n".join(tags.search_text(row) for row in _sides(pair))
        return all(word in self._text[key] for word in self._words)

    def _children(self, pair: Pair) -> list[Pair]:
        key = pair.row.key
        if key not in self._under:
            self._under[key] = tags.pair_children(pair)
            self._pairs |= {child.row.key: child for child in self._under[key]}
        children = self._under[key]
        if self._order is None or pair.row.kind == "element":  # items keep their order
            return children
        name, is_descending = self._order
        text = _SORTED_BY[name]
        return sorted(children, key=lambda child: text(child.row).casefold(), reverse=is_descending)

    def _difference_of(self, pair: Pair) -> Difference:
        if not self._has_two:
            return ""
        key = pair.row.key
        if key not in self._difference:
            tags.difference(pair, self._difference)
        return self._difference[key]

    # What the table asks

    def __len__(self) -> int:
        return len(self._list())

    @property
    def hits(self) -> int:
        self._list()
        return self._hits

    @property
    def total(self) -> int:
        self._list()
        return self._walked or sum(len(self._children(root)) for root in self._roots)

    def shown_keys(self) -> Sequence[Key]:
        return [pair.row.key for pair in self._list()]

    def window(self, start: int, stop: int) -> Sequence[Row]:
        return [self._row(place) for place in range(start, min(stop, len(self)))]

    def _row(self, place: int) -> Row:
        pair = self._list()[place]
        row = pair.row
        difference = self._difference_of(pair)
        values = [_value(pair.left)]
        if self._has_two:
            words = self._in_words(difference)
            values += [_value(pair.right), Cell(words, _DIFFERENCE_TONE[difference]) if words else ""]
        action = profile_action(row.tag) if row.is_identifying and row.tag is not None else None
        return Row(
            row.key,
            (
                tags.tag_text(row),
                one_line(tags.keyword(row)),
                _vr(pair),
                *values,
                Cell(action_words(action), "accent") if action else "",
            ),
            level=row.level,
            is_open=self._is_open(place),
            tone=_DIFFERENCE_TONE[difference] if row.kind == "element" else "",
            is_heading=row.kind == "group",
        )

    def _in_words(self, difference: Difference) -> str:
        left, right = self._labels
        sides = {"left": f"only {left}", "right": f"only {right}", "written": "written differently"}
        return sides.get(difference, difference)

    def _is_open(self, place: int) -> bool | None:
        listed = self._list()
        pair = listed[place]
        if not any(tags.has_children(row) for row in _sides(pair)):
            return None
        return place + 1 < len(listed) and listed[place + 1].row.level > pair.row.level

    def sort(self, order: Order) -> None:
        self._order = order
        self._listed = None

    def search(self, text: str) -> None:
        self._words = tuple(tags.searchable(text).split())
        self._shut.clear()
        self._listed = None

    def filters(self) -> Sequence[Filter]:
        identifying = Filter(IDENTIFYING, "De-identification", (Choice("only", "Only identifying"),))
        differences = Filter(DIFFERENCES, "Differences", (Choice("only", "Only differences"),))
        return [differences, identifying] if self._has_two else [identifying]

    def choose(self, name: str, values: frozenset[str]) -> None:
        wanted: dict[str, Callable[[Pair], bool]] = {
            DIFFERENCES: lambda pair: self._difference_of(pair) != "",
            IDENTIFYING: lambda pair: pair.row.is_identifying,
        }
        self._is_wanted.pop(name, None)
        if values:
            self._is_wanted[name] = wanted[name]
        self._shut.clear()
        self._listed = None

    def set_open(self, key: Key, is_open: bool) -> None:
        pair = self.pair(key)
        if is_open:
            self._open.add(key)
            self._shut.discard(key)
            items = self._children(pair)
            if pair.row.kind == "element" and len(items) == 1:  # nobody wants to open a single item by hand
                self._open.add(items[0].row.key)
        else:
            self._open.discard(key)
            self._shut.add(key)
        self._listed = None

    def parent(self, key: Key) -> Key | None:
        above = self.pair(key).row.parent
        return None if above is None else above.key

    def reveal(self, key: Key) -> None:
        """Open what a row is under."""
        above = self.pair(key).row.parent
        while above is not None:
            self._open.add(above.key)
            self._shut.discard(above.key)
            above = above.parent
        self._listed = None

    def detail(self, key: Key) -> Sequence[Fact]:
        pair = self.pair(key)
        row = pair.row
        title = " ".join(part for part in (tags.tag_text(row), one_line(tags.name(row))) if part)
        facts = [Fact("Title", title)]
        for side, label in ((pair.left, self._labels[0]), (pair.right, self._labels[1])):
            if side is not None:
                facts.extend(_value_facts(side, f"Value, {label}" if self._has_two else "Value"))
        if row.kind == "element" and row.tag is not None:
            action = profile_action(row.tag)
            facts += [Fact("Keyword", tags.keyword(row)), Fact("VR", _vr(pair))]
            if action:
                words = f"{action_words(action)} ({action}; {_PROFILE})"
                facts.append(Fact("De-identify", words, tone="accent"))
        facts.append(Fact("In Python", row.expression, is_code=True, can_copy=True))
        difference = self._difference_of(pair)
        if difference:
            facts.append(Fact("Difference", self._in_words(difference), tone=_DIFFERENCE_TONE[difference]))
        return facts

    def copy_text(self, key: Key) -> str:
        return tags.value(self.pair(key).row, _WHOLE_CHARACTERS)[0]

    def close(self) -> None:
        self._roots = []
        self._listed = None
        for kept in (self._under, self._difference, self._text, self._pairs):
            kept.clear()


def _sides(pair: Pair) -> list[TagRow]:
    return [row for row in (pair.left, pair.right) if row is not None]


def _vr(pair: Pair) -> str:
    return " / ".join(dict.fromkeys(tags.vr(row) for row in _sides(pair)))


def _value(row: TagRow | None) -> str | Cell:
    if row is None:
        return ""
    text = one_line(tags.value(row)[0])
    if row.kind != "element":
        return text if row.kind == "item" else Cell("", note=text)
    note = "not in its character set" if tags.character_problem(row) else tags.meaning(row)
    return Cell(text, note=note)


def _value_facts(row: TagRow, label: str) -> list[Fact]:
    text, is_whole = tags.value(row, _WHOLE_CHARACTERS)
    facts = [Fact(label, one_line(text, keep_lines=True) or "(no value)", can_copy=bool(text))]
    if row.kind != "element" or row.tag is None:
        return facts
    problem = tags.character_problem(row)
    if problem:
        facts.append(Fact("Characters", f"It {problem}.", tone="warning"))
    if tags.vr(row) == "UI" and uid_meaning(text):
        facts.append(Fact("Meaning", uid_meaning(text)))
    if is_binary(tags.vr(row)) and not is_whole:
        data = value_bytes(row.holder, row.tag, _DUMPED_BYTES)
        if data:
            facts.append(Fact("First bytes", hex_dump(data), is_code=True))
    return facts
