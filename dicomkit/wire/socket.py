"""From a peer's name to a connected socket, how to wait on it, and what TCP can tell of it.

The sockets are non-blocking. Every wait is one `poll` with the seconds that are left of a deadline, which an
`Interrupt` from another thread ends at once.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from dicomkit._support.descriptors import NO_DESCRIPTOR, is_shortage
from dicomkit._support.frozen import Frozen
from dicomkit.errors import ConnectionFailed, Interrupted, PeerTimedOut

if TYPE_CHECKING:
    from typing import Protocol

    from dicomkit.security import TlsClient, UserIdentity

    class TcpSocket(Protocol):
        """What this module asks of a socket, plain or under TLS."""

        def fileno(self) -> int: ...
        def setsockopt(self, level: int, option: int, value: int, /) -> None: ...
        def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


__all__ = [
    "READ",
    "RESET_ON_CLOSE",
    "TLS_RECORD_BYTES",
    "WRITE",
    "Interrupt",
    "Peer",
    "Poller",
    "acknowledge_at_once",
    "bytes_acknowledged",
    "connect",
    "os_reason",
]

READ: Final = 1
WRITE: Final = 2
# The value of SO_LINGER with which a close drops what is still to be sent, and resets the connection.
RESET_ON_CLOSE = Struct("ii").pack(1, 0) if sys.platform != "win32" else Struct("hh").pack(1, 0)
# The longest plaintext of a record, RFC 8446 section 5.1. It stands here so that `ssl` need not be loaded for it.
TLS_RECORD_BYTES = 1 << 14
# poll takes milliseconds in a C int; nobody waits eleven days for a peer.
LONGEST_WAIT_SECONDS = 1e6

_TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None) if sys.platform.startswith("linux") else None
_BYTES_ACKED = Struct("=120xQ")  # tcpi_bytes_acked in struct tcp_info, Linux 4.1 and later


class Peer(Frozen):
    """Where an association goes, in whose name, how it is secured, and how long each phase may take."""

    host: str
    port: int
    calling_aet: str
    called_aet: str
    timeout_seconds: float
    tls: TlsClient | None = None
    identity: UserIdentity | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Interrupt:
    """A flag that wakes every wait it was given to; set from any thread, once, for good."""

    def __init__(self) -> None:
        self.is_set = False
        self._reader, self._writer = socket.socketpair()

    def set(self) -> None:
        if not self.is_set:
            self.is_set = True
            with suppress(OSError):  # closed meanwhile: nobody waits any more
                self._writer.send(b"\0")

    def fileno(self) -> int:
        return self._reader.fileno()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Poller:
    """Waits for a socket and an interrupt, by `poll` where there is one (`select` stops at descriptor 1024)."""

    def __init__(self, sock: TcpSocket, interrupt: Interrupt | None) -> None:
        self._sock = sock
        self._interrupt = interrupt
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._interrupt_fd = interrupt.fileno() if interrupt is not None else -1
        if self._poll is not None and interrupt is not None:
            self._poll.register(self._interrupt_fd, select.POLLIN)

    def wait(self, events: int, seconds: float) -> int:
        """READ and WRITE as far as ready; 0 when the time is up; -1 when interrupted."""
        if self._poll is None:
            return self._select(events, seconds)
        mask = (select.POLLIN if events & READ else 0) | (select.POLLOUT if events & WRITE else 0)
        self._poll.register(self._sock, mask)
        ready = 0
        for fd, happened in self._poll.poll(min(seconds, LONGEST_WAIT_SECONDS) * 1000):
            if fd == self._interrupt_fd:
                return -1
            ready |= READ if happened & ~select.POLLOUT else 0
            ready |= WRITE if happened & select.POLLOUT else 0
        return ready

    def _select(self, events: int, seconds: float) -> int:
        readers: list[TcpSocket | Interrupt] = [self._sock] if events & READ else []
        writers = [self._sock] if events & WRITE else []
        if self._interrupt is not None:
            readers.append(self._interrupt)
        # Windows reports a failed connect as exceptional, not as writable.
        readable, writable, failed = select.select(
            readers, writers, writers, min(seconds, LONGEST_WAIT_SECONDS)
        )
        if self._interrupt in readable:
            return -1
        return (READ if self._sock in readable else 0) | (WRITE if writable or failed else 0)

    def is_readable(self) -> bool:
        if self._poll is None:
            return bool(select.select([self._sock], [], [], 0)[0])
        self._poll.register(self._sock, select.POLLIN)
        return any(fd != self._interrupt_fd for fd, _ in self._poll.poll(0))


def connect(peer: Peer, interrupt: Interrupt | None) -> socket.socket:
    """A connected, non-blocking socket to the first address that answers.

    When none does, the error is a definite one only where it is so of each address.
    """
    deadline = monotonic() + peer.timeout_seconds
    addresses = _resolve(peer, deadline, interrupt)
    failures: list[ConnectionFailed | PeerTimedOut] = []
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        # Each address gets its share, so that a silent first one does not eat the time of the second.
        share = (deadline - monotonic()) / (len(addresses) - index)
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failures.append(_no_socket(peer, error))
            continue
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _connect_one(sock, address, peer, share, interrupt)
            return sock
        except (ConnectionFailed, PeerTimedOut) as error:
            sock.close()
            failures.append(error)
        except BaseException:
            sock.close()
            raise
    raise min(failures, key=_says_less_of_the_peer)  # the first of those, and getaddrinfo returns an address


def _says_less_of_the_peer(error: ConnectionFailed | PeerTimedOut) -> int:
    """0 for what leaves open whether the peer is there, 1 for a definite answer, 2 for a family that we lack."""
    if isinstance(error, PeerTimedOut) or error.is_shortage:
        return 0
    return 2 if error.phase == "socket" else int(error.is_definite)


def _no_socket(peer: Peer, error: OSError) -> ConnectionFailed:
    if is_shortage(error):
        return ConnectionFailed(
            f"no socket for {peer}: {NO_DESCRIPTOR}", phase="socket", errno=error.errno, is_shortage=True
        )
    return ConnectionFailed(f"no socket for {peer} ({os_reason(error)})", phase="socket", errno=error.errno)


def _connect_one(
    sock: socket.socket, address: object, peer: Peer, seconds: float, interrupt: Interrupt | None
) -> None:
    sock.setblocking(False)
    code = sock.connect_ex(address)  # type: ignore[arg-type]
    if code in (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)):
        ready = Poller(sock, interrupt).wait(WRITE, max(seconds, 0))
        if ready < 0:
            raise Interrupted("cancelled by us", phase="connect")
        if not ready:
            raise PeerTimedOut(
                f"timed out: {peer} did not answer the TCP connect within {peer.timeout_seconds:g} s",
                phase="connect",
            )
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code in (errno.ECONNREFUSED, getattr(errno, "WSAECONNREFUSED", errno.ECONNREFUSED)):
        raise ConnectionFailed(
            f"connection refused: nothing listens at {peer}", phase="connect", errno=errno.ECONNREFUSED
        )
    if code:
        reason = os_reason(OSError(code, ""))
        raise ConnectionFailed(f"no connection to {peer} ({reason})", phase="connect", errno=code)


_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, object]


def _resolve(peer: Peer, deadline: float, interrupt: Interrupt | None) -> Sequence[_Address]:
    """The addresses of the host; a name server that does not answer in time is left to its thread."""
    with suppress(OSError):
        return _look_up(peer, socket.AI_NUMERICHOST)
    found: list[_Address] = []
    failed: list[OSError] = []
    try:
        done, is_done = socket.socketpair()
    except OSError as error:
        raise _no_socket(peer, error) from error

    def look_up() -> None:
        with is_done:  # whose end of file wakes the wait below
            try:
                found.extend(_look_up(peer, 0))
            except OSError as error:
                failed.append(error)

    with done:
        Thread(target=look_up, daemon=True, name=f"dicomkit resolves {peer.host}").start()
        if Poller(done, interrupt).wait(READ, max(deadline - monotonic(), 0)) < 0:
            raise Interrupted("cancelled by us", phase="name resolution")
    if failed:
        if is_shortage(failed[0]):
            raise _no_socket(peer, failed[0])
        raise ConnectionFailed(
            f"host name {peer.host!r} does not resolve ({os_reason(failed[0])})",
            phase="name resolution",
            errno=failed[0].errno,
        )
    if not found:
        raise PeerTimedOut(
            f"timed out: host name {peer.host!r} did not resolve within {peer.timeout_seconds:g} s",
            phase="name resolution",
        )
    return found


def _look_up(peer: Peer, flags: int) -> Sequence[_Address]:
    # As bytes where it can be, since a str is looked up by way of IDNA, whose import takes a millisecond.
    host = peer.host.encode("ascii") if peer.host.isascii() else peer.host
    try:
        return socket.getaddrinfo(host, peer.port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(str(error)) from None
    except socket.gaierror:
        if not flags:  # getaddrinfo does not say when it lacked a descriptor; a socket does
            socket.socket(type=socket.SOCK_DGRAM).close()
        raise


def acknowledge_at_once(sock: TcpSocket) -> None:
    """Have what comes next acknowledged at once.

    A peer with Nagle's algorithm on sends a response in two pieces and waits for our ACK between them, which the
    kernel delays by 40 ms. The option holds for a while only, so it is set before every read.
    """
    if _TCP_QUICKACK is not None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)
        except OSError:  # the connection is gone, which the read that follows reports better
            return


def bytes_acknowledged(sock: TcpSocket) -> int | None:
    """How many of our bytes the peer's TCP has acknowledged, the SYN among them; None where that is not known."""
    if _TCP_INFO is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size)
    except OSError:
        return None
    return int(_BYTES_ACKED.unpack(info)[0]) if len(info) == _BYTES_ACKED.size else None


def os_reason(error: OSError) -> str:
    """The system's words for an error, without a path that an `OSError` may carry."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return str(error.args[-1]) if error.args else type(error).__name__
    # Windows keeps the words of its socket errors elsewhere.
    return error.strerror or getattr(socket, "errorTab", {}).get(error.errno) or os.strerror(error.errno)
