"""Where an archive reports to: an acceptor of pynetdicom's for one SOP class, open for the length of a block."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dicomkit.dictionary.uids import VERIFICATION
from dicomkit.verification._scu import hang_up
from dicomkit.wire.pdu import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    import ssl

    from dicomkit.wire.socket import Peer

__all__ = ["Listener"]

_POLL_SECONDS = 0.05  # how soon the accept loop notices that it is to stop


class Listener:
    """Takes associations, and hands each N-EVENT-REPORT to a handler, in a thread of its own.

    Parameters
    ----------
    host, port : str, int
        Where to listen.
    peer : Peer
        Who is expected: its title for us, and how long its messages may take. Others are answered too, since an
        archive may report in another name than it stores.
    sop_class : str
        UID of the SOP class whose SCU we are; the peer proposes itself as its SCP (PS3.7 D.3.3.4).
    handler : callable
        Takes the event, returns a status and the reply.
    others : sequence
        Further events of pynetdicom, each with its handler.
    tls : ssl.SSLContext, optional
        Associations are taken under TLS, and in no other way.

    Raises
    ------
    OSError
        The port cannot be listened on; with what to do.
    """

    def __init__(
        self,
        host: str,
        port: int,
        peer: Peer,
        sop_class: str,
        handler: Callable[[Any], tuple[int, None]],
        *,
        others: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        from pynetdicom import AE, evt
        from pynetdicom.transport import ThreadedAssociationServer

        from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS

        server_class = ThreadedAssociationServer
        if tls is not None:
            from dicomkit.verification._secure_server import secure_server

            server_class = secure_server(tls, peer.timeout_seconds)
        self._entity = AE(peer.calling_aet)
        self._entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self._entity.acse_timeout = self._entity.dimse_timeout = peer.timeout_seconds
        self._entity.network_timeout = peer.timeout_seconds
        self._entity.add_supported_context(sop_class, scu_role=True, scp_role=True)
        self._entity.add_supported_context(VERIFICATION)
        try:
            self._server = self._entity.make_server(
                (host, port),
                evt_handlers=[WITHOUT_SECRETS, (evt.EVT_N_EVENT_REPORT, handler), *others],
                server_class=server_class,
            )
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot listen on {host}:{port} for reports of storage commitment ({error.strerror}); give another "
                "listen_host or listen_port, where the archive knows us",
            ) from error
        self._thread = Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="dicomkit-reports", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from socketserver import BaseServer

        from pynetdicom.pdu_primitives import A_ABORT

        BaseServer.shutdown(self._server)  # its own shutdown() expects to have been made by start_server()
        self._thread.join()
        self._server.server_close()
        for association in self._entity.active_associations:
            if association.requestor.primitive is None:
                # It waits for a request, for as long as the ACSE timeout: anything in its queue ends that.
                association.is_aborted = True
                association.dul.to_user_queue.put(A_ABORT())
            transport = association.dul.socket
            if transport is not None and transport.socket is not None:
                with suppress(OSError):  # closed already
                    transport.socket.shutdown(socket.SHUT_RDWR)
            hang_up(association)
