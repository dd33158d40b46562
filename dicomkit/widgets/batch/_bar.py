"""What the bar of a batch panel shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomkit.widgets._assets import javascript
from dicomkit.widgets._bar import Bar, Button, Note


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is; `total` 0 when nobody knows."""

    done: int
    total: int
    says: str


@dataclass(frozen=True, slots=True)
class BarState:
    """All that a bar shows.

    Attributes
    ----------
    buttons, answers : sequence of Button
        What can be done; what can be answered to the question.
    question : str
        What is asked before something is done; empty when nothing is.
    path : str or None
        A name proposed for a file to save the rows in; None while there is nothing to save.
    """

    buttons: Sequence[Button]
    notes: Sequence[Note] = ()
    progress: Progress | None = None
    question: str = ""
    answers: Sequence[Button] = ()
    path: str | None = None


class BatchBar(Bar):
    """A bar that shows a `BarState`."""

    _esm = javascript("elements.js", "keys.js", "kernel.js", "bar.js", "batch/batch.js")
