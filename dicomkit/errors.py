"""The exceptions of dicomkit, in one hierarchy; `SendError` stands beside the row that it carries.

An error says who (the field, file or peer), what (the value, the phase) and what to do next; those of the wire leave
the last to `dicomkit.sending`, and carry the facts that it takes. Messages end up in logs, and people give folders the
names of patients: a file is called by its own name alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dicomkit._support.frozen import Frozen

if TYPE_CHECKING:
    from pathlib import Path


__all__ = [
    "DicomkitError",
    "Picklable",
    "Problem",
    "SettingError",
    "UnreadableError",
    "MissingExtraError",
    "NotConverted",
    "LedgerError",
    "SecurityError",
    "WireError",
    "ConnectionFailed",
    "TlsFailure",
    "AssociationRejected",
    "IdentityNotConfirmed",
    "AssociationAborted",
    "PeerTimedOut",
    "Interrupted",
    "ProtocolError",
    "file_name",
    "without_comment",
    "without_folder",
]

# Where the Error Comment of a peer begins in a `detail`.
PEER_SAYS = "; the peer says: "

Severity = Literal["error", "warning", "info"]


class Problem(Frozen):
    """What is wrong with, or will surprise in, one field of a setting.

    Attributes
    ----------
    severity : {"error", "warning", "info"}
        An error cannot be used; a warning can, and will surprise; an info is worth knowing.
    field : str
        The JSON name of the field.
    message : str
        What is the matter, with the value.
    remedy : str
        What to do about it.
    """

    severity: Severity
    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        # JSON can say a lone surrogate in a name, which nothing can print.
        field = self.field.encode("utf-8", "backslashreplace").decode()
        return f"{field}: {self.message}; {self.remedy}"


class Picklable:
    """What an exception of ours is besides, so that it leaves a process pool, and is copied, with text and fields.

    Python would call the class again with `args`, which is the finished text and not what the class takes.
    """

    def __reduce__(self) -> tuple[object, ...]:
        assert isinstance(self, BaseException)
        return _restored, (type(self), self.args), self.__dict__ or None


def _restored(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """An exception that says `args`; its fields follow."""
    error = kind.__new__(kind, *args)
    # Python's own class among its bases keeps more than `args`: the `msg` of an ImportError.
    of_python = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    of_python.__init__(error, *args)  # type: ignore[misc]
    return error


class DicomkitError(Picklable, Exception):
    """The base of everything that dicomkit raises on purpose."""


class SettingError(DicomkitError, ValueError):
    """A setting that cannot be built; `problems` has one entry for each fault."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnreadableError(DicomkitError):
    """A source that holds no instance which could be sent; the message names it and the reason."""


class NotConverted(UnreadableError):
    """It could not be brought into another transfer syntax; the message says why and what would help."""


class MissingExtraError(DicomkitError, ImportError):
    """Something needs a package that is not installed; the message has the command that installs it."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{purpose} needs {package}; install it with: pip install 'dicomkit[{extra}]'")


class LedgerError(DicomkitError):
    """A ledger that cannot be read or written; `path` is the file, and `reason` says why and what to do."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"ledger {file_name(path)}: {reason}")


class SecurityError(DicomkitError, ValueError):
    """TLS options or a user identity that cannot be used.

    Attributes
    ----------
    option : str
        ``ca_file``, say.
    value : str
        What was given, a file for the most part; empty for a secret.
    reason : str
        What is wrong with it, and what to do.
    """

    def __init__(self, option: str, value: str, reason: str) -> None:
        self.option = option
        self.value = value
        self.reason = reason
        shown = file_name(value) if option.endswith("_file") else value
        super().__init__(f"{option}{f' {shown}' if shown else ''}: {reason}")


class WireError(DicomkitError):
    """Something ended an association, or kept one from being opened. It has facts; `dicomkit.sending` says what to do.

    Attributes
    ----------
    phase : str
        What was under way: ``connect``, ``the response to our request``; empty where that does not matter.
    may_be_stored : bool
        True once the last byte of an instance was handed over: the peer may have stored it, though no response came.
    ended_request : bool
        True when the peer aborted or closed instead of answering our association request.
    """

    def __init__(
        self, message: str, *, phase: str = "", may_be_stored: bool = False, ended_request: bool = False
    ) -> None:
        self.phase = phase
        self.may_be_stored = may_be_stored
        self.ended_request = ended_request
        super().__init__(message)

    @property
    def may_be_for_contexts(self) -> bool:
        """Whether another, or a shorter, proposal of presentation contexts may end otherwise."""
        return self.ended_request


class ConnectionFailed(WireError):
    """No association came about for a reason below DICOM: name, TCP, TLS, or something that is no SCP.

    Attributes
    ----------
    errno : int or None
        What the operating system, or its name service, reported.
    is_shortage : bool
        Whether it is for want of file descriptors on our side, so that the peer was not asked.
    received : str
        What came where a DICOM PDU was due: ``TLS``, ``HTTP``, ``an A-RELEASE-RP``; empty when nothing did.
    tls : TlsFailure or None
        What failed under TLS.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str = "",
        errno: int | None = None,
        is_shortage: bool = False,
        received: str = "",
        tls: TlsFailure | None = None,
        ended_request: bool = False,
    ) -> None:
        self.errno = errno
        self.is_shortage = is_shortage
        self.received = received
        self.tls = tls
        super().__init__(message, phase=phase, ended_request=ended_request)

    @property
    def may_pass(self) -> bool:
        """Whether trying again may help; False for a certificate, say, that does not become valid by it."""
        return self.tls is None or self.tls.may_pass

    @property
    def is_definite(self) -> bool:
        """Whether it is an answer rather than a silence: nothing listens there, no way leads there, no such name."""
        import errno
        import socket

        if (
            self.phase == "name resolution"
        ):  # and not: its server did not answer, or we had no memory to ask it
            return self.errno not in (
                socket.EAI_AGAIN,
                socket.EAI_MEMORY,
                getattr(socket, "EAI_SYSTEM", socket.EAI_AGAIN),
            )
        return self.phase == "connect" and self.errno in (
            errno.ECONNREFUSED,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            # As Windows numbers them.
            getattr(errno, "WSAEHOSTUNREACH", errno.EHOSTUNREACH),
            getattr(errno, "WSAENETUNREACH", errno.ENETUNREACH),
        )


class TlsFailure(Picklable, OSError):
    """TLS failed under an association; the message says which check.

    Attributes
    ----------
    fault : str
        ``name`` (none that a certificate can have), ``certificate`` (the peer's), ``no certificate of ours``,
        ``our certificate``, ``handshake``, ``version``, ``not TLS``, ``unknown name``, ``closed``; or empty.
    verify_code : int
        Of OpenSSL (X509_V_ERR_...), where it is the peer's certificate; else 0.
    alert : str
        The alert that the peer sent (RFC 8446 section 6), ``UNKNOWN_CA``; empty without one.
    may_pass : bool
        Whether trying again may help.
    """

    def __init__(
        self, message: str, fault: str = "", *, verify_code: int = 0, alert: str = "", may_pass: bool = False
    ) -> None:
        self.fault = fault
        self.verify_code = verify_code
        self.alert = alert
        self.may_pass = may_pass
        super().__init__(message)


class AssociationRejected(WireError):
    """The peer answered A-ASSOCIATE-RJ (PS3.8 section 9.3.4).

    Attributes
    ----------
    result, source, reason : int
        As on the wire; PS3.8 Table 9-21.
    proposed : tuple of (str, tuple of str)
        The presentation contexts that were proposed: SOP class, and transfer syntaxes.
    """

    def __init__(
        self,
        message: str,
        *,
        result: int,
        source: int,
        reason: int,
        proposed: tuple[tuple[str, tuple[str, ...]], ...] = (),
    ) -> None:
        self.result = result
        self.source = source
        self.reason = reason
        self.proposed = proposed
        super().__init__(message)

    @property
    def may_pass(self) -> bool:
        """Whether trying again may help.

        A transient result (2), or congestion (1) or a local limit (2) reported by the provider's
        presentation-related function (source 3), whatever the result field says.
        """
        return self.result == 2 or (self.source == 3 and self.reason in (1, 2))

    @property
    def may_be_for_contexts(self) -> bool:
        """Whether another proposal of presentation contexts may be accepted (PS3.8 Table 9-21).

        A peer that can take none of the contexts says no more than "no reason given" (1), one that is offered too
        many may call it a local limit (source 3, reason 2), and what the table does not define may mean anything. Not
        so an application context name or a protocol version (2), a calling (3) or a called AE title (7), whichever
        source they come from, nor what is transient.
        """
        if self.source == 3 and self.reason == 2:
            return True
        return not self.may_pass and self.reason not in (2, 3, 7)


class IdentityNotConfirmed(AssociationRejected):
    """The peer accepted without confirming the user identity as it was asked to, so we sent nothing (PS3.7 D.3.3.7)."""

    @property
    def may_be_for_contexts(self) -> bool:
        """No: the contexts were accepted."""
        return False


class AssociationAborted(WireError):
    """An established association ended before its time: A-ABORT, a reset, a close.

    Attributes
    ----------
    source, reason : int or None
        Of an A-ABORT, as on the wire; PS3.8 Table 9-26.
    """

    source: int | None = None
    reason: int | None = None


class ProtocolError(AssociationAborted):
    """The peer sent what PS3.7 or PS3.8 do not allow; we answered with A-ABORT.

    Attributes
    ----------
    received : str
        What came where a DICOM PDU was due: ``TLS``, ``HTTP``; empty when it was a PDU.
    may_pass : bool
        Whether trying again may help; False for a response after which the data set never came that it announced.
    """

    received: str = ""
    may_pass: bool = True


class PeerTimedOut(WireError):
    """A deadline passed; `phase` names what was being waited for."""


class Interrupted(WireError):
    """We ended it ourselves, because the user cancelled."""


def file_name(path: object) -> str:
    """Return what an error calls a file: the last part of its path, whichever slashes it has."""
    text = str(path)
    return text.replace("\\", "/").rstrip("/").rpartition("/")[2] or text


def without_comment(detail: str) -> str:
    """Return the `detail` of a row without the peer's Error Comment, which may name a patient."""
    return detail.partition(PEER_SAYS)[0]


def without_folder(error: OSError) -> OSError:
    """Return an error of the operating system's, which now names the file and not its folder."""
    if error.filename is not None:
        error.filename = file_name(error.filename)
    if error.filename2 is not None:
        error.filename2 = file_name(error.filename2)
    return error
