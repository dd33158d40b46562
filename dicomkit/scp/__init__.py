"""The local receiver, and the faults it can be asked for."""

from __future__ import annotations

from dicomkit.scp._faults import (
    REJECTIONS,
    Abort,
    AcceptNothing,
    Close,
    Delay,
    EarlyResponse,
    Fault,
    Garbage,
    HugePDU,
    OddFragments,
    RefuseClass,
    RefuseSyntax,
    RejectAssociation,
    Reset,
    Silence,
    Stage,
    Status,
    StopReading,
    Trickle,
    WrongCommand,
    WrongContext,
    WrongMessageID,
)
from dicomkit.scp._journal import Happening, Received
from dicomkit.scp._server import LocalSCP

__all__ = [
    "Abort",
    "AcceptNothing",
    "Close",
    "Delay",
    "EarlyResponse",
    "Fault",
    "Garbage",
    "Happening",
    "HugePDU",
    "LocalSCP",
    "OddFragments",
    "REJECTIONS",
    "Received",
    "RefuseClass",
    "RefuseSyntax",
    "RejectAssociation",
    "Reset",
    "Silence",
    "Stage",
    "Status",
    "StopReading",
    "Trickle",
    "WrongCommand",
    "WrongContext",
    "WrongMessageID",
]
