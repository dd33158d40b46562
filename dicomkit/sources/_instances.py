"""Find the instances under whatever names them: files, folders, globs, DICOMDIRs, zip archives, bytes, Datasets.

One source is looked at after the other and nothing is held, so that a generator of a million paths costs no more than
one. What is named must be DICOM, and is `Unreadable` otherwise; what a scan comes across may be anything, and is
`PassedOver`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from dicomkit._support.frozen import Frozen
from dicomkit.errors import UnreadableError
from dicomkit.sources._containers import list_archive, list_directory_file
from dicomkit.sources._folders import Entry, expand_glob, files_under, is_glob
from dicomkit.sources._inspect import (
    ArchiveFileError,
    DirectoryFileError,
    Instance,
    NotDicomError,
    look_at,
    look_at_member,
)
from dicomkit.sources.readers import MEMBER_MARK, HeaderFacts, SourceError, ZipMember, as_on_disk

if TYPE_CHECKING:
    from pydicom import Dataset

    class _HasInstance(Protocol):
        source: str
        instance: Instance


IN_MEMORY = ("<bytes>", "<dataset>")
"""What the source of an instance is called that is in no file."""

_DEEPEST = 1_000_000  # as deep as sources may be nested; what is deeper has no end
_STEPS_WITHOUT_FIND = 1000
_ENDED = (
    "where it should have given the next one; what it gave before was sent, what it had not given was not"
)


class Unreadable(Frozen):
    """Something that was named, or is DICOM, and cannot be sent; `detail` says why not, and what to do."""

    source: str
    detail: str
    header: HeaderFacts | None = None


class PassedOver(Frozen):
    """Something that a scan came across and that is not for sending; `reason` says what it is instead."""

    source: str
    reason: str


Found = Instance | Unreadable | PassedOver


class NotDicomMessage(Unreadable):
    """A message of another kind than `DicomMessage`."""

    message: object = None


class Broken(Frozen):
    """Something of the caller's that is no source, or raised when it was asked for one.

    Its `source` is what to call it, by its type; its `detail` has no words of an error that is not ours.
    """

    source: str
    error: BaseException
    detail: str

    @property
    def is_strange(self) -> bool:
        """Whether it is no source at all."""
        return isinstance(self.error, StrangeSourceError)


class StrangeSourceError(TypeError):
    """It is nothing that instances could be found in."""


def find_instances(sources: object) -> Iterator[Found]:
    """Find what can be sent, one after the other, while the result is iterated over.

    Parameters
    ----------
    sources
        One of these, or any iterable of them, nested as deep as you like:

        - a path of a file, a folder (all files at any depth, in sorted order), a zip archive or a DICOMDIR;
        - a glob, where ``**`` stands for any number of folders; an existing path wins over a glob;
        - ``archive.zip!/member``, as results name it;
        - bytes, the content of a DICOM file;
        - a pydicom Dataset, a message, an `Instance` or an `Unreadable` that was found before;
        - a frame with a column ``source``, such as earlier results: each of its sources once.

    Yields
    ------
    Instance
        It can be sent.
    Unreadable
        It was named, or is DICOM, and cannot be sent: missing, not DICOM, truncated, without UIDs.
    PassedOver
        A scan of a folder, glob, archive or DICOMDIR came across it: not DICOM, a DICOMDIR, or a zip archive. (An
        archive often lies beside what was unpacked from it, and sending both would send everything twice.)

    Raises
    ------
    TypeError
        For anything else among the sources, when it is come to.
    """
    _refuse_strange(sources)
    return _or_raise(find_all(sources))


def _or_raise(finds: Iterator[Found | Broken | None]) -> Iterator[Found]:
    for found in finds:
        if isinstance(found, Broken):
            raise found.error
        if found is not None:
            yield found


def find_all(sources: object, *, are_all: bool = True) -> Iterator[Found | Broken | None]:
    """Find as `find_instances` does; what a source raises is `Broken`, and the sources beside it are gone on to.

    None comes now and then where a long time nothing is found, so that nobody is held up by what has no end. `are_all`
    says that there are no sources but these.
    """
    search = _Search()
    # What is iterated over, the outermost first: with whom it is, and whether it gives what was found or further
    # sources. No recursion, which lists in lists would exhaust.
    levels: list[tuple[Iterator[object], object, bool]] = [(iter((sources,)), None, False)]
    inside: set[int] = set()
    steps = 0
    while levels:
        steps += 1
        if steps % _STEPS_WITHOUT_FIND == 0:
            yield None
        iterator, owner, gives_found = levels[-1]
        try:
            source = next(iterator)
        except BaseException as error:  # noqa: BLE001 - the caller's code; what it raised is said
            levels.pop()
            inside.discard(id(owner))
            if not isinstance(error, StopIteration):
                yield ended_with(error) if are_all and len(levels) < 2 else _broken(owner, error, _ENDED)
            continue
        if gives_found:
            steps = 0
            yield source  # type: ignore[misc]
        elif id(source) in inside:
            yield holds_itself(source)
        elif len(levels) > _DEEPEST:
            yield Unreadable(
                _label(source), f"it is nested deeper than {_DEEPEST}; give what is in it itself"
            )
        else:
            try:
                finds = search.find(source)
                further = iter(cast("Iterable[object]", source)) if finds is None else finds
            except BaseException as error:  # noqa: BLE001 - as above
                yield _broken(source, error, "when it was asked what it holds, so nothing of it was sent")
            else:
                levels.append((further, source, finds is not None))
                inside.add(id(source))


def holds_itself(source: object) -> Unreadable:
    """What is said of an iterable that gives itself."""
    return Unreadable(_label(source), "it holds itself, so it has no end; leave it out")


def ended_with(error: BaseException) -> Broken:
    """What is said of sources that raised where they should have given the next one."""
    return Broken(
        "<sources>",
        error,
        f"the sources ended with {type(error).__name__}; what they gave before was sent, what they had not given "
        "was not",
    )


def _broken(source: object, error: BaseException, when: str) -> Broken:
    name = _label(source)
    said = f"a source, {name}, ended with {type(error).__name__} {when}"
    return Broken(name, error, str(error) if isinstance(error, StrangeSourceError) else said)


def _label(source: object) -> str:
    # Straight from `type`, since a class of the caller's may have a `__name__` of its own making.
    return f"<{type.__dict__['__name__'].__get__(type(source))}>"


def _refuse_strange(source: object) -> None:
    kind = type(source)
    is_one = (
        isinstance(source, (os.PathLike, Iterable, Instance, Unreadable))
        or hasattr(kind, "instance")
        or hasattr(kind, "text")
    )
    if not is_one or isinstance(source, Mapping) or hasattr(kind, "read"):
        raise StrangeSourceError(
            f"{kind.__name__} is no source of instances; give a path, a glob, bytes, a pydicom Dataset, a message, a "
            "frame with a column 'source', or an iterable of these"
        )


class _Search:
    """One search; it remembers what is in the archive it was in last."""

    __slots__ = ("_archive", "_members")

    def __init__(self) -> None:
        self._archive = ""
        self._members: dict[str, ZipMember | SourceError] = {}

    def find(self, source: object) -> Iterator[Found] | None:
        """What one source holds; None for an iterable of sources."""
        if isinstance(source, str):
            return self._find_path(source)
        if isinstance(source, os.PathLike):
            return self._find_path(os.fsdecode(source))
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _one("<bytes>", lambda: look_at(source))
        if isinstance(source, (Instance, Unreadable)):
            return iter((source,))
        if is_dataset(source):
            return _one("<dataset>", lambda: _look_at_dataset(cast("Dataset", source)))
        if hasattr(type(source), "instance"):
            message = cast("_HasInstance", source)
            return _one(message.source, lambda: message.instance)
        if hasattr(type(source), "text"):
            kind = type(source).__name__
            refusal = f"a {kind} cannot be sent, whatever MessageType says; make it a DicomMessage"
            return iter((NotDicomMessage("<message>", refusal, None, source),))
        if hasattr(source, "columns"):
            return self._find_in_frame(source)
        _refuse_strange(source)
        return None

    def _find_in_frame(self, frame: Any) -> Iterator[Found]:
        if "source" not in frame.columns:
            raise StrangeSourceError("a frame of instances needs a column 'source' with their paths")
        for source in dict.fromkeys(source for source in frame["source"] if isinstance(source, str)):
            if source in IN_MEMORY:
                yield Unreadable(
                    source, "it came from memory, and the frame does not hold it; give the object itself"
                )
            else:
                yield from self._find_path(source)

    def _find_path(self, path: str) -> Iterator[Found]:
        path = as_on_disk(path)
        try:
            found: Instance | SourceError = look_at(path)
        except SourceError as error:
            found = error
        if isinstance(found, Instance):
            yield found
        elif isinstance(found, ArchiveFileError):
            yield from _find_in_archive(path)
        elif isinstance(found, DirectoryFileError):
            yield from _find_by_directory_file(path, found.damage)
        elif os.path.isdir(path):  # noqa: PTH112 (a Path would raise where a folder above may not be entered)
            yield from _scan(files_under(path))
        elif os.path.lexists(path):
            yield _refusal(path, found)
        elif MEMBER_MARK in path:
            yield self._find_member(path)
        elif is_glob(path):
            yield from self._find_by_glob(path)
        elif path.startswith("~") and path != (expanded := os.path.expanduser(path)):  # noqa: PTH111 (pathlib: 3 ms)
            yield from self._find_path(expanded)
        else:
            yield Unreadable(path, found.reason)

    def _find_by_glob(self, pattern: str) -> Iterator[Found]:
        from pathlib import PurePath

        last = PurePath(pattern).name.lower()
        names_containers = last.endswith(".zip") or last == "dicomdir"
        entry = None
        for entry in expand_glob(pattern):
            if names_containers and not entry.obstacle:
                yield from self._find_path(entry.path)
            else:
                yield from _scan([entry])
        if entry is None:
            yield Unreadable(pattern, "no file matches; check the pattern")

    def _find_member(self, path: str) -> Found:
        archive, _, name = path.partition(MEMBER_MARK)
        while not os.path.isfile(archive):  # noqa: PTH113 (as above)
            inner, mark, name = name.partition(MEMBER_MARK)
            if not mark:
                return Unreadable(path, "there is no such archive; check the path")
            archive += MEMBER_MARK + inner
        if archive != self._archive:
            try:
                self._members = {member.source: member for member in list_archive(archive)}
            except SourceError as error:
                return Unreadable(path, error.reason)
            self._archive = archive
        if path not in self._members:
            return Unreadable(path, "the archive has no such member")
        return _look_at_found(self._members[path])


def is_dataset(thing: object) -> bool:
    """Tell whether something is a pydicom Dataset, without importing pydicom: whoever has one, has."""
    return any(
        kind.__name__ == "Dataset" and kind.__module__ == "pydicom.dataset" for kind in type(thing).__mro__
    )


def _look_at_dataset(dataset: Dataset) -> Instance:
    from dicomkit.sources.part10 import encode_dataset  # which most who send have no use for

    return look_at(encode_dataset(dataset), "<dataset>")


def _one(source: str, look: Callable[[], Instance]) -> Iterator[Found]:
    try:
        yield look()
    except UnreadableError as error:
        yield _refusal(source, error)


def _refusal(source: str, error: UnreadableError, *, is_scanned: bool = False) -> Unreadable | PassedOver:
    if not isinstance(error, SourceError):
        return Unreadable(source, str(error))
    if is_scanned and isinstance(error, (NotDicomError, DirectoryFileError)):
        return PassedOver(source, error.reason)
    return Unreadable(source, error.reason, error.header)


def _scan(entries: Iterable[Entry]) -> Iterator[Found]:
    for entry in entries:
        path = entry.path
        if entry.obstacle:
            yield Unreadable(path, entry.obstacle) if entry.failed else PassedOver(path, entry.obstacle)
            continue
        try:
            found: Found = look_at(path)
        except SourceError as error:
            found = _refusal(path, error, is_scanned=True)
        yield found


def _find_in_archive(path: str) -> Iterator[Found]:
    try:
        yield from map(_look_at_found, list_archive(path))
    except SourceError as error:
        yield Unreadable(path, error.reason)


def _look_at_found(member: ZipMember | SourceError) -> Found:
    if isinstance(member, SourceError):
        return Unreadable(member.source, member.reason)
    try:
        return look_at_member(member)
    except ArchiveFileError:
        reason = "an archive in an archive: unpack the outer one to send what is in it"
        return PassedOver(member.source, reason)
    except SourceError as error:
        return _refusal(member.source, error, is_scanned=True)


def _find_by_directory_file(path: str, damage: str) -> Iterator[Found]:
    if damage:
        yield Unreadable(path, f"the DICOMDIR is damaged ({damage}); name its folder instead")
        return
    try:
        for named, problem in list_directory_file(path):
            if problem:
                yield Unreadable(named, problem)
            else:
                yield from _scan([Entry(named)])
    except SourceError as error:
        yield Unreadable(path, error.reason)
