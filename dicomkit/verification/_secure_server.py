"""pynetdicom's acceptor under TLS, with the handshake on the thread of its caller.

pynetdicom's own shakes hands in its accept loop, where one silent caller would keep out all others. Loaded only when
TLS is used.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any, cast

from pynetdicom.transport import ThreadedAssociationServer

__all__ = ["secure_server"]


def secure_server(context: ssl.SSLContext, timeout_seconds: float) -> type[ThreadedAssociationServer]:
    """The class of an acceptor under TLS, for `AE.make_server`.

    Parameters
    ----------
    timeout_seconds
        How long a caller may take for each step of the handshake.
    """

    class SecureServer(ThreadedAssociationServer):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._shaking: set[ssl.SSLSocket] = set()
            super().__init__(*arguments, **options)

        def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
            sock, address = cast(socket.socket, self.socket).accept()
            sock.settimeout(timeout_seconds)
            return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

        def finish_request(self, request: Any, client_address: Any) -> None:
            self._shaking.add(request)
            try:
                request.do_handshake()
                request.settimeout(None)
            except OSError:  # TLS has told the caller why
                self.shutdown_request(request)
                return
            finally:
                self._shaking.discard(request)
            super().finish_request(request, client_address)

        def server_close(self) -> None:
            super().server_close()
            for request in list(self._shaking):
                with suppress(OSError):  # closed already
                    # The plain one, since that of an SSLSocket takes TLS away under the thread that reads.
                    socket.socket.shutdown(request, socket.SHUT_RDWR)

    return SecureServer
