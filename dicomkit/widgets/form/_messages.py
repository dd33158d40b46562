"""What the browser is told of a settings form, in plain values.

The one idea: a message is the whole state, so that a view that was just opened, or missed some, needs no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dicomkit.errors import Problem
from dicomkit.sending import EchoResult
from dicomkit.settings import FIELD_OF, DicomSenderSetting
from dicomkit.widgets.form._echo import sentence
from dicomkit.widgets.form._files import FileDesk
from dicomkit.widgets.form._pointer import point_at
from dicomkit.widgets.form._sides import JSON, Sides

__all__ = ["Message", "sides_state", "file_state", "echo_state", "why_waiting"]

Message = dict[str, Any]

_MOST_POINTERS = 100  # who mends these sees the next

_ROUTE = ("remote_host", "remote_port", "our_aet", "remote_aet", "timeout_seconds")


def sides_state(sides: Sides) -> Message:
    """Both sides, with what is wrong or worth knowing, each where it belongs."""
    return {
        "json": sides.text,
        "is_json": sides.fault is None,
        "fields": {name: _field_state(sides, name) for name in FIELD_OF},
        "others": [asdict(one) for one in sides.notes if one.field not in FIELD_OF],
        "pointers": [
            asdict(point_at(sides.text, one, sides.fault)) for one in sides.json_problems()[:_MOST_POINTERS]
        ],
        "behind": [name for name in FIELD_OF if sides.is_refused(name)],
        "refusal": why_waiting(sides.errors.values()),
    }


def _field_state(sides: Sides, name: str) -> Message:
    error = sides.errors.get(name)
    notes = [error] if error is not None else [one for one in sides.notes if one.field == name]
    return {
        "text": sides.field_text(name),
        "is_written": sides.is_written(name),
        "notes": [asdict(one) for one in notes],
    }


def why_waiting(errors: Iterable[Problem]) -> str:
    """Why Echo, Send and Save wait, without an end; empty when they do not."""
    faults = list(errors)
    if not faults:
        return ""
    first = faults[0]
    where = "the JSON cannot be read" if first.field == JSON else first.field
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{where}: {first.message}{more}"


def file_state(desk: FileDesk, path: Path | None, sides: Sides, *, can_undo: bool) -> Message:
    """The bar above the form."""
    listing = desk.listing
    return {
        "path": "" if path is None else str(path),
        "folder": str(desk.folder),
        "is_changed": bool(sides.errors) or sides.text != desk.saved_text,
        "status": desk.status,
        "says": desk.says,
        "can_undo": can_undo,
        "asks": "" if desk.question is None else str(desk.question),
        "listing": None
        if listing is None
        else {
            "folder": str(listing.folder),
            "parent": str(listing.folder.parent),
            "folders": [[name, str(listing.folder / name)] for name in listing.folders],
            "files": [[name, str(listing.folder / name)] for name in listing.files],
            "left_out": listing.left_out,
        },
    }


def echo_state(
    shown: DicomSenderSetting | None,
    asking: DicomSenderSetting | None,
    asked: DicomSenderSetting | None,
    result: EchoResult | None,
) -> Message:
    """The echo under way (`asking`), or the last answer (`result`) and whether it is about what is `shown` now."""
    if asking is not None:
        says = f"Asking {asking.remote_aet!r} at {asking.remote_host}:{asking.remote_port} …"
        return {"is_running": True, "status": "", "says": says, "is_old": False}
    if result is None or asked is None:
        return {"is_running": False, "status": "", "says": "", "is_old": False}
    return {
        "is_running": False,
        "status": "done" if result.outcome.is_stored else "error",
        "says": sentence(result),
        "is_old": shown is None or any(getattr(shown, one) != getattr(asked, one) for one in _ROUTE),
    }
