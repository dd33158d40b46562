"""A thread that brings a widget up to date some moments after it was woken.

The one idea: of many changes the last counts, so what wakes it meanwhile costs nothing more, and a last time comes for
certain; between two times lie `UPDATE_SECONDS`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from threading import Event, Lock, Thread

from dicomkit.widgets.table import UPDATE_SECONDS

__all__ = ["Ticker"]


class Ticker:
    """Calls `work` in a thread of its own, a moment after each `wake`; there is no thread while nothing is due.

    Parameters
    ----------
    work : callable
        What is done each time; when there will be more to do it wakes the ticker itself. What it raises is reported as
        of any thread, and the next time comes all the same.
    name : str
        Of the thread.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._name = name
        self._lock = Lock()
        self._is_due = False
        self._thread: Thread | None = None
        self._closed = Event()

    def wake(self) -> None:
        """Have the work done soon, from any thread; returns at once."""
        with self._lock:
            self._is_due = True
            if self._thread is None and not self._closed.is_set():
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Begin no work any more; what is under way ends by itself."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(UPDATE_SECONDS):
            with self._lock:
                if not self._is_due:
                    self._thread = None
                    return
                self._is_due = False
            try:
                self._work()
            except Exception:  # noqa: BLE001 - of whoever observes a trait, say; other changes are shown all the same
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
