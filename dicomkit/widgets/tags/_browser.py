"""TagBrowser: every element of a data set in a notebook, or of two side by side with what differs marked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import traitlets as t

from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import UnreadableError
from dicomkit.sources import is_dataset
from dicomkit.sources.dataset_reader import note_of
from dicomkit.tags import element_of
from dicomkit.widgets.image import load, series_from
from dicomkit.widgets.table import Rows
from dicomkit.widgets.tags._source import DIFFERENCES, IDENTIFYING, TagSource

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

    from dicomkit.tags import Element, TagRow

_ON = frozenset({"only"})
_ZIP_SUFFIX = ".zip"


class TagBrowser(Rows):
    """A table of everything in a data set: tag, keyword, VR, value, and what de-identification does with it.

    Parameters
    ----------
    source
        A pydicom Dataset, a path, bytes, a message, a `SendResult` or a row with a ``source``.
    other
        A second one, to be compared with the first: as it was sent, say, and as it was received.
    labels : tuple of str
        What the two are called, when there are two.
    height_px : int
        Most of the height of the table.

    Attributes
    ----------
    selected_tag : pydicom.tag.BaseTag or None
        Tag of the row with the cursor; that of its sequence for an item. Setting it moves the cursor to that element of
        the outermost level.
    only_differences, only_identifying : bool
        Whether the table shows nothing else.

    Raises
    ------
    UnreadableError
        There is no DICOM in a source, or more than one object.

    Notes
    -----
    What identifies the patient: PS3.15 Table E.1-1, Basic Application Level Confidentiality Profile.
    """

    selected_tag = t.Any(None, allow_none=True)
    only_differences = t.Bool(False)
    only_identifying = t.Bool(False)

    def __init__(
        self,
        source: object,
        other: object = None,
        *,
        labels: tuple[str, str] = ("sent", "received"),
        height_px: int = 460,
    ) -> None:
        dataset = _one_dataset(source)
        second = _one_dataset(other) if other is not None else None
        self._dataset: Dataset | None = dataset
        self._tags = TagSource(dataset, second, labels)
        caption = _name_of(source, dataset)
        if second is not None:
            caption = f"{labels[0]}: {caption}  \u2194  {labels[1]}: {_name_of(other, second)}"
        super().__init__(self._tags, label="Tags", caption=caption, height_px=height_px)
        self.observe(self._follow_cursor, "active")
        self.observe(self._move_cursor, "selected_tag")
        self.observe(self._take_switches, ["only_differences", "only_identifying"])
        self.observe(self._set_switches, "chosen")

    @property
    def dataset(self) -> Dataset | None:
        """The data set, the left one of two; None once the browser is closed."""
        return self._dataset

    @property
    def selected_element(self) -> Element | None:
        """The element of the row with the cursor, None when it has none."""
        row = self._active_row()
        if row is None or row.kind != "element" or row.tag is None:
            return None
        return element_of(row.holder, row.tag)

    def _active_row(self) -> TagRow | None:
        return None if self.active is None else self._tags.pair(self.active).row

    def close(self) -> None:
        """Free the data sets, the observers and the model; the views go, too."""
        self._dataset = None
        super().close()

    def _follow_cursor(self, _change: Any) -> None:
        from pydicom.tag import Tag

        row = self._active_row()
        self.selected_tag = None if row is None or row.tag is None else Tag(row.tag)

    def _move_cursor(self, change: Any) -> None:
        row = self._active_row()
        if change.new is None or (row is not None and row.tag == change.new):
            return
        with self._lock:
            key = self._tags.key_of(change.new)
            if key is not None:
                self._tags.reveal(key)
                self._send_state()
                self.active = key

    @t.validate("selected_tag")
    def _is_there(self, proposal: Any) -> BaseTag | None:
        from pydicom.tag import Tag

        if proposal.value is None:
            return None
        tag = Tag(proposal.value)
        row = self._active_row()
        if (row is None or row.tag != tag) and self._tags.key_of(tag) is None:
            raise t.TraitError(f"{tag} is not at the outermost level of the data set; choose a tag that is")
        return tag

    def _take_switches(self, _change: Any) -> None:
        switches = {DIFFERENCES: self.only_differences, IDENTIFYING: self.only_identifying}
        there = [one.name for one in self._tags.filters()]
        self.chosen = {name: _ON for name, is_on in switches.items() if is_on and name in there}

    def _set_switches(self, change: Any) -> None:
        self.only_differences = bool(change.new.get(DIFFERENCES))
        self.only_identifying = bool(change.new.get(IDENTIFYING))


def _one_dataset(source: object) -> Dataset:
    if is_dataset(source):
        return cast("Dataset", source)
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.fsdecode(source))
        if path.is_file() and path.suffix.lower() != _ZIP_SUFFIX:  # a DICOMDIR is shown for itself
            return load(path)
    origins = {
        id(place.origin) if not isinstance(place.origin, Path) else place.origin: place.origin
        for series in series_from(source)
        for place in series.slices
    }
    if len(origins) > 1:
        raise UnreadableError(
            f"there are {len(origins)} objects in what was given, and a tag browser shows one; name one of them"
        )
    return load(next(iter(origins.values())))


def _name_of(source: object, dataset: Dataset) -> str:
    path = getattr(source, "source", source)
    name = Path(os.fsdecode(path)).name if isinstance(path, (str, os.PathLike)) else "data set"
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    kind = str(dataset.get("SOPClassUID", ""))
    caption = ", ".join(part for part in (name, uid_name(kind), uid_name(syntax)) if part)
    note = note_of(dataset)
    return f"{caption}  \u25b2 {note}" if note else caption
