"""An echo on a thread of its own, and its answer as a sentence.

The one idea: a run that is not waited for any more is forgotten at once; its association is aborted, its thread ends.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

from dicomkit.sending import EchoResult, echo_until
from dicomkit.wire.socket import Interrupt

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting

__all__ = ["EchoRun", "sentence"]


class EchoRun:
    """One C-ECHO under way.

    Parameters
    ----------
    setting : DicomSenderSetting
        Whom to ask.
    on_answer : callable
        Called once with the run, on its thread, when there is an answer and the run was not abandoned before.
    tls, identity
        As for `echo`.
    """

    def __init__(
        self,
        setting: DicomSenderSetting,
        on_answer: Callable[[EchoRun], None],
        *,
        tls: TlsOptions | None = None,
        identity: UserIdentity | None = None,
    ) -> None:
        self.setting = setting
        self._tls, self._identity = tls, identity
        self.result: EchoResult | None = None
        self._on_answer: Callable[[EchoRun], None] | None = on_answer
        self._interrupt = Interrupt()
        self._thread = Thread(target=self._run, name="dicomkit echo", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """Forget the answer, and abort what is under way."""
        self._on_answer = None
        self._interrupt.set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether the answer came in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.result = echo_until(self._interrupt, self.setting, tls=self._tls, identity=self._identity)
        finally:
            self._interrupt.close()
        on_answer = self._on_answer
        if on_answer is not None:
            on_answer(self)


def sentence(result: EchoResult) -> str:
    """What came of an echo, as a sentence."""
    if result.outcome.is_stored:
        return f"{result.detail}."
    what = str(result.outcome).replace("_", " ").capitalize()
    return f"{what}: {result.detail}."
