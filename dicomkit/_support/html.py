"""The HTML that values show themselves with in a notebook: small tables that look well in light themes and dark.

Whatever goes in is text and is shown as text, no markup and no formula; the colours are the page's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

# The mark says by its shape what it says by its colour. JupyterLab's colours, or what stands out from white and black.
_MARKS = {
    "good": ("\u25cf", "var(--jp-success-color1, #2f9e6e)"),
    "warning": ("\u25b2", "var(--jp-warn-color1, #c07a12)"),
    "bad": ("\u2716", "var(--jp-error-color1, #d9534f)"),
    "none": ("\u25cb", "var(--jp-ui-font-color2, #7d8590)"),
}
# JupyterLab aligns the cells of tables to the right, and breaks no long word.
_CELL = "text-align: left; vertical-align: top; white-space: normal; overflow-wrap: anywhere"
_NAME = "text-align: left; vertical-align: top; white-space: nowrap"
_NUMBER = "text-align: right; vertical-align: top; white-space: nowrap; font-variant-numeric: tabular-nums"
_HEAD = f"{_NAME}; font-weight: 600"
_MUTED = "color: var(--jp-ui-font-color2, inherit)"


class Marked(str):
    """Markup of ours, which is not escaped again."""

    __slots__ = ()


def as_text(value: object) -> str:
    """Return a value as HTML that shows it as text; what is no text becomes backslash escapes."""
    if isinstance(value, Marked):
        return value
    return escape(str(value).encode("utf-8", "backslashreplace").decode())


def marked(tone: str, words: str) -> Marked:
    """Words with a mark before them; `tone` is ``good``, ``warning``, ``bad`` or ``none``."""
    mark, colour = _MARKS[tone]
    return Marked(f'<span aria-hidden="true" style="color: {colour}">{mark}</span>&nbsp;{as_text(words)}')


def note(words: str) -> Marked:
    """A paragraph in the second colour of the page."""
    return Marked(f'<p style="{_MUTED}; margin: 0.4em 0; max-width: 60em">{as_text(words)}</p>')


def facts_table(title: str, facts: Mapping[str, str]) -> Marked:
    """A table of names and values, those that are empty left out."""
    rows = "".join(
        f'<tr><th scope="row" style="{_HEAD}">{as_text(name)}</th><td style="{_CELL}">{as_text(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    return Marked(f"{_table(title)}<tbody>{rows}</tbody></table>")


def rows_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
) -> Marked:
    """A table with a line of headings; the columns at the places `numbers` are aligned to the right."""
    styles = [_NUMBER if place in numbers else _CELL if place else _NAME for place in range(len(head))]
    heads = "".join(
        f'<th scope="col" style="{_HEAD}{"; text-align: right" if place in numbers else ""}">{as_text(name)}</th>'
        for place, name in enumerate(head)
    )
    lines = "".join(
        f"<tr>{''.join(_cell(style, value) for style, value in zip(styles, row, strict=True))}</tr>"
        for row in rows
    )
    return Marked(f"{_table(title)}<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>")


def shown(*parts: Marked) -> str:
    """Return the parts as one output, in which no dollar sign begins a formula."""
    return f'<div class="tex2jax_ignore mathjax_ignore" style="text-align: left">{"".join(parts)}</div>'


def _cell(style: str, value: str) -> str:
    return f'<td style="{style}">{as_text(value)}</td>'


def _table(title: str) -> str:
    caption = f'<caption style="{_HEAD}; caption-side: top; padding: 0 0 0.3em 0">{as_text(title)}</caption>'
    return f'<table style="margin: 0.3em 0; max-width: 72em">{caption if title else ""}'
