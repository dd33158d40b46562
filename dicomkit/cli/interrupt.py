"""Ctrl-C while a batch runs: once for a polite end, twice for a quick one.

The one idea: a signal handler must take no lock that the interrupted thread may hold, so it does no more than
put a word into a queue that is made for that; a thread of its own cancels the batch and says so.
"""

from __future__ import annotations

import signal
from queue import SimpleQueue
from threading import Thread, current_thread, main_thread
from types import FrameType

from dicomkit.batch import BatchControl
from dicomkit.cli.terminal import Console

__all__ = ["Interruptible"]

SAID = (
    "interrupted: finishing what is under way; Ctrl-C again aborts it",
    "interrupted again: aborting what is under way",
)


class Interruptible:
    """While it is open, SIGINT cancels the batch of a control; after the second one it is as before again."""

    def __init__(self, control: BatchControl, console: Console) -> None:
        self._control = control
        self._console = console
        self._words: SimpleQueue[str | None] = SimpleQueue()
        self._left = list(SAID)
        self._before = signal.getsignal(signal.SIGINT)
        # A process that was started to ignore it (nohup, a job of a script) goes on doing so.
        self._is_heeded = self._before is not signal.SIG_IGN and current_thread() is main_thread()
        self._thread = Thread(target=self._cancel, name="dicomkit interrupt", daemon=True)

    def __enter__(self) -> Interruptible:
        if self._is_heeded:
            self._thread.start()
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_heeded:
            signal.signal(signal.SIGINT, self._before)
            self._words.put(None)
            self._thread.join()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._words.put(self._left.pop(0))
        if not self._left:
            signal.signal(signal.SIGINT, self._before)

    def _cancel(self) -> None:
        while (word := self._words.get()) is not None:
            self._console.say(word)
            self._control.cancel()
