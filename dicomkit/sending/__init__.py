"""send, echo, probe: one attempt at one instance."""

from __future__ import annotations

from dicomkit.sending._attempt import Attempt, conversion_target
from dicomkit.sending._echo import EchoResult, echo, echo_until
from dicomkit.sending._peer import peer_of, why_not
from dicomkit.sending._probe import probe
from dicomkit.sending._proposals import Kind, Proposals, propose
from dicomkit.sending._remedies import explained, not_a_dicom_message
from dicomkit.sending._rows import RowMaker, new_batch_id
from dicomkit.sending._send import KEEPS_CHANGING, MOST_LOOKS, send

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
    "explained",
    "new_batch_id",
    "not_a_dicom_message",
    "peer_of",
    "probe",
    "propose",
    "send",
    "why_not",
]
