"""The widgets: a table of contents that loads each when its name is first used.

Every widget is usable alone and has a Python value behind it; the browser's part stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.late import when_used
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
_find = when_used(__name__, _ROOMS)
_NEEDED = ("anywidget", "ipywidgets", "traitlets")

__all__ = [name for names in _ROOMS.values() for name in names]


def __getattr__(name: str) -> object:
    try:
        value = _find(name)
    except ModuleNotFoundError as error:
        if error.name in _NEEDED:
            raise MissingExtraError(f"{name}, like every widget,", error.name, "notebook") from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
