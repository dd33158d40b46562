"""TLS under an association: a socket that shakes hands step by step, and knows which check failed.

The socket stays non-blocking, and whatever TLS waits for is `BlockingIOError`, as with a plain one; every other
failure becomes a `TlsFailure`. Loaded only when TLS is used.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import Literal

from dicomkit.errors import ConnectionFailed, Interrupted, PeerTimedOut, TlsFailure
from dicomkit.security import TlsClient
from dicomkit.wire.pdu import looks_like
from dicomkit.wire.socket import READ, TLS_RECORD_BYTES, WRITE, Interrupt, Peer, Poller

__all__ = ["TlsSocket", "insecure", "secured"]

PHASE = "TLS handshake"

# The first byte of what a TLS server may send: alert or handshake, RFC 8446 section 5.1
_ALERT_RECORD, _HANDSHAKE_RECORD = 0x15, 0x16

# X509_V_ERR_ codes of OpenSSL, which `SSLCertVerificationError.verify_code` carries
_VERDICTS = {
    **dict.fromkeys((2, 19, 20, 21), "is from a CA that we do not know"),
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed and not known to us",
    23: "was revoked",
    62: "is made out to another name",
    64: "is made out to another address",
}
_OTHER_NAME, _OTHER_ADDRESS = 62, 64

# What OpenSSL, of several versions, says of bytes that are no record
_NOT_TLS = "WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE"
# Alerts of a peer that does not accept our certificate, or has none of ours, RFC 8446 section 6.2
_ON_CERTIFICATE = r"\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR"


def secured(sock: socket.socket, peer: Peer, client: TlsClient, interrupt: Interrupt | None) -> TlsSocket:
    """The socket under TLS, its handshake done; a phase with a deadline of its own."""
    deadline = monotonic() + peer.timeout_seconds
    try:
        secured = TlsSocket(sock, client)
    except TlsFailure as error:
        sock.close()
        raise insecure(error, peer) from error
    poller = Poller(secured, interrupt)
    try:
        while needed := secured.shake_hands():
            ready = poller.wait(READ if needed == "read" else WRITE, max(deadline - monotonic(), 0))
            if ready < 0:
                raise Interrupted(f"cancelled by us during the {PHASE}", phase=PHASE)
            if not ready or monotonic() > deadline:  # trickled bytes do not extend it
                raise PeerTimedOut(
                    f"timed out: {peer} did not finish the {PHASE} within {peer.timeout_seconds:g} s",
                    phase=PHASE,
                )
    except TlsFailure as error:
        secured.close()
        raise insecure(error, peer) from error
    except BaseException:
        secured.close()
        raise
    return secured


def insecure(error: TlsFailure, peer: Peer) -> ConnectionFailed:
    """What failed under TLS, as the connection that did not come about."""
    return ConnectionFailed(f"no TLS connection to {peer}: {error}", phase=PHASE, tls=error)


class TlsSocket:
    """A connection under TLS, as an association needs it, ready once `shake_hands` has returned an empty
    string.
    """

    def __init__(self, sock: socket.socket, client: TlsClient) -> None:
        self._client = client
        self._has_answered = False
        try:
            # On its own first, since a name that does not do leaves the socket neither here nor there.
            client.context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=client.server_name)
            self._sock = client.context.wrap_socket(
                sock,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # for then a reset looks like an end
                server_hostname=client.server_name,
            )
        except OSError as error:
            raise _closed() from error
        except ValueError as error:  # UnicodeError among them
            raise TlsFailure(f"no certificate can be made out to {client.server_name!r}", "name") from error

    @property
    def version(self) -> str:
        """``TLSv1.2`` or ``TLSv1.3``."""
        return self._sock.version() or ""

    def shake_hands(self) -> Literal["", "read", "write"]:
        """Go on with the handshake; what it waits for, or an empty string when it is done."""
        if not self._has_answered:
            self._look_at_answer()
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return "read"
        except ssl.SSLWantWriteError:
            return "write"
        except ssl.SSLCertVerificationError as error:
            code = error.verify_code
            what = _VERDICTS.get(code, f"does not pass verification ({error.verify_message})")
            if code in (_OTHER_NAME, _OTHER_ADDRESS):
                what += f" than {self._client.server_name!r}"
            raise TlsFailure(f"its certificate {what}", "certificate", verify_code=code) from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _closed() from error
        except ssl.SSLError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise _closed() from error
        return ""

    def _look_at_answer(self) -> None:
        """See what the first bytes of the peer are, unless OpenSSL is faster and complains of them."""
        try:
            start = socket.socket.recv(self._sock, 5, socket.MSG_PEEK)
        except OSError:  # nothing so far, or nothing at all, which the handshake tells
            return
        if not start:
            return
        self._has_answered = True
        if start[0] not in (_ALERT_RECORD, _HANDSHAKE_RECORD):
            raise _not_tls(looks_like(start))

    # ------------------------------------------------------------------------------------------ as a socket

    def send(self, data: memoryview | bytes) -> int:
        """As `socket.send`, a record at most.

        After a `BlockingIOError` a record is under way: what is sent next must begin with it, and be as long at least.
        """
        try:
            return self._sock.send(data[:TLS_RECORD_BYTES])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _reset() from error
        except ssl.SSLError as error:
            raise self._failure(error) from error

    def recv(self, size: int) -> bytes:
        """As `socket.recv`; an end without close_notify is an end all the same."""
        try:
            return self._sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLEOFError as error:
            raise _reset() from error
        except ssl.SSLError as error:
            raise self._failure(error) from error

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._sock.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return self._sock.getsockopt(level, option, size)

    def close(self) -> None:
        """Send close_notify (RFC 8446 section 6.1), and close without waiting for an answer."""
        with suppress(OSError, ValueError):
            self._sock.settimeout(0)
            self._sock.unwrap()
        self._sock.close()

    def _failure(self, error: ssl.SSLError) -> TlsFailure:
        """What TLS itself complained of, on either side."""
        reason = str(getattr(error, "reason", None) or "")
        alert = match[1] if (match := re.search(r"ALERT_(\w+)$", reason)) else ""
        what = (alert or reason).lower().replace("_", " ") or error.strerror or type(error).__name__
        is_on_certificate = re.fullmatch(_ON_CERTIFICATE, alert)
        if alert == "CERTIFICATE_REQUIRED" or (is_on_certificate and not self._client.has_certificate):
            message, fault = f"it requires a client certificate ({what})", "no certificate of ours"
        elif is_on_certificate:
            message, fault = f"it refused our client certificate ({what})", "our certificate"
        elif alert == "HANDSHAKE_FAILURE":
            message, fault = f"it broke the handshake off ({what})", "handshake"
        elif alert == "PROTOCOL_VERSION" or reason in ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"):
            is_1_3 = self._client.context.minimum_version is ssl.TLSVersion.TLSv1_3
            message, fault = f"it does not speak TLS {'1.3' if is_1_3 else '1.2'} or later", "version"
        elif re.fullmatch(_NOT_TLS, reason):
            return _not_tls("something else")
        elif alert == "UNRECOGNIZED_NAME":
            message, fault = f"it does not answer to {self._client.server_name!r}", "unknown name"
        else:
            message, fault = f"{'it ended TLS with an alert' if alert else 'TLS failed'} ({what})", ""
        return TlsFailure(message, fault, alert=alert, may_pass=not fault)


def _not_tls(what: str) -> TlsFailure:
    return TlsFailure(f"it answered TLS with {what}: it does not speak TLS at this port", "not TLS")


def _reset() -> ConnectionResetError:
    """What several versions of `ssl` do not tell from an end: the system's own error, or a write after one."""
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _closed() -> TlsFailure:
    return TlsFailure(f"it closed the connection during the {PHASE}", "closed", may_pass=True)
