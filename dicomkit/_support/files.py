"""Files that we write: for their owner alone, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNER_ONLY = 0o600


def for_owner(path: str, flags: int) -> int:
    """The `opener` of a file that, when it is made, its owner alone may read and write."""
    return os.open(path, flags, OWNER_ONLY)


@contextmanager
def as_draft(path: Path) -> Iterator[Path]:
    """A new name beside a file, for what is to take its place; what is left under it in the end is removed."""
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def give_name(draft: Path, path: Path) -> None:
    """Give a draft the name that it is for, or raise FileExistsError where that is taken."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links there
        if os.path.lexists(path):
            raise FileExistsError from None
        draft.rename(path)


def save_whole(path: Path, data: bytes, *, is_private: bool = False, overwrite: bool = True) -> None:
    """Write a file as a whole, with the permissions of what it replaces; OSError names the file and no
    folder.
    """
    try:
        with as_draft(path) as draft:
            with open(draft, "xb", opener=for_owner if is_private else None) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not is_private and path.exists():
                draft.chmod(path.stat().st_mode & 0o777)
            if overwrite:
                draft.replace(path)
            else:
                give_name(draft, path)
    except OSError as error:
        error.filename, error.filename2 = path.name, None
        raise
