"""The files under a folder, and those that a glob matches, in sorted order and one folder at a time.

Links are followed, but no folder is entered twice: a link in a circle ends there.
"""

# A string for each of a hundred thousand files, not a Path:
# ruff: noqa: PTH112, PTH116, PTH118, PTH208
from __future__ import annotations

import os
from collections.abc import Iterator

from dicomkit._support.frozen import Frozen
from dicomkit.sources.readers import describe_os_error

_MAGIC = frozenset("*?[")
_ANY_DEPTH = "**"


class Entry(Frozen):
    """A file or folder, or the obstacle that kept a scan from seeing files; `failed` if any may have been missed."""

    path: str
    obstacle: str = ""
    failed: bool = False
    is_folder: bool = False


def files_under(folder: str) -> Iterator[Entry]:
    """Return all files under a folder, at any depth."""
    return (entry for entry in _walk(folder) if not entry.is_folder)


def is_glob(path: str) -> bool:
    """Whether a path has one of the characters of a pattern."""
    return not _MAGIC.isdisjoint(path)


def expand_glob(pattern: str) -> Iterator[Entry]:
    """Yield the files that a pattern matches, and the files under the folders that it matches.

    ``*``, ``?`` and ``[]`` match within a name and not a leading dot; ``**`` stands for any number of folders without
    a leading dot, and a pattern that has it matches files only. A part of the pattern that exists as it is written is
    no pattern.
    """
    from pathlib import PurePath

    path = PurePath(pattern)
    parts = path.parts[1:] if path.anchor else path.parts
    entries = _expand(path.anchor, list(parts), recursive=_ANY_DEPTH in parts)
    if parts.count(_ANY_DEPTH) < 2:
        yield from entries
        return
    seen = set()  # with two of them there is more than one way to match a file
    for entry in entries:
        if entry.path not in seen:
            seen.add(entry.path)
            yield entry


def _expand(folder: str, parts: list[str], *, recursive: bool) -> Iterator[Entry]:
    from fnmatch import fnmatch

    if not parts:
        if not os.path.isdir(folder):
            yield Entry(folder)
        elif not recursive:
            yield from files_under(folder)
        return
    part, *rest = parts
    if part == _ANY_DEPTH:
        if rest:
            yield from _expand(folder, rest, recursive=recursive)
        for entry in _walk(folder or os.curdir, hidden=False):
            if entry.is_folder:
                if rest:
                    yield from _expand(entry.path, rest, recursive=recursive)
            elif entry.obstacle or not rest:
                yield entry
        return
    exact = os.path.join(folder, part)
    if os.path.lexists(exact):
        yield from _expand(exact, rest, recursive=recursive)
    elif is_glob(part):
        try:
            names = sorted(os.listdir(folder or os.curdir))
        except OSError as error:
            if os.path.isdir(folder or os.curdir):
                yield Entry(folder, describe_os_error(error), failed=True)
            return
        for name in names:
            if fnmatch(name, part) and (part[0] == "." or name[0] != "."):
                yield from _expand(os.path.join(folder, name), rest, recursive=recursive)


def _walk(folder: str, *, hidden: bool = True) -> Iterator[Entry]:
    """Yield each file and each folder under a folder, the folder itself left out, sorted by name within each."""
    entered = set()
    levels: list[Iterator[os.DirEntry[str]]] = []

    def enter(path: str) -> Entry | None:
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if identity in entered:
                return Entry(
                    path, "a folder that was scanned before: links lead to it in a circle, or on two ways"
                )
            with os.scandir(path) as found:
                levels.append(iter(sorted(found, key=lambda entry: entry.name)))
        except OSError as error:
            return Entry(path, describe_os_error(error), failed=True)
        entered.add(identity)
        return None

    obstacle = enter(folder)
    if obstacle:
        yield obstacle
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        if not hidden and entry.name.startswith("."):
            continue
        kind = _kind(entry)
        if kind == "folder":
            yield enter(entry.path) or Entry(entry.path, is_folder=True)
        elif kind == "file":
            yield Entry(entry.path)
        else:
            yield Entry(entry.path, kind)


def _kind(entry: os.DirEntry[str]) -> str:
    """``file``, ``folder``, or what else it is."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
    except OSError as error:  # a link to itself
        return describe_os_error(error)
    return "a link that leads nowhere" if entry.is_symlink() else "a pipe or device, not a file"
