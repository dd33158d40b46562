"""A bar of buttons and notes, which the batch panel, the chooser and the app have above their tables.

The kernel words everything, and a message is the whole state. The browser shows it, and says which button was pressed
and what stood on it, so that nothing is done under a label that has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from dicomkit.widgets._assets import javascript
from dicomkit.widgets._widget import MessageWidget

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NoteKind = Literal["", "done", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Button:
    """One button; while it waits, `title` says for what."""

    act: str
    label: str
    title: str
    is_allowed: bool = True
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence, and whether it is of something done, to be careful about, or wrong."""

    says: str
    kind: NoteKind = ""


class Bar(MessageWidget):
    """A bar, whose ES module is its subclass's; `on_press` gets the act, label and text of what is pressed."""

    def __init__(self, on_press: Callable[[str, str, str], None] | None = None) -> None:
        self._on_press = on_press
        self._state: dict[str, Any] = {}
        super().__init__()

    def show(self, state: DataclassInstance) -> None:
        """Show this in every view, when it is not what is shown already."""
        message = {"kind": "state", **asdict(state)}
        if message != self._state:
            self._state = message
            if self.comm is not None:
                self.send(message)

    def close(self) -> None:
        """Free the model; the views go, too."""
        self._on_press = None
        super().close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _hear_hello(self, _content: object) -> None:
        self.send(self._state)

    def _hear_press(self, content: dict[str, Any]) -> None:
        if self._on_press is not None:
            self._on_press(*(str(content.get(name, "")) for name in ("act", "label", "text")))


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
