"""What a batch tells while it runs: one small frozen class for each kind of event.

An event carries facts and no patient data. It is handed to `on_event` in the thread in which it happened, one
at a time, so a listener should be quick; what it raises is logged and does not end the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.frozen import Frozen

if TYPE_CHECKING:
    from dicomkit.results import SendResult

__all__ = [
    "Event",
    "Scanned",
    "Sending",
    "RowAdded",
    "AssociationOpened",
    "AssociationClosed",
    "Waiting",
    "Done",
]


class Scanned(Frozen):
    """How far the sources were looked at; sent now and then, and once with `is_complete` at their end.

    Attributes
    ----------
    found : int
        Instances and what else gets a row.
    passed_over : int
        Files that are not DICOM.
    """

    found: int
    passed_over: int
    is_complete: bool


class Sending(Frozen):
    """An instance is about to be handed to the socket."""

    instance: int
    attempt: int
    source: str
    association: int


class RowAdded(Frozen):
    """An attempt has ended; `is_final` when the instance will not be tried again."""

    result: SendResult
    is_final: bool


class AssociationOpened(Frozen):
    """An association was accepted.

    Attributes
    ----------
    contexts : tuple of (int, str, tuple of str, int, str)
        For each proposed context its ID, SOP Class UID, proposed transfer syntax UIDs, the result (PS3.8
        Table 9-18, 0 for accepted) and the accepted transfer syntax UID.
    max_pdu : int
        Bytes; 0 for no limit.
    """

    association: int
    peer_implementation_uid: str
    peer_implementation_version: str
    max_pdu: int
    contexts: tuple[tuple[int, str, tuple[str, ...], int, str], ...]


class AssociationClosed(Frozen):
    """An association has ended, or did not come about; `ended` says how, in words."""

    association: int
    ended: str
    instances: int


class Waiting(Frozen):
    """Nothing is sent for so long, because the peer failed before.

    Attributes
    ----------
    seconds : float
        Until the next try.
    reason : str
        How it failed the last time, in words.
    advice : str
        What one can do about it; may be empty.
    """

    seconds: float
    reason: str
    advice: str = ""


class Done(Frozen):
    """The batch is over.

    Attributes
    ----------
    outcomes : tuple of (str, int)
        How many instances ended in each outcome, in the order of the outcomes.
    """

    outcomes: tuple[tuple[str, int], ...]
    interrupted: bool


Event = Scanned | Sending | RowAdded | AssociationOpened | AssociationClosed | Waiting | Done
