"""``python -m tests.soak``: a long batch to a receiver that fails at random, and the books balanced afterwards.

Two runs. With every fault at 1% each instance has a final row, and what the ledger and the rows say is stored is what
the receiver has, but for rows that say the peer may hold the instance. With retriable faults only, all are stored.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from dicomkit import Ledger, LocalSCP, send_batch
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
from tests.files import instance_uid, write_ct_files

TIMEOUT_SECONDS = 1
CHANCE = 0.01
DOUBT = "may have stored"


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
    growth_bytes: int
    faults: list[str]


def soak(
    folder: Path, count: int, faults: Sequence[Fault], *, retries: int, associations: int, seed: int
) -> Books:
    """Send `count` instances (a few files under many names) and compare rows, ledger and receiver."""
    paths = write_ct_files(folder / "files", count)
    process = psutil.Process()
    ledger = folder / f"soak-{seed}.sqlite"
    with LocalSCP(faults=faults, seed=seed, keep_bytes=0, server="sockets") as scp:
        descriptors, threads = process.num_fds(), process.num_threads()
        memory = process.memory_info().rss
        batch = send_batch(
            scp.setting(timeout_seconds=TIMEOUT_SECONDS),
            _each(paths),
            associations=associations,
            retries=retries,
            give_up_after=3600.0,
            ledger=ledger,
        )
        growth = process.memory_info().rss - memory
        left_open = process.num_fds() - descriptors
        received = scp.received
    has = set(received[received.stored].sop_instance_uid)
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
    if left_open > 5:
        wrong.append(f"{left_open} descriptors were left open")
    if process.num_threads() > threads + 5:
        wrong.append(f"{process.num_threads() - threads} threads were left")
    return Books(count, len(attempts), {str(o): n for o, n in batch.outcomes.items()}, growth, wrong)


def _each(paths: Sequence[Path]) -> Iterator[Path]:
    yield from paths


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="instances (100000)")
    parser.add_argument("--associations", type=int, default=8, metavar="N")
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
        print(f"  memory grew by {books.growth_bytes / 1e6:.0f} MB")
        for fault in books.faults:
            print(f"  WRONG: {fault}")
        failed = failed or bool(books.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
