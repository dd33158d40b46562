"""What is written to a terminal or a pipe: its width, its colours, and text that cannot play tricks on it.

File names and what a peer says are someone else's text: only characters that can be seen reach the screen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import IO, TextIO

_USUAL_COLUMNS = 80
_LEAST_COLUMNS = 40  # below this, wrapping does more harm than a long line

_CODES = {"good": "32", "warning": "33", "bad": "31", "strong": "1"}


def columns(stream: IO[str]) -> int:
    """How many characters fit on a line; 80 where nobody knows, as in a pipe."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return max(int(given), _LEAST_COLUMNS)
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return max(width or _USUAL_COLUMNS, _LEAST_COLUMNS)


def printable(text: str) -> str:
    """`text` on one line, with escapes in the place of characters that steer a terminal or cannot be seen."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows as lines with aligned columns, two spaces apart; the columns in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def put(lines: Sequence[str]) -> None:
    """Write lines to standard output; a reader that has gone does not change the exit status."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        forget(sys.stdout)


def forget(stream: IO[str]) -> None:
    """Let what is written to a stream from here on go nowhere, so that a reader that has gone is no failure."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def open_nowhere() -> TextIO:
    """A stream for a process whose own one was closed."""
    return open(os.devnull, "w", encoding="utf-8")


class Page:
    """How standard output is laid out: its width, and colours where they are wanted; all can be read without.

    A terminal gets them, unless ``NO_COLOR`` is set and not empty (no-color.org) or ``TERM`` is dumb.
    """

    def __init__(self) -> None:
        self._width = columns(sys.stdout)
        self._has_colours = sys.stdout.isatty() and _is_capable() and not os.environ.get("NO_COLOR")

    def paint(self, text: str, colour: str) -> str:
        """`text` as ``good``, ``warning``, ``bad`` or ``strong``."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._has_colours else text

    def wrapped(self, text: str, indent: str = "    ") -> list[str]:
        """`text` in lines that fit, each with `indent` before it."""
        from textwrap import TextWrapper

        wrapper = TextWrapper(self._width, indent, indent, break_on_hyphens=False, break_long_words=False)
        return wrapper.wrap(printable(text))

    def table(
        self, rows: Sequence[Sequence[str]], colours: Iterable[str], right: Sequence[int] = ()
    ) -> list[str]:
        """`table` of a line of headings and the rows below it, each of which has its colour."""
        lines = table(rows, right=right)
        return [self.paint(line, colour) for line, colour in zip(lines, ("strong", *colours), strict=True)]


def _is_capable() -> bool:
    """Whether a terminal here understands more than plain lines; on Windows only one that says so."""
    return os.environ.get("TERM", "") != "dumb" if os.name != "nt" else "WT_SESSION" in os.environ


class Console:
    """Standard error: lines that stay, and one at the bottom that is drawn again and again.

    Safe to call from any thread. A reader that has gone is no reason to stop sending: then it falls silent.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.is_live = self.stream.isatty() and _is_capable()
        self._lock = Lock()
        self._is_dirty = False
        self._is_gone = False

    def say(self, line: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._write(f"{self._wiping()}{printable(line)}\n")

    def draw(self, line: str) -> None:
        """Write a line in the place of the one drawn before; nothing where that cannot be."""
        if self.is_live:
            with self._lock:
                self._write(f"{self._wiping()}{line}")
                self._is_dirty = True

    def wipe(self) -> None:
        """Take away the line drawn last."""
        with self._lock:
            self._write(self._wiping())

    def _wiping(self) -> str:
        was_dirty, self._is_dirty = self._is_dirty, False
        return "\r\x1b[K" if was_dirty else ""

    def _write(self, text: str) -> None:
        if text and not self._is_gone:
            try:
                self.stream.write(text)
                self.stream.flush()
            except OSError:
                self._is_gone = True
                forget(self.stream)
