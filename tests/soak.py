"""``python -m tests.soak``: a long batch to a receiver that fails at random, and the books balanced afterwards.

Two runs. With every fault at 1% each instance has a final row, and what the ledger and the rows say is stored is what
the receiver has, but for rows that say the peer may hold the instance. With retriable faults only, all are stored.
The receiver is a process of its own, so that the memory and the descriptors of this one are the sender's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from dicomkit import DicomSenderSetting, Ledger, LocalSCP, send_batch
from dicomkit.events import Event, RowAdded
from dicomkit.scp import (
    Abort,
    Close,
    EarlyResponse,
    Fault,
    HugePDU,
    RejectAssociation,
    Reset,
    Silence,
    Status,
    Trickle,
    WrongCommand,
    WrongContext,
    WrongMessageID,
)
from tests.support.files import instance_uid, write_ct_files

TIMEOUT_SECONDS = 1
CHANCE = 0.01
DOUBT = "may have stored"

# What a batch with a ledger may keep: of each instance a hash of its UID, of each association a row of its own, and a
# fault ends one association in five to ten instances. A row that is kept would be 500 bytes more.
KEPT_BYTES_PER_INSTANCE = 300
SLACK_BYTES = 12 << 20  # what the allocator may hold back, whatever the number


def retriable(chance: float) -> list[Fault]:
    """Faults that may be gone the next time."""
    return [
        RejectAssociation(2, 3, 1, chance=chance),
        Silence("association", chance=chance),
        Close("association", chance=chance),
        Reset("accepted", chance=chance),
        Abort("command", chance=chance),
        Abort("data", after_bytes=1000, chance=chance),
        Abort("response", chance=chance),
        Close("data", after_bytes=1000, chance=chance),
        Close("response", chance=chance),
        Close("between", chance=chance),
        Reset("response", chance=chance),
        Silence("response", chance=chance),
        Trickle(chance=chance),
        HugePDU(chance=chance),
        WrongMessageID(chance=chance),
        WrongContext(chance=chance),
        WrongCommand(chance=chance),
        EarlyResponse(0xA700, chance=chance),
        Status(0xA700, chance=chance),
    ]


def swift(chance: float) -> list[Fault]:
    """The retriable faults that nobody has to wait for."""
    return [fault for fault in retriable(chance) if not isinstance(fault, Silence | Trickle)]


def final(chance: float) -> list[Fault]:
    """Faults that are the instance's own, so that it is not tried again."""
    statuses = (0xA900, 0xB000, 0xB006, 0xB007, 0xC000, 0x0111, 0x0122, 0x0124, 0x7777)
    return [Status(status, chance=chance) for status in statuses]


@dataclass(frozen=True)
class Books:
    """What a soak came to; `faults` is empty when the books balance."""

    instances: int
    rows: int
    outcomes: dict[str, int]
    gauge: Gauge
    faults: list[str]


class Gauge:
    """What this process holds while a batch runs, looked at twenty times; called with the batch's events.

    Attributes
    ----------
    resident, traced : list of int
        Bytes: of the process, and of Python's own objects where tracemalloc is on (0 where it is not).
    descriptors, threads : list of int
    """

    def __init__(self, count: int) -> None:
        self._every = max(1, count // 20)
        self._finals = 0
        self._process = psutil.Process()
        self.resident: list[int] = []
        self.traced: list[int] = []
        self.descriptors: list[int] = []
        self.threads: list[int] = []
        self.look()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RowAdded) and event.is_final:
            self._finals += 1
            if self._finals % self._every == 0:
                self.look()

    def look(self) -> None:
        self.resident.append(self._process.memory_info().rss)
        self.traced.append(tracemalloc.get_traced_memory()[0])
        self.descriptors.append(self._process.num_fds())
        self.threads.append(self._process.num_threads())

    @staticmethod
    def growth(of: Sequence[int]) -> int:
        """From the second quarter, when all was met once, until the last one; means, since it goes up and down."""
        quarter = len(of) // 4
        return (sum(of[-quarter:]) - sum(of[quarter : 2 * quarter])) // max(quarter, 1)


def _receive(connection: Connection, faults: Sequence[Fault], seed: int) -> None:
    """In a process of its own: receive until asked to stop, then say which instances are there."""
    with LocalSCP(faults=faults, seed=seed, keep_bytes=0) as scp:
        connection.send(scp.setting())
        connection.recv()
        received = scp.received
    connection.send(set(received[received.stored].sop_instance_uid))


@contextmanager
def receiver(faults: Sequence[Fault], seed: int) -> Iterator[tuple[DicomSenderSetting, Connection]]:
    """A receiver in another process; anything sent over the connection ends it, and what it has comes back."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_receive, args=(there, faults, seed))
    process.start()
    there.close()
    try:
        yield here.recv(), here
        process.join(60)
    finally:
        process.kill()
        process.join()
        here.close()


def soak(
    folder: Path, count: int, faults: Sequence[Fault], *, retries: int, associations: int, seed: int
) -> Books:
    """Send `count` instances (a few files under many names) and compare rows, ledger and receiver."""
    paths = write_ct_files(folder / "files", count)
    ledger = folder / f"soak-{seed}.sqlite"
    with receiver(faults, seed) as (setting, connection):
        gauge = Gauge(count)
        batch = send_batch(
            setting.replace(timeout_seconds=TIMEOUT_SECONDS),
            _each(paths),
            associations=associations,
            retries=retries,
            give_up_after=3600.0,
            ledger=ledger,
            on_event=gauge,
        )
        left = Gauge(1)
        connection.send("stop")
        has = connection.recv()
    attempts = Ledger(ledger).to_frame(batch_id=batch.batch_id, latest=False)
    latest = Ledger(ledger).to_frame(batch_id=batch.batch_id)
    said = set(latest[latest.outcome.isin(["stored", "stored_with_warning"])].sop_instance_uid)
    doubtful = set(attempts[attempts.detail.str.contains(DOUBT)].sop_instance_uid)
    wrong = []
    if len(latest) != count or set(latest.instance) != set(range(count)):
        wrong.append(f"{len(latest)} final rows for {count} instances")
    if invented := said - has:
        wrong.append(
            f"{len(invented)} rows say stored, and the receiver has them not: {sorted(invented)[:3]}"
        )
    if unknown := has - said - doubtful:
        wrong.append(f"the receiver has {len(unknown)} that no row knows of: {sorted(unknown)[:3]}")
    if set(latest.sop_instance_uid) != {instance_uid(index) for index in range(count)}:
        wrong.append("an instance has lost its UID")
    if left.descriptors[0] > gauge.descriptors[0] + 2:
        wrong.append(f"{left.descriptors[0] - gauge.descriptors[0]} descriptors were left open")
    if left.threads[0] > gauge.threads[0] + 1:
        wrong.append(f"{left.threads[0] - gauge.threads[0]} threads were left")
    return Books(
        count,
        len(attempts),
        {str(o): n for o, n in batch.outcomes.items()},
        gauge,
        wrong + _not_flat(gauge, count, associations),
    )


def _not_flat(gauge: Gauge, count: int, associations: int) -> list[str]:
    """What grew with the number of instances, in sentences."""
    wrong = []
    kept = KEPT_BYTES_PER_INSTANCE * count
    if (growth := gauge.growth(gauge.resident)) > kept + SLACK_BYTES:
        wrong.append(f"memory grew by {growth} bytes while {count} were sent")
    if (growth := gauge.growth(gauge.traced)) > kept:
        wrong.append(f"Python's objects grew by {growth} bytes while {count} were sent")
    # For each association a socket, two that interrupt it, and a source; the ledger has six, and there is some slack.
    if (most := max(gauge.descriptors) - gauge.descriptors[0]) > 4 * associations + 12:
        wrong.append(f"{most} descriptors were open at once")
    if (most := max(gauge.threads) - gauge.threads[0]) > 2 * associations + 4:
        wrong.append(f"{most} threads ran at once")
    return wrong


def _each(paths: Sequence[Path]) -> Iterator[Path]:
    yield from paths


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="instances (100000)")
    parser.add_argument("--associations", type=int, default=16, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    chosen = parser.parse_args(arguments)
    failed = False
    for name, faults, retries in [
        ("every fault at 1%", retriable(CHANCE) + final(CHANCE), 2),
        ("retriable faults at 1%, retries=20", retriable(CHANCE), 20),
    ]:
        with tempfile.TemporaryDirectory(prefix="dicomkit-soak-") as folder:
            books = soak(
                Path(folder),
                chosen.count,
                faults,
                retries=retries,
                associations=chosen.associations,
                seed=chosen.seed,
            )
        if retries == 20 and set(books.outcomes) != {"stored"}:
            books.faults.append("with retriable faults only, all should be stored")
        print(f"{name}: {books.instances} instances, {books.rows} attempts, {books.outcomes}")
        gauge = books.gauge
        print(
            f"  the sender's memory grew by {gauge.growth(gauge.resident) / 1e6:.1f} MB, from"
            f" {gauge.resident[0] / 1e6:.1f} to {gauge.resident[-1] / 1e6:.1f} MB;"
            f" at most {max(gauge.descriptors)} descriptors and {max(gauge.threads)} threads"
        )
        for fault in books.faults:
            print(f"  WRONG: {fault}")
        failed = failed or bool(books.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
