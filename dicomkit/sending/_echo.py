"""`echo`: does the peer answer, and does it take our calls."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dicomkit.dictionary.statuses import SUCCESS, status_advice
from dicomkit.dictionary.uids import IMPLICIT_LE, VERIFICATION
from dicomkit.errors import WireError
from dicomkit.results import Outcome, SendResult
from dicomkit.sending._peer import peer_of, why_not
from dicomkit.sending._remedies import explained
from dicomkit.sending._rows import RowMaker, new_batch_id
from dicomkit.wire.association import Association
from dicomkit.wire.pdu import ProposedContext
from dicomkit.wire.socket import Interrupt, Peer

if TYPE_CHECKING:
    from dicomkit.messages import TextMessage
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting


class EchoResult(SendResult):
    """The row of a C-ECHO: a `SendResult` without an instance; ``stored`` stands for status 0x0000."""

    @property
    def response(self) -> TextMessage | None:
        """A text message saying that the peer answered, or None when it did not."""
        if self.status != SUCCESS:
            return None
        from dicomkit.messages import TextMessage

        return TextMessage(f"C-ECHO to {self.called_aet} at {self.host}:{self.port}: 0x0000 Success")

    @property
    def _outcome_words(self) -> str:
        return "answered" if self.outcome is Outcome.STORED else super()._outcome_words


def echo(
    setting: DicomSenderSetting, *, tls: TlsOptions | None = None, identity: UserIdentity | None = None
) -> EchoResult:
    """Ask the peer whether it is there, by C-ECHO (PS3.4 Annex A), over an association of its own.

    Ctrl-C, or an interrupt of the kernel, aborts it and is raised.

    Parameters
    ----------
    setting
        The peer, in whose name it is asked, and how long each phase may take.
    tls, identity
        As for `send`.

    Returns
    -------
    EchoResult
        With the columns of a send: `outcome` is ``stored`` when the peer answered 0x0000, and otherwise what it
        would be for a send; `detail` is a sentence. A disabled setting is echoed all the same.

    Raises
    ------
    SecurityError
        A file of `tls` cannot be used.
    """
    return echo_until(None, setting, tls=tls, identity=identity)


def echo_until(
    interrupt: Interrupt | None,
    setting: DicomSenderSetting,
    *,
    tls: TlsOptions | None,
    identity: UserIdentity | None,
) -> EchoResult:
    """Do what `echo` does; once the interrupt is set, its outcome is ``cancelled``."""
    peer = peer_of(setting, tls, identity)
    refusal = why_not(setting.replace(disabled=False) if setting.disabled else setting)
    if refusal is not None:
        return _echo_row(peer, *refusal)
    started_at, start = datetime.now(UTC), perf_counter()
    status = response_ms = None
    try:
        verification = ProposedContext(1, VERIFICATION, (IMPLICIT_LE,))
        association = Association.open(peer, [verification], interrupt=interrupt)
        try:
            context_id = association.context_for(VERIFICATION, IMPLICIT_LE)
            if context_id is None:
                outcome = Outcome.NOT_ACCEPTED
                detail = f"{peer} accepts associations, but not the Verification SOP class; it may store all the same"
            else:
                response = association.echo(context_id)
                status = response.status
                response_ms = 1e3 * (association.answered_at - association.sent_at)
                outcome, detail = _answer(status, association, response_ms)
            association.end()
        finally:
            association.abort()
    except WireError as error:
        outcome, detail = Outcome.of_error(error), explained(error, peer)
    return _echo_row(
        peer,
        outcome,
        detail,
        status=status,
        association=1,
        started_at=started_at,
        duration_ms=1e3 * (perf_counter() - start),
        response_ms=response_ms,
    )


def _answer(status: int, association: Association, response_ms: float) -> tuple[Outcome, str]:
    peer = association.peer
    if status != SUCCESS:
        return Outcome.of_status(status), status_advice(status)
    version = association.peer_implementation_version
    under = f" under {association.tls_version}" if association.tls_version else ""
    confirmed = ", and confirms the user identity" if association.identity_confirmed else ""
    return Outcome.STORED, (
        f"{peer.called_aet!r} at {peer} answered in {response_ms:.1f} ms{under}"
        f"{f' ({version})' if version else ''}: it takes calls from {peer.calling_aet!r}{confirmed}"
    )


def _echo_row(peer: Peer, outcome: Outcome, detail: str, **columns: Any) -> EchoResult:
    row = RowMaker(new_batch_id(), peer).tried(0, 1, "<echo>", outcome, detail, **columns)
    values = {name: getattr(row, name) for name in SendResult.__slots__}
    return EchoResult(**values | {"sop_class_uid": VERIFICATION})
