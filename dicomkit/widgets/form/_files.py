"""The file side of a settings form: which file it is, whether it was changed since, and what is in a folder.

The one idea: the folders are the kernel's, so the kernel lists them; a browser's own are another machine's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Listing", "list_folder", "FileDesk"]

MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder, with the names of the folders and ``*.json`` files in it, hidden ones left out.

    Attributes
    ----------
    left_out : int
        How many more there are than are listed.
    """

    folder: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]
    left_out: int


def list_folder(folder: Path) -> Listing:
    """Return what is in a folder.

    Raises
    ------
    OSError
        When it is none, or cannot be read.
    """
    folder = folder.resolve()
    seen = sorted(
        (one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name.lower()
    )
    folders = [one.name for one in seen if one.is_dir()]
    files = [one.name for one in seen if one.suffix.lower() == ".json" and one.is_file()]
    left_out = max(0, len(folders) - MOST_SHOWN) + max(0, len(files) - MOST_SHOWN)
    return Listing(folder, tuple(folders[:MOST_SHOWN]), tuple(files[:MOST_SHOWN]), left_out)


class FileDesk:
    """What the bar above a form shows.

    Attributes
    ----------
    folder : Path
        Where names are looked up.
    saved_text : str
        The JSON side as it was loaded or saved.
    status, says : str
        What came of the last thing done: ``"done"``, ``"warning"`` or ``"error"``, and a sentence.
    question : Path or None
        The file that is there already, while it is asked whether to overwrite it.
    listing : Listing or None
        The folder that is open for choosing.
    """

    def __init__(self, folder: str | os.PathLike[str], saved_text: str) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.saved_text = saved_text
        self.status, self.says = "", ""
        self.question: Path | None = None
        self.listing: Listing | None = None

    def resolved(self, path: str | os.PathLike[str]) -> Path:
        """`path` as seen from the folder."""
        return (self.folder / Path(path).expanduser()).resolve()

    def target(self, typed: str) -> Path:
        """Where to save what was typed as a name; ``.json`` may be left out."""
        target = self.resolved(typed.strip())
        return target if target.suffix else target.with_name(f"{target.name}.json")

    def say(self, status: str, sentence: str) -> None:
        """Say what came of it; the question and the listing are done with."""
        self.status, self.says = status, sentence
        self.question = self.listing = None

    def say_error(self, error: OSError, path: Path) -> None:
        """Say that a file or folder could not be used, and why; what is open stays open."""
        self.status, self.says = "error", f"{path}: {error.strerror or error}."

    def open(self, folder: Path) -> None:
        """List a folder for choosing.

        Raises
        ------
        OSError
            When it is none, or cannot be read.
        """
        self.listing, self.question = list_folder(folder), None
        self.status, self.says = "", ""

    def ask(self, target: Path) -> None:
        """Ask whether to overwrite a file."""
        self.question, self.listing = target, None
        self.status, self.says = "", ""
