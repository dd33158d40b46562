"""An echo on a thread of its own, and what a form says of it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

from dicomkit.sending import EchoResult, echo_until
from dicomkit.settings import DicomSenderSetting
from dicomkit.wire.socket import Interrupt

_ROUTE = ("remote_host", "remote_port", "our_aet", "remote_aet", "timeout_seconds")


class EchoRun:
    """One C-ECHO; `on_answer` is called with it on its thread, unless it was abandoned, which aborts it."""

    def __init__(
        self, setting: DicomSenderSetting, on_answer: Callable[[EchoRun], None], **options: Any
    ) -> None:
        self.setting = setting
        self.result: EchoResult | None = None
        self._on_answer: Callable[[EchoRun], None] | None = on_answer
        self._interrupt = Interrupt()
        self._thread = Thread(target=self._run, kwargs=options, name="dicomkit echo", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """Forget the answer, and abort what is under way."""
        self._on_answer = None
        self._interrupt.set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether the answer came in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self, **options: Any) -> None:
        try:
            self.result = echo_until(self._interrupt, self.setting, **options)
        finally:
            self._interrupt.close()
        on_answer = self._on_answer
        if on_answer is not None:
            on_answer(self)


def echo_state(
    shown: DicomSenderSetting | None, running: EchoRun | None, answered: EchoRun | None
) -> dict[str, Any]:
    """The echo under way, or else the last answer, and whether that is about what is `shown` now."""
    status = says = ""
    is_old = False
    if running is not None:
        asked = running.setting
        says = f"Asking {asked.remote_aet!r} at {asked.remote_host}:{asked.remote_port} …"
    elif answered is not None and answered.result is not None:
        asked, result = answered.setting, answered.result
        status, says = "done", f"{result.detail}."
        if not result.outcome.is_stored:
            status, says = "error", f"{str(result.outcome).replace('_', ' ').capitalize()}: {says}"
        is_old = shown is None or any(getattr(shown, one) != getattr(asked, one) for one in _ROUTE)
    return {"is_running": running is not None, "status": status, "says": says, "is_old": is_old}
