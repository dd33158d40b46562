"""The bar above a settings form: which file it is of, whether it was changed since, and what is in a folder.

The folders are the kernel's, so the kernel lists them; a browser's own are another machine's.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder, with the names and paths of the folders and ``*.json`` files in it, hidden ones left out."""

    folder: str
    parent: str
    folders: list[list[str]]
    files: list[list[str]]
    left_out: int  # how many more there are than are listed


def list_folder(folder: Path) -> Listing:
    """Return what is in a folder; raises OSError when it is none, or cannot be read."""
    folder = folder.resolve()
    seen = sorted(
        (one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name.lower()
    )
    folders = [[one.name, str(one)] for one in seen if one.is_dir()]
    files = [[one.name, str(one)] for one in seen if one.suffix.lower() == ".json" and one.is_file()]
    left_out = max(0, len(folders) - MOST_SHOWN) + max(0, len(files) - MOST_SHOWN)
    return Listing(str(folder), str(folder.parent), folders[:MOST_SHOWN], files[:MOST_SHOWN], left_out)


class FileDesk:
    """What the bar above a form shows."""

    def __init__(self, folder: str | os.PathLike[str], saved_text: str) -> None:
        self.folder = Path(folder).expanduser().resolve()  # where names are looked up
        self.saved_text = saved_text  # the JSON side as it was loaded or saved
        self.status, self.says = "", ""  # what came of the last thing done: its kind, and a sentence
        self.question: Path | None = None  # the file that is there already, and may be overwritten
        self.listing: Listing | None = None  # the folder that is open for choosing

    def resolved(self, path: str | os.PathLike[str]) -> Path:
        """`path` as seen from the folder."""
        return (self.folder / Path(path).expanduser()).resolve()

    def target(self, typed: str) -> Path:
        """Where to save what was typed as a name; ``.json`` may be left out."""
        target = self.resolved(typed.strip())
        return target if target.suffix else target.with_name(f"{target.name}.json")

    def say(
        self, status: str, sentence: str, *, question: Path | None = None, listing: Listing | None = None
    ) -> None:
        """Say what came of it, or ask about a file, or list a folder; what was asked or listed before goes."""
        self.status, self.says = status, sentence
        self.question, self.listing = question, listing

    def say_error(self, error: OSError, path: Path) -> None:
        """Say that a file or folder could not be used, and why; what is open stays open."""
        self.status, self.says = "error", f"{path}: {error.strerror or error}."

    def state(self, path: Path | None, text: str, *, is_faulty: bool, can_undo: bool) -> dict[str, Any]:
        """What the browser is sent, for a form of this file with this JSON."""
        return {
            "path": "" if path is None else str(path),
            "is_changed": is_faulty or text != self.saved_text,
            "status": self.status,
            "says": self.says,
            "can_undo": can_undo,
            "asks": "" if self.question is None else str(self.question),
            "listing": None if self.listing is None else asdict(self.listing),
        }
