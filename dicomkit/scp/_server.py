"""A receiver on this machine, for teaching and for tests: it stores what it is sent, or fails as asked to.

It stands on bare sockets and `dicomkit.wire.pdu` alone: most faults are bytes below the reach of
pynetdicom's server, so that both would be needed, and fitting that one to private classes, silent callers
and overlong PDUs took as much code as all that is faultless here. Another DIMSE service is an entry in
`_connection._SERVICES`.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dicomkit.scp._connection import Connection
from dicomkit.scp._faults import Fault, FaultPlan, StopReading
from dicomkit.scp._journal import Happening, Journal, What
from dicomkit.scp._negotiation import Service

if TYPE_CHECKING:
    import pandas as pd

    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting

_ARTIM_SECONDS = 30.0  # until an association is asked for, PS3.8 section 9.1.5
_MOST_WAITING = 256  # of 1024 descriptors, which is all that a process has on many systems
_NO_DESCRIPTOR_SECONDS = 0.1  # until one may be free again, when nobody here can give one up
_SMALL_BUFFER_BYTES = 1 << 14  # receive buffer under StopReading, so that a sender stalls soon


class LocalSCP:
    """A storage receiver on this machine.

    It takes any storage SOP class, private ones included, in any transfer syntax (of each context the first
    that is proposed), and C-ECHO.

    >>> with LocalSCP(faults=[Status(0xA700, every=3)]) as scp:        # doctest: +SKIP
    ...     send_batch(scp.setting(), "folder")
    ...     scp.received

    Parameters
    ----------
    aet : str
        Its AE title, 1 to 16 characters.
    host, port : str, int
        Where to listen; port 0 takes a free one. After `stop`, `start` listens on the same port again.
    faults : iterable of Fault
        What to do wrong, and when; the classes of `dicomkit.scp`. Several together are fine.
    output : path, optional
        Folder for the instances, each a Part 10 file named after its SOP Instance UID, with the data set's
        bytes as received. What comes again under the same UID replaces the file.
    allowed_calling_aets : iterable of str, optional
        The calling AE titles that are let in; others are rejected (reason 3). None lets all in.
    check_called_aet : bool
        Whether a called AE title other than `aet` is rejected (reason 7).
    maximum_pdu_size : int
        In bytes, as announced to the peer; 0 for no limit.
    maximum_associations : int
        How many may be open at once; more are rejected (transient, local limit exceeded).
    network_timeout_seconds : float
        How long a peer may be idle; it has 30 s at most to ask for an association.
    keep_bytes : int
        Without `output`: how many bytes of data sets are kept in memory for `data_set`. Oldest go first.
    on_received : callable, optional
        Called with each row of `received` as a dict, on a thread of the receiver, before the peer is
        answered. It should return soon and not raise.
    tls : TlsOptions, optional
        Serve under TLS, and in no other way: its `cert_file` and `key_file` are the receiver's. With a
        `ca_file` callers must have a certificate of it.
    identities : iterable of UserIdentity, optional
        The users that are let in; others, and calls without one, are rejected (reason 1), and a
        confirmation is given where it is asked for. None lets all in, and confirms none. `events` name the
        user, and no secret.
    seed : int
        For faults with a `chance`.

    Raises
    ------
    ValueError
        The title cannot be an AE title.
    SecurityError
        A file of `tls` cannot be used.
    OSError
        From `start`: the port is taken or not permitted.
    """

    def __init__(
        self,
        aet: str = "ANY_SCP",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        output: str | Path | None = None,
        allowed_calling_aets: Iterable[str] | None = None,
        check_called_aet: bool = True,
        maximum_pdu_size: int = 131_072,
        maximum_associations: int = 100,
        network_timeout_seconds: float = 60.0,
        keep_bytes: int = 256 * 1024 * 1024,
        on_received: Callable[[dict[str, object]], object] | None = None,
        tls: TlsOptions | None = None,
        identities: Iterable[UserIdentity] | None = None,
        seed: int = 0,
    ) -> None:
        allowed = None if allowed_calling_aets is None else [title.strip() for title in allowed_calling_aets]
        for title in [aet, *(allowed or [])]:
            if not 1 <= len(title.strip()) <= 16 or not title.isascii() or "\\" in title:
                raise ValueError(
                    f"AE title {title!r}: 1 to 16 characters of ASCII, no backslash (PS3.5 Table 6.2-1)"
                )
        self.aet = aet.strip()
        self.host = host
        self.port = port
        self._allowed = allowed
        self._service = Service(
            aet=self.aet,
            check_called_aet=check_called_aet,
            allowed_calling_aets=None if allowed is None else frozenset(allowed),
            maximum_pdu_size=maximum_pdu_size,
            maximum_associations=maximum_associations,
            network_timeout_seconds=network_timeout_seconds,
            tls=None if tls is None else tls.for_server(),
            identities=None if identities is None else tuple(identities),
        )
        self._plan = FaultPlan(faults, seed=seed)
        self._journal = Journal(
            output=None if output is None else Path(output), keep_bytes=keep_bytes, on_received=on_received
        )
        self._running: _Listener | None = None

    def start(self) -> Self:
        """Listen, unless it does already; returns itself.

        Raises
        ------
        OSError
            The port is taken, or the host is none of this machine.
        """
        if self._running is None:
            self._running = _Listener(self.host, self.port, self._service, self._plan, self._journal)
            self.port = self._running.port
        return self

    def stop(self) -> None:
        """End every association and close the port; no thread or socket is left. May be called again."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "listening" if self._running is not None else "stopped"
        return f"<LocalSCP {self.aet} at {self.host}:{self.port}, {state}, {len(self._journal)} received>"

    def setting(self, **changes: Any) -> DicomSenderSetting:
        """A setting that points here.

        Parameters
        ----------
        **changes
            Fields that shall be otherwise, by Python name.

        Returns
        -------
        DicomSenderSetting
            With this host, port and AE title, and a calling AE title that is allowed.
        """
        from dicomkit.settings import DicomSenderSetting

        fields: dict[str, Any] = {
            "name": f"Local SCP {self.aet}",
            "remote_host": self.host,
            "remote_port": self.port,
            "remote_aet": self.aet,
            "our_aet": self._allowed[0] if self._allowed else "DICOMKIT_SCU",
        }
        return DicomSenderSetting(**(fields | changes))

    @property
    def received(self) -> pd.DataFrame:
        """A row for each data set that arrived whole; the columns are those of `Received`."""
        return self._journal.to_frame()

    def data_set(self, sop_instance_uid: str) -> bytes:
        """The data set last stored under a SOP Instance UID, byte for byte as it arrived.

        Parameters
        ----------
        sop_instance_uid
            Under which it was stored.

        Returns
        -------
        bytes
            Without preamble and File Meta Information.

        Raises
        ------
        KeyError
            It was not stored, or is no longer kept in memory.
        """
        return self._journal.data_set(sop_instance_uid)

    def datasets(self) -> dict[str, bytes]:
        """Every data set that is still kept, by SOP Instance UID, in the order of arrival."""
        return {uid: self._journal.data_set(uid) for uid in self._journal.stored_uids()}

    @property
    def events(self) -> list[Happening]:
        """The last ten thousand things that happened, oldest first; titles and UIDs, no patient data."""
        return self._journal.happenings

    def wait_for(self, what: What, *, times: int = 1, timeout_seconds: float = 5.0) -> None:
        """Return once `what` has happened `times` times since the receiver was made.

        Parameters
        ----------
        what
            The kind of event, as in `events`.
        times
            How often it is to have happened.
        timeout_seconds
            How long to wait at most.

        Raises
        ------
        TimeoutError
            It has not; the message says what has.
        """
        self._journal.wait_for(what, times=times, timeout_seconds=timeout_seconds)


class _Listener:
    """Accepts connections and gives each a thread, until it is stopped.

    A connection is waiting until it asks for an association, and is dropped when it waits longer than the
    ARTIM timer runs. When too many wait, or the system has no descriptor or thread left, the one that has
    waited longest goes: silent callers keep nobody out.
    """

    def __init__(self, host: str, port: int, service: Service, plan: FaultPlan, journal: Journal) -> None:
        self._service = service
        self._plan = plan
        self._journal = journal
        self._patience_seconds = min(_ARTIM_SECONDS, service.network_timeout_seconds)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: dict[Connection, threading.Thread] = {}
        self._associated: set[Connection] = set()
        self._waiting: dict[Connection, float] = {}  # since when; the oldest first
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=128)
        self._socket.setblocking(False)
        if any(isinstance(fault, StopReading) for fault in plan.faults):  # inherited by what is accepted
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        self.port: int = self._socket.getsockname()[1]
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, name="dicomkit-scp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopping.set()
        self._waker.send(b"\0")
        self._thread.join()
        for one in (self._selector, self._socket, self._wake, self._waker):
            one.close()
        with self._lock:
            remaining = dict(self._threads)
        for connection in remaining:
            connection.interrupt("the receiver stopped")
        for thread in remaining.values():
            if thread is not threading.current_thread():
                thread.join()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            ready = self._selector.select(self._seconds_until_due())
            if any(key.fileobj is self._socket for key, _ in ready) and not self._accept():
                self._stopping.wait(_NO_DESCRIPTOR_SECONDS)  # the socket stays ready all the while
            while self._seconds_until_due() == 0:
                self._drop_oldest(
                    f"said nothing for {self._patience_seconds:g} s that asks for an association"
                )

    def _seconds_until_due(self) -> float | None:
        """Until the one that has waited longest is to be dropped."""
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
        return None if oldest is None else max(oldest + self._patience_seconds - time.monotonic(), 0.0)

    def _accept(self) -> bool:
        """Let one in; False when there is no descriptor for it and nobody could give one up."""
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return True  # the peer has gone already
        except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM
            return self._drop_oldest("silent, and there was no descriptor left")
        try:
            sock.setblocking(True)
            if self._service.tls is not None:
                sock = self._service.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            connection = Connection(
                sock, self._service, self._plan, self._journal, self._enter, self._stopping
            )
        except OSError:  # the peer has gone already
            sock.close()
            return True
        if len(self._waiting) >= _MOST_WAITING:
            self._drop_oldest(f"silent for the longest of {_MOST_WAITING}")
        while not self._start(connection):
            if not self._drop_oldest("silent, and there was no thread left"):
                connection.interrupt("there was no thread left")
                connection.close()
                connection.note_closed()
                break
        return True

    def _start(self, connection: Connection) -> bool:
        """Give a connection its thread; False when the system has none."""
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="dicomkit-scp-connection", daemon=True
        )
        with self._lock:
            self._threads[connection] = thread
            self._waiting[connection] = time.monotonic()
            try:
                thread.start()
            except RuntimeError:
                del self._threads[connection], self._waiting[connection]
                return False
        return True

    def _drop_oldest(self, why: str) -> bool:
        """End the connection that has waited longest for its request; False when none does."""
        with self._lock:
            connection = next(iter(self._waiting), None)
            if connection is None:
                return False
            del self._waiting[connection]
            thread = self._threads[connection]
        connection.interrupt(why)
        thread.join()
        return True

    def _enter(self, connection: Connection) -> bool:
        """Count an association that is asked for; False when there are more than the service allows."""
        with self._lock:
            if self._waiting.pop(connection, None) is None:
                raise ConnectionAbortedError("it was dropped a moment ago")
            self._associated.add(connection)
            return len(self._associated) <= self._service.maximum_associations

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._waiting.pop(connection, None)
                self._associated.discard(connection)
            connection.note_closed()
            with self._lock:
                del self._threads[connection]
