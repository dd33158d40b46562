"""Where an archive reports to: an acceptor of pynetdicom's for one SOP class, open for the length of a block."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from socketserver import BaseServer
from threading import Thread
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.transport import ThreadedAssociationServer

from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS
from dicomkit.dictionary.uids import VERIFICATION
from dicomkit.verification._scu import end_association, entity_of
from dicomkit.wire.socket import Peer

_POLL_SECONDS = 0.05  # how soon the accept loop notices that it is to stop


@contextmanager
def listening(
    host: str,
    port: int,
    peer: Peer,
    sop_class: str,
    handler: Callable[[Any], tuple[int, None]],
    *,
    others: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
    tls: ssl.SSLContext | None = None,
) -> Iterator[None]:
    """Take associations, and hand each N-EVENT-REPORT to a handler, in a thread of its own.

    The peer is who is expected: its title for us, and how long its messages may take. Others are answered too, since an
    archive may report in another name than it stores. Of the SOP class we are the SCU, and the peer proposes itself as
    its SCP (PS3.7 D.3.3.4). `others` are further events of pynetdicom, each with its handler. With `tls` associations
    are taken in no other way. Raises OSError, with what to do, when the port cannot be listened on.
    """
    entity = entity_of(peer)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = peer.timeout_seconds
    entity.add_supported_context(sop_class, scu_role=True, scp_role=True)
    entity.add_supported_context(VERIFICATION)
    handlers: list[Any] = [WITHOUT_SECRETS, (evt.EVT_N_EVENT_REPORT, handler), *others]
    try:
        server = entity.make_server(
            (host, port), ssl_context=tls, evt_handlers=handlers, server_class=_Server
        )
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot listen on {host}:{port} for reports of storage commitment ({error.strerror}); give another "
            "listen_host or listen_port, where the archive knows us",
        ) from error
    thread = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="dicomkit-reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        BaseServer.shutdown(server)  # its own shutdown() expects to have been made by start_server()
        thread.join()
        server.server_close()
        for association in entity.active_associations:
            if association.requestor.primitive is None:
                # It waits for a request, for as long as the ACSE timeout: anything in its queue ends that.
                association.is_aborted = True
                association.dul.to_user_queue.put(A_ABORT())
            end_association(association, releases=False)


class _Server(ThreadedAssociationServer):
    """Does the handshake of TLS on the thread of its caller.

    pynetdicom's own does it in its accept loop, where one silent caller would keep out all others.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._in_handshake: set[socket.socket] = set()
        super().__init__(*arguments, **options)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        if self.ssl_context is None:
            return super().get_request()
        sock, address = cast(socket.socket, self.socket).accept()
        sock.settimeout(self.ae.acse_timeout)  # for each step of the handshake
        request = self.ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._in_handshake.add(request)
        return request, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.ssl_context is not None:
            try:
                request.do_handshake()
                request.settimeout(None)
            except OSError:  # the caller has learned why from TLS
                self.shutdown_request(request)
                return
            finally:
                self._in_handshake.discard(request)
        super().finish_request(request, client_address)

    def server_close(self) -> None:
        for request in list(self._in_handshake):
            with suppress(OSError):  # closed already
                # The plain one, since that of an SSLSocket takes TLS away under the thread that reads.
                socket.socket.shutdown(request, socket.SHUT_RDWR)
        super().server_close()
