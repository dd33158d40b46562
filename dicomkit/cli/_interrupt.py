"""Ctrl-C while a batch runs: once finishes what is under way, twice aborts it.

Python runs a signal's handler in the main thread alone, and that one may be waiting for a lock. The interpreter's
wakeup descriptor (`signal.set_wakeup_fd`) is written to in any case, and a thread here reads from it.
"""

from __future__ import annotations

import os
import signal
import socket
from threading import Thread, current_thread, main_thread

from dicomkit.batch import BatchControl
from dicomkit.cli._exit import EXIT_INTERRUPTED
from dicomkit.cli._terminal import Console

_LINES = (
    "interrupted: finishing what is under way; Ctrl-C again aborts it",
    "interrupted again: aborting what is under way",
    "interrupted a third time: leaving out the rows of what was never tried",
)
_LAST_LINE = "interrupted once more: leaving everything as it is"

_OVER = b"\0"  # no signal has this number


class Interruptible:
    """While it is open, each SIGINT is one cancel of the batch of a control; the fourth ends the process."""

    def __init__(self, control: BatchControl, console: Console) -> None:
        self._control = control
        self._console = console
        self._before = signal.getsignal(signal.SIGINT)
        # A process that was started to ignore it (nohup, a job of a script) goes on doing so.
        self._is_handled = self._before is not signal.SIG_IGN and current_thread() is main_thread()

    def __enter__(self) -> Interruptible:
        if self._is_handled:
            self._read_end, self._write_end = socket.socketpair()
            self._write_end.setblocking(False)
            self._thread = Thread(target=self._listen, name="dicomkit interrupt", daemon=True)
            self._thread.start()
            self._fd_before = signal.set_wakeup_fd(self._write_end.fileno(), warn_on_full_buffer=False)
            signal.signal(signal.SIGINT, lambda number, frame: None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_handled:
            signal.signal(signal.SIGINT, self._before)
            signal.set_wakeup_fd(self._fd_before)
            self._write_end.setblocking(True)
            self._write_end.sendall(_OVER)
            self._thread.join()
            self._read_end.close()
            self._write_end.close()

    def _listen(self) -> None:
        lines = iter(_LINES)
        while (received := self._read_end.recv(1)) != _OVER:
            if received[0] != signal.SIGINT:
                continue
            line = next(lines, None)
            if line is None:
                self._console.say(_LAST_LINE)
                os._exit(EXIT_INTERRUPTED)
            self._console.say(line)
            self._control.cancel()
