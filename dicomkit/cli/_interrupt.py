"""Ctrl-C while a batch runs: once for a polite end, twice for a quick one.

The one idea: Python handles a signal in the main thread alone, which may just be falling asleep and not hear of it.
The interpreter's wakeup descriptor is written to all the same, and a thread of ours listens there.
"""

from __future__ import annotations

import os
import signal
import socket
from threading import Thread, current_thread, main_thread

from dicomkit.batch import BatchControl
from dicomkit.cli._main import EXIT_INTERRUPTED
from dicomkit.cli._terminal import Console

__all__ = ["Interruptible"]

SAID = (
    "interrupted: finishing what is under way; Ctrl-C again aborts it",
    "interrupted again: aborting what is under way",
    "interrupted a third time: leaving out the rows of what was never tried",
)
LAST_SAID = "interrupted once more: leaving everything as it is"

_OVER = b"\0"  # no signal has this number


class Interruptible:
    """While it is open, each SIGINT is one cancel of the batch of a control; the fourth ends the process."""

    def __init__(self, control: BatchControl, console: Console) -> None:
        self._control = control
        self._console = console
        self._before = signal.getsignal(signal.SIGINT)
        # A process that was started to ignore it (nohup, a job of a script) goes on doing so.
        self._is_heeded = self._before is not signal.SIG_IGN and current_thread() is main_thread()

    def __enter__(self) -> Interruptible:
        if self._is_heeded:
            self._ear, self._mouth = socket.socketpair()
            self._mouth.setblocking(False)
            self._thread = Thread(target=self._listen, name="dicomkit interrupt", daemon=True)
            self._thread.start()
            self._fd_before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGINT, lambda number, frame: None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_heeded:
            signal.signal(signal.SIGINT, self._before)
            signal.set_wakeup_fd(self._fd_before)
            self._mouth.setblocking(True)
            self._mouth.sendall(_OVER)
            self._thread.join()
            self._ear.close()
            self._mouth.close()

    def _listen(self) -> None:
        said = iter(SAID)
        while (heard := self._ear.recv(1)) != _OVER:
            if heard[0] != signal.SIGINT:
                continue
            line = next(said, None)
            if line is None:
                self._console.say(LAST_SAID)
                os._exit(EXIT_INTERRUPTED)
            self._console.say(line)
            self._control.cancel()
