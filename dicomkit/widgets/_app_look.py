"""The step of the app in which one looks: the series that were found, one of them in a viewer, tags beside it.

Whatever changes, one thread compares what is shown with what should be, and makes up the difference; so nothing is
read in the kernel's own thread, and of many changes the last counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import traitlets as t
from ipywidgets import HBox, Layout, VBox  # type: ignore[import-untyped]

from dicomkit._support.quantities import counted
from dicomkit.errors import UnreadableError
from dicomkit.sources import Instance
from dicomkit.widgets._bar import Note, StepBar, StepChoice, StepState
from dicomkit.widgets._ticker import Ticker
from dicomkit.widgets._widget import ClosesLayout
from dicomkit.widgets.batch import UNREADABLE, SeriesFound
from dicomkit.widgets.image import ImageViewer
from dicomkit.widgets.tags import TagBrowser

if TYPE_CHECKING:
    from dicomkit.widgets.batch import BatchPanel, Cargo

_MOST_INSTANCES = 1000  # of a series; each header is read
_MOST_BYTES_IN_MEMORY = 256 * 1024 * 1024  # of those that lie in an archive
_OF_THE_PANEL = ["series", "state", "active"]
_OF_THE_VIEWER = ["series", "frame", "playing"]


class LookStep(ClosesLayout, VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Shows a series of what a batch panel found in `viewer`, and the tags of its current frame in `browser`."""

    viewer = t.Instance(ImageViewer, allow_none=True, read_only=True)
    browser = t.Instance(TagBrowser, allow_none=True, read_only=True)

    def __init__(self) -> None:
        self._panel: BatchPanel | None = None
        self._wanted: str | None = None
        self._looked_at: tuple[object, ...] = ()  # which series is in the viewer
        self._tags_of: object = None
        self._fault = self._limit = ""
        self._is_closed = False
        self._lock = RLock()
        self._bar = StepBar(self._press)
        self._place = HBox(layout=Layout(width="100%", flex_flow="row wrap"))
        self._place.add_class("dk-app-look")
        self._ticker = Ticker(self._catch_up, "dicomkit look")
        super().__init__((self._bar, self._place), layout=Layout(width="100%"))
        self.add_class("dk-stack")
        self._show()

    def follow(self, panel: BatchPanel | None) -> None:
        """Look at what this panel found; with None at nothing."""
        if panel is self._panel:
            return
        if self._panel is not None:
            self._panel.unobserve(self._on_panel, _OF_THE_PANEL)
        self._panel, self._wanted = panel, None
        if panel is not None:
            panel.observe(self._on_panel, _OF_THE_PANEL)
        self._ticker.wake()
        self._show()

    def close(self) -> None:
        """Free what is looked at, the observers and the models."""
        if self._is_closed:
            return
        self.follow(None)
        with self._lock:
            self._is_closed = True
        self._ticker.close()
        for part in (self.viewer, self.browser, self._bar, self._place.layout, self._place):
            if part is not None:
                part.close()
        super().close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    # What follows from what is done elsewhere

    def _on_panel(self, change: Any) -> None:
        if change.name == "active" and change.new is not None:
            self._wanted = change.new
        self._ticker.wake()

    def _press(self, act: str, _label: str, text: str) -> None:
        if act == "series":
            self._wanted = text
            self._ticker.wake()

    # In the thread

    def _catch_up(self) -> None:
        panel = self._panel
        found = _worth_a_look(panel)
        chosen = next((one for one in found if one.key == self._wanted), found[0] if found else None)
        # While more is found, what is looked at stays, unless another is wanted.
        is_to_stay = (
            panel is not None
            and panel.state == "scanning"
            and (
                chosen is None
                or self._is_of(chosen)
                or (bool(self._looked_at) and chosen.key != self._wanted)
            )
        )
        if is_to_stay:
            pass
        elif panel is None or chosen is None:
            self._put(None, ())
        else:
            self._look_at(chosen, panel.cargo_of(chosen.key))
        self._follow_frame()
        self._show()

    def _is_of(self, series: SeriesFound) -> bool:
        return bool(self._looked_at) and self._looked_at[0] == series.key

    def _look_at(self, series: SeriesFound, cargo: Sequence[Cargo]) -> None:
        mark = (series.key, len(cargo), cargo[0].source if cargo else "")
        if mark == self._looked_at:
            return
        instances = [one for one in cargo if isinstance(one, Instance)]
        some = _few_enough(instances)
        self._fault = self._limit = ""
        if len(some) < len(instances):
            count = counted(len(instances), "instance")
            self._limit = f"The first {len(some):,} of {count} are in the viewer."
        viewer = None
        try:
            viewer = ImageViewer([Path(one.content) if isinstance(one.content, str) else one for one in some])
        except (UnreadableError, OSError) as error:
            self._fault = f"This series cannot be looked at: {error}."
        self._put(viewer, mark)

    def _put(self, viewer: ImageViewer | None, mark: tuple[object, ...]) -> None:
        """Show another viewer, and no tags yet."""
        with self._lock:
            if self._is_closed:
                if viewer is not None:
                    viewer.close()
                return
            before = [one for one in (self.viewer, self.browser) if one is not None]
            self._looked_at, self._tags_of = mark, None
            self.set_trait("browser", None)
            self.set_trait("viewer", viewer)
            if viewer is not None:
                viewer.observe(lambda _change: self._ticker.wake(), _OF_THE_VIEWER)
            self._arrange()
        for one in before:
            one.close()

    def _follow_frame(self) -> None:
        """Show the tags of the instance that is in the viewer, searched and filtered as those before."""
        viewer, before = self.viewer, self.browser
        if viewer is None or viewer.playing:
            return
        origin = viewer.origin
        is_same_file = isinstance(origin, Path) and origin == self._tags_of
        if origin is None or origin is self._tags_of or is_same_file:
            return
        try:
            browser = TagBrowser(origin)
        except (UnreadableError, OSError) as error:
            self._fault = f"The tags of this instance cannot be read: {error}."
            return
        with self._lock:
            if self._is_closed or viewer is not self.viewer:
                browser.close()
                return
            if before is not None:
                browser.search_text, browser.chosen = before.search_text, before.chosen
            self._tags_of = origin
            self.set_trait("browser", browser)
            self._arrange()
        if before is not None:
            before.close()

    def _arrange(self) -> None:
        self._place.children = tuple(one for one in (self.viewer, self.browser) if one is not None)

    # What is shown

    def _show(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._bar.show(self._state())

    def _state(self) -> StepState:
        found = _worth_a_look(self._panel)
        choice = None
        if found:
            shown = next((one.key for one in found if self._is_of(one)), found[0].key)
            choice = StepChoice("series", "Series", [(one.key, _label(one)) for one in found], shown)
        notes = [self._words(found), Note(self._fault, "error"), Note(self._limit)]
        hint = "the image and the tags of what you chose"
        return StepState("Look", "2 Look", hint, choice=choice, notes=[one for one in notes if one.says])

    def _words(self, found: Sequence[SeriesFound]) -> Note:
        if self._panel is None:
            return Note("Nothing is chosen yet.")
        if self._panel.state == "scanning":
            return Note("Looking for DICOM in what is chosen \u2026")
        if not found:
            nothing = "There is no DICOM in what is chosen that can be read. Choose other files or folders in step 1."
            return Note(nothing, "warning")
        return Note("")


def _worth_a_look(panel: BatchPanel | None) -> list[SeriesFound]:
    return [] if panel is None else [one for one in panel.series if one.key != UNREADABLE]


def _few_enough(instances: Sequence[Instance]) -> list[Instance]:
    """The first of them, as many as can be looked at without reading for minutes, or filling the memory."""
    some: list[Instance] = []
    in_memory = 0
    for one in instances[:_MOST_INSTANCES]:
        in_memory += 0 if isinstance(one.content, str) else one.length
        if some and in_memory > _MOST_BYTES_IN_MEMORY:
            break
        some.append(one)
    return some


def _label(series: SeriesFound) -> str:
    parts = [series.modality, series.series_description or series.kind, series.patient_name]
    return " \u00b7 ".join([*filter(None, parts), counted(series.count, "instance")])
