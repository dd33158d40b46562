"""The browser's part of the widgets, from the files beside the Python: ES modules and style sheets as text.

A notebook front end loads a widget's module from its text and could not resolve an import. So a module of several files
is their text in a row: they share one scope, and need no build step.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_SHARED = ("elements.js", "keys.js", "kernel.js")


@cache
def _text(name: str) -> str:
    return files("dicomkit.widgets").joinpath(*name.split("/")).read_text(encoding="utf-8")


def javascript(*names: str) -> str:
    """Return the ES module made of what all share and of these files, in this order; the last exports."""
    return "\n".join(_text(name) for name in dict.fromkeys((*_SHARED, *names)))


@cache
def stylesheet() -> str:
    """Return the style sheet of every widget: the look they share, then all other ``.css`` files.

    One for all: each widget puts its own into the page, and a look that came again would undo other sheets.
    """
    folders = [one for one in files("dicomkit.widgets").iterdir() if one.is_dir()]
    others = [f"{folder.name}/{one.name}" for folder in folders for one in folder.iterdir()]
    others = sorted(["step.css", *(name for name in others if name.endswith(".css"))])
    return "\n".join(_text(name) for name in ("look.css", *others))
