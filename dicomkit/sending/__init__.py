"""send, echo, probe: one attempt at one instance."""

from __future__ import annotations

from dicomkit.sending._attempt import (
    KEEPS_CHANGING,
    MOST_LOOKS,
    Attempt,
    Kind,
    RowMaker,
    conversion_target,
    new_batch_id,
    not_a_dicom_message,
    peer_of,
    propose,
    send,
    why_not,
)
from dicomkit.sending._proposals import Proposals
from dicomkit.sending._services import EchoResult, echo, echo_until, probe

__all__ = [
    "Attempt",
    "EchoResult",
    "KEEPS_CHANGING",
    "Kind",
    "MOST_LOOKS",
    "Proposals",
    "RowMaker",
    "conversion_target",
    "echo",
    "echo_until",
    "new_batch_id",
    "not_a_dicom_message",
    "peer_of",
    "probe",
    "propose",
    "send",
    "why_not",
]
