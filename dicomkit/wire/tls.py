"""TLS beneath an association: a socket that shakes hands step by step, and says in words why it cannot.

Strategy: the socket stays non-blocking, and whatever TLS waits for is `BlockingIOError`, as with a plain one; every
other failure becomes a `TlsFailure` that names the check and the remedy. Loaded only when TLS is used.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from contextlib import suppress
from typing import Literal

from dicomkit.errors import TlsFailure
from dicomkit.security import TlsClient
from dicomkit.wire.pdu import looks_like

__all__ = ["TlsSocket", "MAX_RECORD"]

MAX_RECORD = 1 << 14  # the longest plaintext of a record, RFC 8446 section 5.1

# The first byte of what a TLS server may send: alert or handshake, RFC 8446 section 5.1
_ALERT_RECORD, _HANDSHAKE_RECORD = 0x15, 0x16

# X509_V_ERR_ codes of OpenSSL, which `SSLCertVerificationError.verify_code` carries
_UNKNOWN_ISSUER = frozenset({2, 19, 20, 21})
_OTHER_HOST, _OTHER_ADDRESS = 62, 64
_OTHER_NAME = (
    "use the name that it is made out to as RemoteHost, or give that name (server_name, --server-name)"
)
_VERDICTS = {
    9: ("is not valid yet", "check the clock of this machine, and the peer's"),
    10: ("has expired", "have it renewed, and check the clock of this machine"),
    18: (
        "is self-signed and not known to us",
        "if its administrator confirms that it is the peer's own, give it as trusted (ca_file, --ca)",
    ),
    23: ("was revoked", "have another one issued for the peer"),
    _OTHER_HOST: ("is made out to another name", _OTHER_NAME),
    _OTHER_ADDRESS: ("is made out to another address", _OTHER_NAME),
}

# What OpenSSL, of several versions, says of bytes that are no record
_NOT_TLS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "UNKNOWN_PROTOCOL",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    }
)

_GIVE_CERTIFICATE = "give ours and its key (cert_file and key_file, --cert and --key)"

# Alerts upon which a certificate of ours was found wanting (RFC 8446 section 6.2), and what to do about each
_ALERTS_ON_CERTIFICATE = {
    "UNKNOWN_CA": "have the CA that signed it added to those that the peer trusts",
    "CERTIFICATE_EXPIRED": "have it renewed",
    "CERTIFICATE_REVOKED": "have another one issued",
    "BAD_CERTIFICATE": "the peer's log says why",
    "CERTIFICATE_UNKNOWN": "the peer's log says why",
    "UNSUPPORTED_CERTIFICATE": "have one issued for client authentication, with an RSA key",
    "ACCESS_DENIED": "have it entered at the peer as one that may connect",
    "DECRYPT_ERROR": "check that the key belongs to it",
}


class TlsSocket:
    """A connection under TLS, with as much of a socket's face as an association needs.

    Takes the connected, non-blocking socket over. It is ready once `shake_hands` has returned an empty string.

    Raises
    ------
    TlsFailure
        The peer's name cannot stand in a certificate.
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
            raise TlsFailure(
                f"no certificate can be made out to {client.server_name!r}; give the name that it is made out to "
                "(server_name, --server-name)"
            ) from error

    @property
    def version(self) -> str:
        """``TLSv1.2`` or ``TLSv1.3``."""
        return self._sock.version() or ""

    def shake_hands(self) -> Literal["", "read", "write"]:
        """Go on with the handshake; what it waits for, or an empty string when it is done.

        Raises
        ------
        TlsFailure
        """
        if not self._has_answered:
            self._look_at_answer()
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return "read"
        except ssl.SSLWantWriteError:
            return "write"
        except ssl.SSLCertVerificationError as error:
            raise self._distrust(error) from error
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
            return self._sock.send(data[:MAX_RECORD])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _reset() from error
        except ssl.SSLError as error:
            raise self._failure(error) from error

    def recv(self, size: int) -> bytes:
        """As `socket.recv`; an end without TLS's own goodbye (close_notify) is an end all the same."""
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
        """Say goodbye (close_notify, RFC 8446 section 6.1) without waiting for an answer, and close."""
        with suppress(OSError, ValueError):
            self._sock.settimeout(0)
            self._sock.unwrap()
        self._sock.close()

    # ------------------------------------------------------------------------------------------ failures in words

    def _distrust(self, error: ssl.SSLCertVerificationError) -> TlsFailure:
        """Which check the peer's certificate did not pass."""
        client, code = self._client, error.verify_code
        what, remedy = _VERDICTS.get(
            code,
            (f"does not pass verification ({error.verify_message})", "have another one issued for the peer"),
        )
        if code in _UNKNOWN_ISSUER:
            what = "is from a CA that we do not know"
            remedy = (
                "the CA's certificate in ca_file (--ca) is another one, or the peer keeps back one in between"
                if client.has_ca_file
                else "give the CA's certificate (ca_file, --ca)"
            )
        elif code in (_OTHER_HOST, _OTHER_ADDRESS):
            what = f"{what} than {client.server_name!r}"
        return TlsFailure(f"its certificate {what}; {remedy}")

    def _failure(self, error: ssl.SSLError) -> TlsFailure:
        """What TLS itself complained of, on either side."""
        reason = str(getattr(error, "reason", None) or "")
        has_certificate = self._client.has_certificate
        alert = match[1] if (match := re.search(r"ALERT_(\w+)$", reason)) else ""
        if alert == "CERTIFICATE_REQUIRED" or (alert in _ALERTS_ON_CERTIFICATE and not has_certificate):
            return TlsFailure(f"it requires a client certificate ({_words(alert)}); {_GIVE_CERTIFICATE}")
        if alert in _ALERTS_ON_CERTIFICATE:
            return TlsFailure(
                f"it refused our client certificate ({_words(alert)}); {_ALERTS_ON_CERTIFICATE[alert]}"
            )
        if alert == "HANDSHAKE_FAILURE":
            wanted = (
                "another client certificate"
                if has_certificate
                else f"a client certificate: {_GIVE_CERTIFICATE}"
            )
            return TlsFailure(
                f"it broke the handshake off (handshake failure); it may require {wanted}, or share no cipher suite "
                "with us: its log says why"
            )
        if alert == "PROTOCOL_VERSION" or reason in ("UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"):
            oldest = {ssl.TLSVersion.TLSv1_3: "TLS 1.3"}.get(self._client.context.minimum_version, "TLS 1.2")
            return TlsFailure(f"it does not speak {oldest} or later; have that enabled at the peer")
        if reason in _NOT_TLS:
            return _not_tls("something else")
        if alert == "UNRECOGNIZED_NAME":
            return TlsFailure(
                f"it does not answer to {self._client.server_name!r}; give its name (server_name, --server-name)"
            )
        who = "it ended TLS with an alert" if alert else "TLS failed"
        what = _words(alert or reason) or error.strerror or type(error).__name__
        return TlsFailure(f"{who} ({what}); the peer's log says why", may_pass=True)


def _not_tls(what: str) -> TlsFailure:
    return TlsFailure(
        f"it answered TLS with {what}: it does not speak TLS at this port; check RemotePort, or leave TLS out"
    )


def _reset() -> ConnectionResetError:
    """What several versions of `ssl` do not tell from an end: the system's own error, or a write after one."""
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _closed() -> TlsFailure:
    return TlsFailure(
        "it closed the connection during the TLS handshake; it may speak DICOM without TLS at this port: check "
        "RemotePort, or leave TLS out",
        may_pass=True,
    )


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
