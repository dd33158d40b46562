"""The widgets: a table of contents that loads each when its name is first used.

Every widget is usable alone and has a Python value behind it; the browser's part stands beside it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dicomkit.errors import MissingExtraError

if TYPE_CHECKING:
    from dicomkit.widgets.app import SenderApp as SenderApp
    from dicomkit.widgets.batch import BatchPanel as BatchPanel
    from dicomkit.widgets.chooser import SourceChooser as SourceChooser
    from dicomkit.widgets.form import SettingForm as SettingForm
    from dicomkit.widgets.image import ImageViewer as ImageViewer
    from dicomkit.widgets.table import Rows as Rows
    from dicomkit.widgets.tags import TagBrowser as TagBrowser

_ROOMS = {
    "app": ["SenderApp"],
    "batch": ["BatchPanel"],
    "chooser": ["SourceChooser"],
    "form": ["SettingForm"],
    "image": ["ImageViewer"],
    "table": ["Rows"],
    "tags": ["TagBrowser"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_NEEDED = ("anywidget", "ipywidgets", "traitlets")

__all__ = [*_ROOM_OF]


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{room}"), name)
    except ModuleNotFoundError as error:
        if error.name in _NEEDED:
            raise MissingExtraError(f"{name}, like every widget,", error.name, "notebook") from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOM_OF])
