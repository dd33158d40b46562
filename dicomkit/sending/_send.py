"""`send`: one message, one attempt, one row.

In the order of the DicomSenderSetting documentation: the setting must be enabled, the message must be a `DicomMessage`,
its bytes must hold an instance, a C-STORE-RQ is made of it and sent, the status decides, and a text response says so.
Nothing that the network or the peer does is raised: it becomes the row's outcome.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from dicomkit.errors import UnreadableError, WireError
from dicomkit.results import Outcome, SendResult
from dicomkit.sending._attempt import KEEPS_CHANGING, MOST_LOOKS, Attempt, is_settled
from dicomkit.sending._peer import peer_of, why_not
from dicomkit.sending._proposals import propose
from dicomkit.sending._remedies import not_a_dicom_message
from dicomkit.sending._rows import RowMaker, new_batch_id
from dicomkit.sources import SourceChanged, SourceError
from dicomkit.wire.association import Association

if TYPE_CHECKING:
    from dicomkit.messages import Message
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.sources import Instance


def send(
    setting: DicomSenderSetting,
    message: Message,
    *,
    tls: TlsOptions | None = None,
    identity: UserIdentity | None = None,
) -> SendResult:
    """Send one message by C-STORE, once, over an association of its own.

    Parameters
    ----------
    setting
        Where to, and in whose name. `MessageTemplate`, `Filters` and `Transformers` belong to a workflow run and
        are not looked at here.
    message
        The object decides: anything but a `DicomMessage` gives ``invalid_message``, whatever `MessageType` says.
    tls
        Sends under TLS, with the peer's certificate verified; None sends without.
    identity
        The user in whose name the association is asked for.

    Returns
    -------
    SendResult
        What happened; `raise_for_outcome` turns a failure into a `SendError`.

    Raises
    ------
    SecurityError
        A file of `tls` cannot be used; nothing was sent.
    """
    from dicomkit.messages import DicomMessage

    row = RowMaker(new_batch_id(), peer_of(setting, tls, identity))
    source = getattr(message, "source", f"<{type(message).__name__}>")
    refusal = why_not(setting)
    if refusal is not None:
        return row.untried(0, source, *refusal)
    if not isinstance(message, DicomMessage):
        return row.untried(0, source, Outcome.INVALID_MESSAGE, not_a_dicom_message(message))
    try:
        instance = message.instance
    except UnreadableError as error:
        header = error.header if isinstance(error, SourceError) else None
        return row.untried(0, source, Outcome.UNREADABLE, str(error), header)
    try:
        return _send_instance(instance, row, MOST_LOOKS)
    except UnreadableError as error:
        return row.unsent(0, 1, instance, Outcome.UNREADABLE, str(error))


def _send_instance(instance: Instance, row: RowMaker, looks: int) -> SendResult:
    """Send it over an association of its own; UnreadableError when it changed, and nothing of it was sent."""
    from dicomkit.sources.second_look import look_again

    if not is_settled(instance):
        instance = look_again(instance)
    started_at, start = datetime.now(UTC), perf_counter()
    kind = instance.sop_class_uid, instance.transfer_syntax
    try:
        # Packing saves time only where many instances follow, and some peers abort upon it.
        association = Association.open(row.peer, propose([kind])[0], packs=False)
    except WireError as error:
        return row.failed_to_open(0, 1, instance, error, started_at, 1e3 * (perf_counter() - start))
    attempt = None
    try:
        while looks > 0 and kind == (instance.sop_class_uid, instance.transfer_syntax):
            looks -= 1
            attempt = Attempt(association, 1, 0, 1, instance, row, since=(started_at, start))
            try:
                is_loaded = attempt.load()
            except SourceChanged:
                instance = look_again(instance)
                continue
            if is_loaded:
                attempt.transmit()
                attempt.receive()
            association.end()
            return attempt.result()
        association.end()
    finally:
        if attempt is not None:
            attempt.close()
        association.abort()
    if not looks:
        raise UnreadableError(KEEPS_CHANGING)
    return _send_instance(instance, row, looks)
