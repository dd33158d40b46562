"""What the bars of the panel, the chooser and the app have in common: buttons, notes, and how they are shown.

The one idea: the kernel words everything, and a message is the whole state; the browser shows it, and says which button
was pressed and what that said, so that nothing is done under a label that has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import anywidget

from dicomkit.widgets._assets import stylesheet

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Bar", "Button", "Note", "NoteKind"]

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


class Bar(anywidget.AnyWidget):
    """A bar, whose ES module is its subclass's; `show` tells every view what is there now.

    Parameters
    ----------
    on_press : callable, optional
        Called with the act of what is pressed, its label, and the text that belongs to it.
    """

    _css = stylesheet()

    def __init__(self, on_press: Callable[[str, str, str], None] | None = None) -> None:
        self._on_press = on_press
        self._state: dict[str, Any] = {}
        super().__init__()
        self.on_msg(self._hear)

    def show(self, state: DataclassInstance) -> None:
        """Show this, when it is not what is shown already."""
        told = {"kind": "state", **asdict(state)}
        if told != self._state:
            self._state = told
            if self.comm is not None:
                self.send(told)

    def close(self) -> None:
        """Free the model; the views go, too."""
        self._on_press = None
        self.on_msg(self._hear, remove=True)
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _hear(self, _widget: object, content: Any, _buffers: object) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "hello":
            self.send(self._state)
        elif kind == "press" and self._on_press is not None:
            self._on_press(*(str(content.get(name, "")) for name in ("act", "label", "text")))
