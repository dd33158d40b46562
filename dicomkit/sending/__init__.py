"""send, echo, probe: one attempt at one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.late import when_used
from dicomkit.sending._attempt import KEEPS_CHANGING as KEEPS_CHANGING
from dicomkit.sending._attempt import MOST_LOOKS as MOST_LOOKS
from dicomkit.sending._attempt import Attempt as Attempt
from dicomkit.sending._attempt import conversion_target as conversion_target
from dicomkit.sending._peer import peer_of as peer_of
from dicomkit.sending._peer import why_not as why_not
from dicomkit.sending._proposals import Kind as Kind
from dicomkit.sending._proposals import Proposals as Proposals
from dicomkit.sending._proposals import propose as propose
from dicomkit.sending._remedies import explained as explained
from dicomkit.sending._remedies import not_a_dicom_message as not_a_dicom_message
from dicomkit.sending._rows import RowMaker as RowMaker
from dicomkit.sending._rows import new_batch_id as new_batch_id

if TYPE_CHECKING:
    from dicomkit.sending._echo import EchoResult as EchoResult
    from dicomkit.sending._echo import echo as echo
    from dicomkit.sending._echo import echo_until as echo_until
    from dicomkit.sending._probe import probe as probe
    from dicomkit.sending._send import send as send

# What a batch does not load.
__getattr__ = when_used(
    __name__, {"_echo": ("EchoResult", "echo", "echo_until"), "_probe": ("probe",), "_send": ("send",)}
)
