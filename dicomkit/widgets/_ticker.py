"""How often widgets are brought up to date: of many changes the last counts, five times a second at most."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from threading import Event, Lock, Thread

UPDATE_SECONDS = 0.2


class Ticker:
    """Calls `work` in a thread of its own, a moment after each `wake`; there is no thread while nothing is due.

    What `work` raises is reported as of any thread, and the next time comes all the same. One that `is_immediate` does
    it in the thread that wakes it when the last time is long enough ago.
    """

    def __init__(self, work: Callable[[], None], name: str, *, is_immediate: bool = False) -> None:
        self._work = work
        self._name = name
        self._is_immediate = is_immediate
        self._lock = Lock()
        self._is_due = False
        self._last = float("-inf")
        self._thread: Thread | None = None
        self._closed = Event()

    def wake(self) -> None:
        """Have the work done soon, from any thread."""
        with self._lock:
            if self._closed.is_set():
                return
            since = time.monotonic() - self._last
            is_now = self._is_immediate and self._thread is None and since >= UPDATE_SECONDS
            if is_now:
                self._last = time.monotonic()
            else:
                self._is_due = True
                if self._thread is None:
                    wait = UPDATE_SECONDS - since if self._is_immediate else UPDATE_SECONDS
                    self._thread = Thread(target=self._run, args=(wait,), name=self._name, daemon=True)
                    self._thread.start()
        if is_now:
            self._work()

    def close(self) -> None:
        """Begin no work any more, and forget it; what is under way ends by itself."""
        self._closed.set()
        self._work = lambda: None

    def _run(self, wait_seconds: float) -> None:
        while not self._closed.wait(wait_seconds):
            wait_seconds = UPDATE_SECONDS
            with self._lock:
                if not self._is_due:
                    self._thread = None
                    return
                self._is_due = False
                self._last = time.monotonic()
            try:
                self._work()
            except Exception:  # noqa: BLE001 - of whoever observes a trait, say; other changes are shown all the same
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
