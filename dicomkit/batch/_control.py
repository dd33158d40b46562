"""What pauses and cancels a batch from outside."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class BatchControl:
    """Pauses, resumes and cancels a batch; to be called from any thread, also before the batch starts.

    A pause lets the instances under way finish. A first cancel does so too, and ends the batch; a second one
    aborts them. Neither loses a row; a third one has done with it, and what is not looked at by then has
    none.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._cancels = 0
        self._is_paused = False
        self._is_taken = False
        self._listener: Callable[[], None] | None = None

    def pause(self) -> None:
        """Take up no further instance until `resume`."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on after a `pause`."""
        self._set(paused=False)

    def cancel(self) -> None:
        """End the batch: the first time after the instances under way, the second time at once."""
        self._set(cancel=True)

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    @property
    def cancels(self) -> int:
        """How often `cancel` was called."""
        return self._cancels

    def _set(self, *, paused: bool | None = None, cancel: bool = False) -> None:
        with self._lock:
            self._is_paused = self._is_paused if paused is None else paused
            self._cancels += cancel
            listener = self._listener
        if listener is not None:
            listener()

    def _take(self) -> None:
        with self._lock:
            if self._is_taken:
                raise ValueError(
                    "this BatchControl belongs to a batch that is still running; make another one"
                )
            self._is_taken = True

    def _listen(self, listener: Callable[[], None]) -> None:
        """Have this called upon every change, and once now; for the batch that it controls."""
        with self._lock:
            self._listener = listener
        listener()

    def _give_back(self) -> None:
        with self._lock:
            self._is_taken = False
            self._listener = None
