"""What a run of the benchmark is about: its size, its files, and how a receiver's harvest is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark.figures import Run
from tests.benchmark.receivers import DelayingProxy
from tests.support.files import data_set_of, instance_uid, write_ct_files
from tests.support.peers import Orthanc, Peer, Storescp

QUICK_COUNT = 6
"""Instances of every set with --quick: enough to be wrong, too few to be timed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of instance that a set is made of."""

    name: str
    edge: int  # rows and columns, 16 bits a pixel

    @property
    def description(self) -> str:
        return f"CT slices of {self.edge}x{self.edge}x16 bit, {(self.edge**2 * 2 + 900) / 1000:.0f} KB each"


KINDS = {kind.name: kind for kind in (Kind("ct", 512), Kind("small", 64), Kind("tiny", 8))}
SETS = ("ct", "small")
"""The kinds that people send, to choose from; the tiny one is for counting instances."""


@dataclass(frozen=True, slots=True)
class FileSet:
    """A folder of instances."""

    kind: Kind
    folder: Path
    count: int


@dataclass(slots=True)
class Plan:
    """One run of the benchmark.

    Attributes
    ----------
    workspace : Path
        A temporary folder for files.
    repeat : int
        Rounds.
    kinds : list of Kind
        The sets asked for.
    is_quick : bool
        For correctness only: few instances, kept by the receiver and compared byte by byte.
    """

    workspace: Path
    repeat: int
    kinds: list[Kind]
    is_quick: bool = False
    _sets: dict[tuple[str, int], FileSet] = field(default_factory=dict)

    def files(self, kind: Kind, count: int) -> FileSet:
        """A set of so many instances (few with --quick), made when first asked for."""
        count = min(count, QUICK_COUNT) if self.is_quick else count
        key = (kind.name, count)
        if key not in self._sets:
            folder = self.workspace / f"{kind.name}-{count}"
            write_ct_files(folder, count, rows=kind.edge, columns=kind.edge)
            self._sets[key] = FileSet(kind, folder, count)
        return self._sets[key]

    @contextmanager
    def storescp(self, *, nodelay: bool, fork: bool = False) -> Iterator[Storescp]:
        """DCMTK's storescp, keeping nothing; with --quick everything, as it came."""
        keeps = self.is_quick
        with Storescp(ignore=not keeps, bit_preserving=keeps, nodelay=nodelay, fork=fork) as receiver:
            yield receiver

    def turn(
        self, sender: Callable[[FileSet, Peer], Run], files: FileSet, receiver: Peer
    ) -> Callable[[], Run]:
        """A turn of a sender: it sends, the harvest is checked with --quick, the receiver is as it was before."""

        def take() -> Run:
            run = sender(files, receiver)
            if self.is_quick:
                check(receiver, files)
            if isinstance(receiver, Orthanc):
                receiver.clear()
            return run

        return take


def check(receiver: Peer, files: FileSet) -> None:
    """All of a set arrived, byte by byte where the receiver keeps it; AssertionError otherwise.

    A storescp is emptied, so that the next sender's harvest is its own.
    """
    if isinstance(receiver, DelayingProxy):
        receiver = receiver.behind
    if isinstance(receiver, Storescp):
        harvest = {uid: path.read_bytes() for uid, path in receiver.received().items()}
        for path in receiver.received().values():
            path.unlink()
    elif isinstance(receiver, Orthanc):
        harvest = {uid: receiver.instance(uid) for uid in receiver.instances()}
    else:
        raise TypeError(f"{receiver.program} keeps nothing that could be compared")
    sent = sorted(files.folder.iterdir())
    if len(harvest) != len(sent):
        raise AssertionError(f"{len(harvest)} of {len(sent)} instances arrived")
    for index, path in enumerate(sent):
        if data_set_of(harvest[instance_uid(index)]) != data_set_of(path):
            raise AssertionError(f"{path.name} arrived with other bytes")
