"""ImageViewer: look at an image, a series, a report, a PDF document or a waveform in a notebook.

The browser gets each frame's stored values once, and windows, zooms and turns pages by itself; traits carry only
numbers and switches, so that both sides, and several views, agree.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets as t

from dicomkit.errors import UnreadableError
from dicomkit.preview import (
    WINDOW_FUNCTIONS,
    Colour,
    Grey,
    LookupTable,
    Window,
    frame_rate_of,
    labels_of,
    spanning,
    sweeps,
    to_8bit,
)
from dicomkit.widgets._assets import javascript
from dicomkit.widgets._widget import MessageWidget
from dicomkit.widgets.image._answers import Notice, message_of, shown_of, size_of, window_message
from dicomkit.widgets.image._sources import load, series_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    from dicomkit.preview import Picture, Series, Voi
    from dicomkit.widgets.image._answers import Shown

_CACHE_BYTES = 128 * 1024 * 1024
_DATASETS_KEPT = 4  # of files; their pixels stay on disk
_SLOWEST_HZ, _USUAL_HZ, _FASTEST_HZ = 0.1, 10.0, 60.0
_LARGEST_ZOOM = 64.0
_NO_TABLE = -1
_SAMPLED_FRAMES = 16  # of a stack, for its range before all of it was seen
_SAMPLED_BYTES = 32 * 1024 * 1024
_RANGE_PER_FRAME = ("PT", "NM")  # uptake differs from slice to slice, and people expect to see each
_NOT_THERE = Notice("This frame is no longer there.", is_error=True)
_LOOK = ("window_center", "window_width", "window_function", "voi_lut")


class ImageViewer(MessageWidget):
    """A viewer for one object or several, in a notebook; every control is a trait, observable from Python.

    Parameters
    ----------
    source
        A pydicom Dataset, a path, a folder or zip archive, a glob, bytes, a message, a `SendResult`, a row or a frame
        with a column ``source``, or an iterable of these. Objects of one series become a stack in slice order.
    cache_bytes : int
        How much of decoded frames the kernel keeps; the browser keeps 256 MiB.
    **traits
        Initial values, such as ``frame=3`` or ``invert=True``.

    Attributes
    ----------
    series, series_count : int
        Which series is shown, from 0; how many there are.
    frame, frame_count : int
        Which slice is shown, from 0, in the order along the normal of the slices; how many there are.
    window_center, window_width : float or None
        In modality units (HU for CT); None where nothing grey is shown.
    window_function : str
        LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.2).
    voi_lut : int
        Which VOI LUT of the frame is applied instead of the window; -1 for none.
    automatic : bool
        Whether each frame is looked at as it prefers: by its own window or VOI LUT, and without one over the full
        range. Ends when a window is chosen, and begins again with `reset_window`.
    range_per_frame : bool
        Whether the full range is that of each frame; otherwise it is that of the stack, which is sampled when the stack
        is opened and settles with the frames that are looked at. True to begin with for PET and NM.
    invert, show_overlays : bool
    zoom : float
        Screen pixels per column; 0 fits the picture into its place.
    pan : tuple of float
        By how many columns and rows the picture is moved from the middle.
    playing : bool
        Whether the stack runs as a film, at `rate` frames a second.
    rate : float
        As the film says that it is meant to run, else 10.
    sweeping : bool
        Whether the film runs to its end and back, rather than from its beginning again; as it says that it is meant to.

    Raises
    ------
    UnreadableError
        There is no DICOM in the source. What is DICOM and cannot be shown is said in the viewer, and by `problem`.
    """

    _esm = javascript(
        *("image/pixels.js", "image/store.js", "image/tiles.js"),
        *("image/documents.js", "image/stage.js", "image/keys.js", "image/image.js"),
    )
    series = t.Int(0).tag(sync=True)
    series_count = t.Int(1).tag(sync=True)
    frame = t.Int(0).tag(sync=True)
    frame_count = t.Int(1).tag(sync=True)
    window_center = t.Float(None, allow_none=True).tag(sync=True)
    window_width = t.Float(None, allow_none=True).tag(sync=True)
    window_function = t.Enum(WINDOW_FUNCTIONS, default_value="LINEAR").tag(sync=True)
    voi_lut = t.Int(_NO_TABLE).tag(sync=True)
    automatic = t.Bool(True).tag(sync=True)
    range_per_frame = t.Bool(False).tag(sync=True)
    invert = t.Bool(False).tag(sync=True)
    show_overlays = t.Bool(True).tag(sync=True)
    zoom = t.Float(0.0, min=0.0, max=_LARGEST_ZOOM).tag(sync=True)
    pan = t.Tuple(t.Float(), t.Float(), default_value=(0.0, 0.0)).tag(sync=True)
    playing = t.Bool(False).tag(sync=True)
    rate = t.Float(_USUAL_HZ, min=_SLOWEST_HZ, max=_FASTEST_HZ).tag(sync=True)
    sweeping = t.Bool(False).tag(sync=True)

    def __init__(self, source: object, *, cache_bytes: int = _CACHE_BYTES, **traits: Any) -> None:
        self._series: tuple[Series, ...] = tuple(series_from(source))
        self._cache_bytes = cache_bytes
        self._shown: OrderedDict[tuple[int, int], Shown] = OrderedDict()
        self._load = lru_cache(_DATASETS_KEPT)(load)
        self._spans: dict[int, tuple[float, float]] = {}  # of each series, as far as it was seen
        self._follows = False
        super().__init__()
        self.series_count = len(self._series)
        self.frame_count = len(self._series[0].slices)
        self._open_series()
        self.observe(self._turn_to_series, "series")
        self.observe(self._follow, ["frame", "automatic", "range_per_frame", "playing"])
        self.observe(self._choose, list(_LOOK))
        try:
            for name, value in traits.items():
                setattr(self, name, value)
        except t.TraitError:
            self.close()
            raise

    # What Python may ask

    @property
    def shown(self) -> Shown:
        """What the current frame shows: a picture, a report, a document, curves, or a notice."""
        return self._ranged(self.series, self._at(self.series, self.frame))

    @property
    def picture(self) -> Picture | None:
        """The current frame's picture, `dicomkit.preview.Grey` or `Colour`; None where there is none."""
        shown = self.shown
        return shown if isinstance(shown, (Grey, Colour)) else None

    @property
    def dataset(self) -> Dataset | None:
        """The Dataset of the current frame; None once the viewer is closed."""
        return self._dataset(self.series, self.frame) if self._series else None

    @property
    def origin(self) -> Dataset | Path | None:
        """The file of the current frame, or the Dataset where it lies in memory; None once the viewer is closed."""
        return self._series[self.series].slices[self.frame].origin if self._series else None

    @property
    def problem(self) -> str:
        """Why the current frame cannot be shown, in a sentence; empty when it can."""
        shown = self.shown
        return shown.text if isinstance(shown, Notice) else ""

    @property
    def presets(self) -> dict[str, Voi]:
        """The looks on offer for the current frame by name (`preview.labels_of`), the preferred one first."""
        return dict(zip(labels_of(self._vois), self._vois, strict=True))

    @property
    def voi(self) -> Voi | None:
        """How the current frame is looked at: a Window or a LookupTable; None where nothing grey is shown."""
        vois = self._vois
        if not vois or self.automatic:
            return vois[0] if vois else None
        tables = _tables(vois)
        if 0 <= self.voi_lut < len(tables):
            return tables[self.voi_lut]
        if self.window_center is None or self.window_width is None:
            return vois[0]
        return Window(self.window_center, self.window_width, self.window_function)

    @property
    def _vois(self) -> tuple[Voi, ...]:
        picture = self.picture
        return picture.vois if isinstance(picture, Grey) else ()

    def to_8bit(self) -> NDArray[np.uint8] | None:
        """Return the current frame as it is shown, 0..255, rows by columns (by 3); None where there is no picture."""
        picture = self.picture
        return None if picture is None else to_8bit(picture, self.voi, invert=self.invert)

    def use(self, voi: Voi | str) -> None:
        """Look at the picture through a Window, a VOI LUT of it, or a preset by its name (see `presets`).

        Parameters
        ----------
        voi
            A `Window`, a `LookupTable` of the frame, or a key of `presets`.

        Raises
        ------
        KeyError
            There is no preset of that name.
        ValueError
            The VOI LUT is none of the current frame's.
        """
        presets = self.presets
        if isinstance(voi, str) and voi not in presets:
            raise KeyError(f"there is no preset {voi!r} here; there are {', '.join(presets) or 'none'}")
        self._set_look(presets[voi] if isinstance(voi, str) else voi)
        self._choose()

    def reset_window(self) -> None:
        """Look at each frame as it prefers."""
        self.automatic = True
        self._follow()

    def _set_look(self, voi: Voi) -> None:
        number = _NO_TABLE
        if isinstance(voi, LookupTable):
            tables, count = _tables(self._vois), len(voi.entries)
            if voi not in tables:
                raise ValueError(f"the VOI LUT is none of the {len(tables)} that this frame has")
            # Over all that it has an entry for.
            number, voi = tables.index(voi), Window(voi.first + count / 2, count)
        with self.hold_trait_notifications():
            self.voi_lut, self.window_function = number, voi.function
            self.window_center, self.window_width = float(voi.center), float(voi.width)

    def close(self) -> None:
        """Free data sets, frames, observers and models; the view goes, too."""
        if self.comm is None:  # closed before, or never opened: its source was refused
            return
        self._series = ()
        self._shown.clear()
        self._load.cache_clear()
        super().close()

    def __repr__(self) -> str:
        return f"<ImageViewer: {self.series_count} series, {self.frame_count} frames>"

    # What traits may be

    @t.validate("series", "frame")
    def _is_there(self, proposal: Any) -> int:
        name, value = proposal.trait.name, int(proposal.value)
        count = self.series_count if name == "series" else self._count_of(self.series)
        if not 0 <= value < count:
            raise t.TraitError(f"{name} {value} is not there; it is one of 0 to {count - 1}")
        return value

    @t.validate("window_center", "window_width")
    def _is_finite(self, proposal: Any) -> float | None:
        name, value = proposal.trait.name, proposal.value
        if value is None:
            return None
        if not math.isfinite(value) or (name == "window_width" and value <= 0):
            rule = "above 0" if name == "window_width" else "a finite number"
            raise t.TraitError(f"{name} is {value}, and has to be {rule}; the presets name good ones")
        if name == "window_width" and self.window_function == "LINEAR" and value < 1:
            raise t.TraitError(
                f"window_width is {value}, and LINEAR windows are at least 1 wide (PS3.3 C.11.2.1.2); "
                "set window_function to LINEAR_EXACT for narrower ones"
            )
        return float(value)

    def _count_of(self, series: int) -> int:
        return len(self._series[series].slices) if 0 <= series < len(self._series) else 1

    # What the browser asks

    def _turn_to_series(self, _change: Any) -> None:
        with self.hold_trait_notifications():
            self.frame = 0
            self.frame_count = self._count_of(self.series)
        self._open_series()

    def _open_series(self) -> None:
        first = self._at(self.series, 0)
        if isinstance(first, Grey) and first.range_at == 0:
            self._sample(first.stored.nbytes)
        dataset = self._dataset(self.series, self.frame)
        self.range_per_frame = dataset.get("Modality") in _RANGE_PER_FRAME
        self.rate = min(max(frame_rate_of(dataset) or _USUAL_HZ, _SLOWEST_HZ), _FASTEST_HZ)
        self.sweeping = sweeps(dataset)
        self.reset_window()

    def _sample(self, frame_bytes: int) -> None:
        """Look at some frames of the stack, first and last among them, so that its range is about known."""
        count = self._count_of(self.series)
        most = max(2, min(_SAMPLED_FRAMES, count, _SAMPLED_BYTES // max(1, frame_bytes)))
        for sample in range(most):
            self._at(self.series, sample * (count - 1) // (most - 1))

    def _follow(self, _change: Any = None) -> None:
        """Let the numbers say how the current frame prefers to be looked at, as long as nobody chose a look.

        The browser knows by itself, and gets no message: what came late would undo what was chosen there meanwhile. A
        film is not followed until it stops: its frames may be in the browser only, and would be decoded again.
        """
        if not self.automatic or self.playing or not self._series:
            return
        self._follows = True
        try:
            if vois := self._vois:
                self._set_look(vois[0])
            else:
                with self.hold_trait_notifications():
                    self.voi_lut, self.window_center, self.window_width = _NO_TABLE, None, None
        finally:
            self._follows = False

    def _choose(self, _change: Any = None) -> None:
        if self.automatic and not self._follows:
            self.automatic = False
            self.send_state(list(_LOOK))

    def send_state(self, key: Any = None) -> None:
        """Send the state to the browser, but for the numbers of a look that it finds by itself.

        Parameters
        ----------
        key
            The names of the traits, as ipywidgets has them; all without.
        """
        if not self._follows:
            super().send_state(key)

    def _hear_hello(self, _content: object) -> None:
        listing = [{"name": one.name, "frames": len(one.slices)} for one in self._series]
        self.send({"kind": "series", "series": listing})

    def _hear_frame(self, content: Any) -> None:
        """Send a frame, or a word that it is not there: who asks for one waits for its answer."""
        series, index = content.get("series"), content.get("index")
        is_there = isinstance(series, int) and isinstance(index, int) and 0 <= series < len(self._series)
        if is_there and 0 <= index < self._count_of(series):
            message, buffers = message_of(self._at(series, index))
            if span := self._spans.get(series):
                message["range"] = window_message(spanning(*span))
        else:
            message, buffers = message_of(_NOT_THERE)
        self.send({**message, "series": series, "index": index}, buffers)

    def set_state(self, sync_data: Any) -> None:
        """Take over what a browser has set; where that cannot be, it is sent what holds instead.

        Parameters
        ----------
        sync_data : dict
            Traits by name, as ipywidgets passes them.
        """
        try:
            super().set_state(sync_data)
        except t.TraitError:
            self.send_state([name for name in sync_data if name in self.keys])

    # What is kept

    def _at(self, series: int, index: int) -> Shown:
        if not self._series:
            return Notice("The viewer is closed.", is_error=True)
        key = series, index
        if key not in self._shown:
            place = self._series[series].slices[index]
            file = place.origin if isinstance(place.origin, Path) else None
            try:
                shown = shown_of(self._dataset(series, index), place.index, file)
            except UnreadableError as error:  # the file went, or changed, since the viewer was opened
                shown = Notice(f"{error}.", is_error=True)
            if isinstance(shown, Grey) and shown.span is not None:
                low, high = self._spans.get(series, shown.span)
                self._spans[series] = min(low, shown.span[0]), max(high, shown.span[1])
            self._shown[key] = shown
            self._forget_until(self._cache_bytes)
        self._shown.move_to_end(key)
        return self._shown[key]

    def _ranged(self, series: int, shown: Shown) -> Shown:
        """Return a picture with the full range that is switched on: its own, or the stack's."""
        if self.range_per_frame or not isinstance(shown, Grey) or series not in self._spans:
            return shown
        return shown.over(*self._spans[series])

    def _forget_until(self, most_bytes: int) -> None:
        """Drop what was not looked at for longest, but for the one just added."""
        total = sum(size_of(shown) for shown in self._shown.values())
        while total > most_bytes and len(self._shown) > 1:
            _, dropped = self._shown.popitem(last=False)
            total -= size_of(dropped)

    def _dataset(self, series: int, index: int) -> Dataset:
        origin = self._series[series].slices[index].origin
        return self._load(origin) if isinstance(origin, Path) else origin


def _tables(vois: tuple[Voi, ...]) -> list[LookupTable]:
    return [voi for voi in vois if isinstance(voi, LookupTable)]
