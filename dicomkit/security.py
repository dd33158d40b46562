"""`TlsOptions` and `UserIdentity`: how an association is secured, and in whose name it is asked for.

They are given beside a setting and never become part of it, and no secret in them can be seen: not in a repr, not in
an error. `ssl` is imported when TLS is used, and not before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from dicomkit._support.frozen import Frozen
from dicomkit.errors import SecurityError, file_name, without_folder

if TYPE_CHECKING:
    import ssl

__all__ = ["TlsOptions", "UserIdentity", "TlsClient"]

File = str | os.PathLike[str]

# User-Identity-Type, PS3.7 Table D.3-14
USER: Final = 1
USER_AND_PASSCODE: Final = 2
JSON_WEB_TOKEN: Final = 5

# The user information item that holds an identity has a length of two bytes (PS3.8 Table 9-16), and a few hundred of
# them are for what else stands in it.
MAX_IDENTITY_BYTES = 0xFFFF - 512

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_TRUSTED_CERTIFICATE = b"-----BEGIN TRUSTED CERTIFICATE-----"
_PRIVATE_KEY = b"PRIVATE KEY-----"  # PKCS #8, and the older RSA and EC ones


class TlsClient(Frozen, hidden=("context", "has_certificate", "has_ca_file")):
    """What a requestor needs for its handshakes: made once of `TlsOptions`, used for every association."""

    context: ssl.SSLContext
    server_name: str  # what the peer's certificate must be made out to
    has_certificate: bool  # whether we can show one
    has_ca_file: bool  # whether the trusted CAs were given, rather than the system's


class TlsOptions(Frozen, kw_only=True):
    """TLS for an association (PS3.15 B.12 and BCP 195): TLS 1.2 and 1.3, certificate and host name verified.

    Verification cannot be turned off. A peer with a self-signed certificate is trusted by giving that certificate as
    `ca_file`.

    Parameters
    ----------
    ca_file : path, optional
        Certificates of the CAs that the peer's is checked against, PEM; None takes those that the system trusts. For
        a receiver: those of its callers, who then must have a certificate.
    cert_file, key_file : path, optional
        Our own certificate with what leads up to its CA, and its private key, PEM. Without `key_file` the key stands
        in `cert_file` too. A peer that asks for a client certificate needs them.
    key_password : str, optional
        Of an encrypted key. Never shown.
    server_name : str, optional
        The name that the peer's certificate is made out to, where that is not its host.
    minimum_version : {"1.2", "1.3"}
        The oldest version of TLS to be used.

    Raises
    ------
    SecurityError
        The options contradict each other. What is wrong with a file is raised when they are first used, before
        anything is sent.
    """

    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None
    key_password: str | None = None
    server_name: str | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"

    def __post_init__(self) -> None:
        for option in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, option)
            if path is not None and not (isinstance(path, str | os.PathLike) and os.fspath(path)):
                raise SecurityError(option, repr(path), "is no path; give the path of a PEM file")
        if self.cert_file is None and self.key_file is not None:
            what = "is a key without a certificate; give cert_file as well"
            raise SecurityError("key_file", str(self.key_file), what)
        if self.cert_file is None and self.key_password is not None:
            raise SecurityError("key_password", "", "has no key to open; give cert_file and key_file as well")
        if self.key_password is not None and not isinstance(self.key_password, str):
            raise SecurityError("key_password", "", "is not text")
        name = self.server_name
        if name is not None and (not isinstance(name, str) or not name or name[0] == "." or "\0" in name):
            raise SecurityError("server_name", repr(name), "is no host name; give the one in the certificate")
        if self.minimum_version not in ("1.2", "1.3"):
            what = "is not allowed; it takes '1.2' or '1.3' (BCP 195 forbids older ones)"
            raise SecurityError("minimum_version", repr(self.minimum_version), what)

    def __repr__(self) -> str:
        shown = [
            f"{option}={'<secret>' if option == 'key_password' else repr(value)}"
            for option in self.__slots__
            if (value := getattr(self, option)) is not None
        ]
        return f"TlsOptions({', '.join(shown)})"

    def for_client(self, host: str) -> TlsClient:
        """Read the files, for associations with a peer on `host`.

        Parameters
        ----------
        host
            As the setting names it; verified against the certificate unless there is a `server_name`.

        Returns
        -------
        TlsClient
            What the association needs to connect.

        Raises
        ------
        SecurityError
            A file cannot be read or is not what it should be, key and certificate do not belong together, or the
            password does not open the key; the message names the file.
        """
        import ssl

        context = self._context(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificate and host name
        if self.ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        name = self.server_name or host
        return TlsClient(context, name, self.cert_file is not None, self.ca_file is not None)

    def for_server(self) -> ssl.SSLContext:
        """Read the files, for a receiver; with `ca_file` it requires client certificates.

        Raises
        ------
        SecurityError
            As `for_client`, and when there is no `cert_file`.
        """
        import ssl

        if self.cert_file is None:
            raise SecurityError("cert_file", "", "is missing; a receiver with TLS needs it, and key_file")
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        if self.ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _context(self, protocol: int) -> ssl.SSLContext:
        import ssl

        context = ssl.SSLContext(protocol)
        versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        context.minimum_version = versions[self.minimum_version]
        # BCP 195 section 3.3 and 3.5: neither compression nor renegotiation.
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        # An end without close_notify is no fault: what is cut off shows in DICOM itself, as no release came.
        context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # from OpenSSL 3 on
        # A certificate that is given as trusted is trusted, whoever signed it.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        if self.ca_file is not None:
            _require_pem("ca_file", self.ca_file, (_CERTIFICATE, _TRUSTED_CERTIFICATE), "certificate")
            try:
                context.load_verify_locations(self.ca_file)
            except ssl.SSLError as error:
                what = f"holds a certificate that cannot be used ({_reason(error)}); get it anew"
                raise SecurityError("ca_file", str(self.ca_file), what) from error
        if self.cert_file is not None:
            self._load_own(context, self.cert_file)
        return context

    def _load_own(self, context: ssl.SSLContext, cert_file: File) -> None:
        import ssl

        key_option, key_file = ("key_file", self.key_file) if self.key_file else ("cert_file", cert_file)
        _require_pem("cert_file", cert_file, (_CERTIFICATE, _TRUSTED_CERTIFICATE), "certificate")
        _require_pem(key_option, key_file, (_PRIVATE_KEY,), "private key")
        is_asked = False

        def password() -> str:
            nonlocal is_asked
            is_asked = True
            return self.key_password or ""

        failure: Exception
        try:
            context.load_cert_chain(cert_file, key_file, password)
            return
        except (ssl.SSLError, ValueError, UnicodeError) as error:
            failure = error
        # Outside of the handler, since the error of a password that cannot be encoded holds the password.
        if is_asked and self.key_password is None:
            what = "is encrypted; give key_password"
        elif getattr(failure, "reason", None) == "KEY_VALUES_MISMATCH":
            what = f"is not the key of the certificate in {file_name(cert_file)}; give the one that was made with it"
        elif is_asked:
            what = "is encrypted, and key_password does not open it; give the right one"
        else:
            what = f"cannot be used with the certificate in {file_name(cert_file)} ({_reason(failure)}); get both anew"
        raise SecurityError(key_option, str(key_file), what)


class UserIdentity(Frozen):
    """In whose name an association is asked for, beside the AE titles (user identity negotiation, PS3.7 D.3.3.7).

    Give `user`, or `user` and `passcode`, or `json_web_token`. Passcode and token go over the network as they are,
    so use TLS with them.

    Parameters
    ----------
    user : str, optional
    passcode : str, optional
        Never shown.
    json_web_token : str, optional
        In its compact serialization (RFC 7519). Never shown.
    positive_response_requested : bool
        Whether the peer is to say that it took the identity. One that does not say so gets nothing, since a peer
        that knows nothing of user identities accepts all the same.

    Raises
    ------
    SecurityError
        None of the three combinations, or a value that cannot be sent.
    """

    user: str | None = None
    passcode: str | None = None
    json_web_token: str | None = None
    positive_response_requested: bool = False

    def __post_init__(self) -> None:
        if (self.user is None) == (self.json_web_token is None):
            raise SecurityError("identity", "", "takes either user or json_web_token")
        if self.passcode is not None and self.user is None:
            raise SecurityError("identity", "", "has a passcode without a user; give user as well")
        for option in ("user", "passcode", "json_web_token"):
            value = getattr(self, option)
            if value is not None and not (isinstance(value, str) and value and _is_encodable(value)):
                raise SecurityError("identity", "", f"has a {option} that is empty, or not text")
        if self.json_web_token is not None and not self.json_web_token.isascii():
            raise SecurityError("identity", "", "has a json_web_token with characters that none may have")
        size = len(self.primary) + len(self.secondary)
        if size > MAX_IDENTITY_BYTES:
            what = f"takes {size} bytes; an association request has room for {MAX_IDENTITY_BYTES}"
            raise SecurityError("identity", "", what)

    def __repr__(self) -> str:
        shown = [] if self.user is None else [f"user={self.user!r}"]
        shown += [
            f"{name}=<secret>" for name in ("passcode", "json_web_token") if getattr(self, name) is not None
        ]
        shown += ["positive_response_requested=True"] if self.positive_response_requested else []
        return f"UserIdentity({', '.join(shown)})"

    @property
    def kind(self) -> int:
        """User-Identity-Type, PS3.7 Table D.3-14."""
        if self.user is None:
            return JSON_WEB_TOKEN
        return USER if self.passcode is None else USER_AND_PASSCODE

    @property
    def kind_name(self) -> str:
        """``user``, ``user and passcode`` or ``JSON Web Token``."""
        return {USER: "user", USER_AND_PASSCODE: "user and passcode"}.get(self.kind, "JSON Web Token")

    @property
    def primary(self) -> bytes:
        """The primary field: the user in UTF-8, or the token."""
        return (self.json_web_token if self.user is None else self.user or "").encode()  # type: ignore[union-attr]

    @property
    def secondary(self) -> bytes:
        """The secondary field: the passcode in UTF-8; empty without one."""
        return (self.passcode or "").encode()


def _is_encodable(text: str) -> bool:
    """Whether text can be written as UTF-8; lone surrogates cannot."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def _require_pem(option: str, path: File, markers: tuple[bytes, ...], noun: str) -> None:
    """Say what is wrong with a file in better words than OpenSSL has."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        what = f"cannot be read ({error.strerror}); give the path of a PEM file"
        raise SecurityError(option, str(path), what) from without_folder(error)
    if any(marker in content for marker in markers):
        return
    if content[:1] == b"\x30":  # a SEQUENCE, as every certificate and key is in DER
        remedy = "it looks like DER; convert it with openssl (x509 or pkey, -inform DER)"
    else:
        remedy = f"its text would have a line with BEGIN and {noun.upper()}"
    raise SecurityError(option, str(path), f"holds no {noun} in PEM; {remedy}")


def _reason(error: Exception) -> str:
    """OpenSSL's own words, which never have a secret in them."""
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else "OpenSSL cannot read it"
