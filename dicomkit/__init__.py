"""dicomkit: send DICOM, and find out exactly what happened.

This module is a table of contents: a room is loaded when one of its names is first used (PEP 562), so that
``import dicomkit`` costs nothing and a sender never waits for pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomkit.batch import Batch as Batch
    from dicomkit.batch import BatchControl as BatchControl
    from dicomkit.batch import send_batch as send_batch
    from dicomkit.errors import DicomkitError as DicomkitError
    from dicomkit.errors import LedgerError as LedgerError
    from dicomkit.errors import MissingExtraError as MissingExtraError
    from dicomkit.errors import Problem as Problem
    from dicomkit.errors import SecurityError as SecurityError
    from dicomkit.errors import SettingError as SettingError
    from dicomkit.errors import UnreadableError as UnreadableError
    from dicomkit.ledger import Ledger as Ledger
    from dicomkit.ledger import Verdict as Verdict
    from dicomkit.messages import BinaryMessage as BinaryMessage
    from dicomkit.messages import DicomMessage as DicomMessage
    from dicomkit.messages import JsonMessage as JsonMessage
    from dicomkit.messages import TextMessage as TextMessage
    from dicomkit.messages import XmlMessage as XmlMessage
    from dicomkit.results import Outcome as Outcome
    from dicomkit.results import ResultsFile as ResultsFile
    from dicomkit.results import SendError as SendError
    from dicomkit.results import SendResult as SendResult
    from dicomkit.results import read_results as read_results
    from dicomkit.scp import LocalSCP as LocalSCP
    from dicomkit.security import TlsOptions as TlsOptions
    from dicomkit.security import UserIdentity as UserIdentity
    from dicomkit.sending import echo as echo
    from dicomkit.sending import probe as probe
    from dicomkit.sending import send as send
    from dicomkit.settings import DicomSenderSetting as DicomSenderSetting
    from dicomkit.settings import MessageType as MessageType
    from dicomkit.sources import Instance as Instance
    from dicomkit.sources import find_instances as find_instances
    from dicomkit.sources import look_at as look_at
    from dicomkit.verification import verify as verify
    from dicomkit.widgets import BatchPanel as BatchPanel
    from dicomkit.widgets import ImageViewer as ImageViewer
    from dicomkit.widgets import SenderApp as SenderApp
    from dicomkit.widgets import SettingForm as SettingForm
    from dicomkit.widgets import SourceChooser as SourceChooser
    from dicomkit.widgets import TagBrowser as TagBrowser

__version__ = "0.1.0"

_ROOMS = {
    "batch": ["Batch", "BatchControl", "send_batch"],
    "sending": ["echo", "probe", "send"],
    "ledger": ["Ledger", "Verdict"],
    "errors": [
        "DicomkitError",
        "LedgerError",
        "MissingExtraError",
        "Problem",
        "SecurityError",
        "SettingError",
        "UnreadableError",
    ],
    "sources": ["Instance", "find_instances", "look_at"],
    "scp": ["LocalSCP"],
    "security": ["TlsOptions", "UserIdentity"],
    "messages": ["BinaryMessage", "DicomMessage", "JsonMessage", "TextMessage", "XmlMessage"],
    "settings": ["DicomSenderSetting", "MessageType"],
    "results": ["Outcome", "ResultsFile", "SendError", "SendResult", "read_results"],
    "verification": ["verify"],
    "widgets": ["BatchPanel", "ImageViewer", "SenderApp", "SettingForm", "SourceChooser", "TagBrowser"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__: list[str]  # made when it is asked for, by `_names_for_all`


def _names_for_all() -> list[str]:
    """What ``from dicomkit import *`` brings: without the notebook extra, all but the widgets."""
    from importlib.util import find_spec

    has_widgets = find_spec("anywidget") is not None
    return ["__version__", *(name for name, room in _ROOM_OF.items() if has_widgets or room != "widgets")]


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _names_for_all()
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})
