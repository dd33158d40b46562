"""Where callers of the local receiver wait until they say something, so that who says nothing costs next to nothing.

One thread accepts, for either server, and holds what is silent: no thread of its own, no place among the associations.
A caller is handed over once it has sent the header of a PDU, and is dropped when it has not for as long as the ARTIM
timer runs (PS3.8 section 9.1.5). When there are too many of them, or the system has no descriptor left, the one that
was silent the longest goes, so that there is room for another.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["ARTIM_SECONDS", "Lobby"]

ARTIM_SECONDS = 30.0
_MOST_SILENT = 256  # of 1024 descriptors, which is all that a process has on many systems
_LEAST_BYTES = 6  # the header of a PDU (PS3.8 section 9.3.1); where the system counts them
_NO_DESCRIPTOR_SECONDS = 0.1  # until one may be free again, when nobody here can give one up


class Lobby:
    """Accepts connections until it is stopped.

    Parameters
    ----------
    listener : socket.socket
        Listens; closing it is its owner's affair.
    receive : callable
        Takes a socket whose peer has begun a PDU or gone, and its address; called in the lobby's thread.
    dropped : callable
        Told of each connection that was closed here, why.
    most_seconds : float
        How long a caller may be silent; never longer than the ARTIM timer runs.
    """

    def __init__(
        self,
        listener: socket.socket,
        receive: Callable[[socket.socket, Any], object],
        dropped: Callable[[str], object],
        most_seconds: float = ARTIM_SECONDS,
    ) -> None:
        self._listener = listener
        self._receive = receive
        self._dropped = dropped
        self._most_seconds = min(most_seconds, ARTIM_SECONDS)
        self._silent: OrderedDict[socket.socket, tuple[Any, float]] = OrderedDict()  # the oldest first
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._listener.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="dicomkit-scp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept nobody any more, and drop who waits."""
        self._waker.send(b"\0")
        self._thread.join()

    def _run(self) -> None:
        resume_at: float | None = None  # accepting, which is paused until then
        try:
            while True:
                for key, _ in self._selector.select(self._seconds_until_due(resume_at)):
                    if key.fileobj is self._wake:
                        return
                    if key.fileobj is self._listener:
                        if not self._accept():
                            self._selector.unregister(self._listener)
                            resume_at = time.monotonic() + _NO_DESCRIPTOR_SECONDS
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._silent:
                        self._hand_over(key.fileobj)
                now = time.monotonic()
                if resume_at is not None and now >= resume_at:
                    resume_at = None
                    self._selector.register(self._listener, selectors.EVENT_READ)
                while self._silent and next(iter(self._silent.values()))[1] <= now:
                    self._drop_oldest(f"said nothing for {self._most_seconds:g} s")
        finally:
            while self._silent:
                self._drop_oldest("the receiver stopped")
            self._selector.close()
            self._wake.close()
            self._waker.close()

    def _seconds_until_due(self, resume_at: float | None) -> float | None:
        due = [] if resume_at is None else [resume_at]
        if self._silent:
            due.append(next(iter(self._silent.values()))[1])
        return max(min(due) - time.monotonic(), 0.0) if due else None

    def _accept(self) -> bool:
        """Let one in; False when there is no descriptor for it and nobody could give one up."""
        try:
            sock, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return True  # the peer has gone already
        except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: the listener stays ready all the while
            if not self._silent:
                return False
            self._drop_oldest("silent, and there was no descriptor left")
            return True
        sock.setblocking(True)
        _wait_for(sock, _LEAST_BYTES)
        if len(self._silent) >= _MOST_SILENT:
            self._drop_oldest(f"silent for the longest of {_MOST_SILENT}")
        self._silent[sock] = (address, time.monotonic() + self._most_seconds)
        self._selector.register(sock, selectors.EVENT_READ)
        return True

    def _leave(self, sock: socket.socket) -> Any:
        self._selector.unregister(sock)
        return self._silent.pop(sock)[0]

    def _hand_over(self, sock: socket.socket) -> None:
        address = self._leave(sock)
        _wait_for(sock, 1)
        try:
            self._receive(sock, address)
        except RuntimeError:  # no thread can be started
            self._close(sock, "there was no thread left")

    def _drop_oldest(self, why: str) -> None:
        sock = next(iter(self._silent))
        self._leave(sock)
        self._close(sock, why)

    def _close(self, sock: socket.socket, why: str) -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        self._dropped(why)


def _wait_for(sock: socket.socket, count: int) -> None:
    """Have a socket count as readable with so many bytes, where the system can (not on Windows), or at its end."""
    with suppress(AttributeError, OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
