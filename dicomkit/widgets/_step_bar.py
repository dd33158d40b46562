"""The bar above a step of the app, and above the chooser's table: heading, field and choice besides its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomkit.widgets._assets import javascript
from dicomkit.widgets._bar import Bar, Button, Note


@dataclass(frozen=True, slots=True)
class StepField:
    """A field to type a text into, which is pressed as `act` with Enter; `value` is what it holds before."""

    act: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class StepChoice:
    """One of several, each with a value and a label; choosing presses `act` with the value."""

    act: str
    label: str
    options: Sequence[tuple[str, str]]
    value: str


@dataclass(frozen=True, slots=True)
class StepState:
    """All that such a bar shows; a `title` is a heading, and its `hint` says what the step is for."""

    label: str
    title: str = ""
    hint: str = ""
    field: StepField | None = None
    choice: StepChoice | None = None
    buttons: Sequence[Button] = ()
    notes: Sequence[Note] = ()


class StepBar(Bar):
    """A bar that shows a `StepState`."""

    _esm = javascript("bar.js", "step.js")
