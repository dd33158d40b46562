"""What the widgets have in common: custom messages are answered by their kind, and closing frees the layout as well."""

from __future__ import annotations

from typing import Any

import anywidget
from ipywidgets import DOMWidget  # type: ignore[import-untyped]

from dicomkit.widgets._assets import stylesheet


class ClosesLayout(DOMWidget):  # type: ignore[misc]  # ipywidgets is not typed
    """To be named before a box of ipywidgets: `close` frees the observers and the layout's model, too."""

    def close(self) -> None:
        """Free the observers and the models; the views go, too."""
        self.unobserve_all()
        layout = self.layout
        super().close()
        if layout is not None:
            layout.close()


class MessageWidget(ClosesLayout, anywidget.AnyWidget):
    """A widget whose method ``_hear_KIND`` answers custom messages of that kind."""

    _css = stylesheet()

    def __init__(self, **traits: object) -> None:
        super().__init__(**traits)
        self.on_msg(self._hear)

    def _hear(self, _widget: object, content: Any, _buffers: object) -> None:
        """Answer a custom message; one that is not ours is passed over."""
        kind = content.get("kind") if isinstance(content, dict) else None
        answer = getattr(self, f"_hear_{kind}", None)
        if answer is not None:
            answer(content)

    def close(self) -> None:
        """Free the observers and the models; the views go, too."""
        self.on_msg(self._hear, remove=True)
        super().close()
