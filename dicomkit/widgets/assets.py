"""The browser's part of the widgets: ES modules and style sheets as text, from the files in ``static/``.

The one idea: a module of several files is their text in a row, since a notebook front end loads a widget's module from
its text and could not resolve an import; so the files share one scope, and need no build step.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["javascript", "stylesheet"]


@cache
def _text(name: str) -> str:
    return files("dicomkit.widgets").joinpath("static", name).read_text(encoding="utf-8")


def javascript(*names: str) -> str:
    """Return the ES module made of these files in ``static/``, in this order; the last one has the default export."""
    return "\n".join(_text(name) for name in names)


def stylesheet(*names: str) -> str:
    """Return a style sheet: the look that all widgets share, then these files in ``static/``."""
    return "\n".join(_text(name) for name in ("look.css", *names))
