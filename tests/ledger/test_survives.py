"""kill -9 at any moment: the ledger opens, has lost nothing that it had, and claims nothing that the peer has not.

Twenty moments by default; ``DICOMKIT_KILLS=200`` for more of them.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from dicomkit import DicomSenderSetting, Ledger, LocalSCP, Outcome, send_batch
from dicomkit.ledger._schema import _SCHEMA
from dicomkit.ledger._writer import GROUP_ROWS
from tests.support.files import write_ct_files
from tests.support.peers import wait_until

KILLS = int(os.environ.get("DICOMKIT_KILLS", "20"))
INSTANCES = 450

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="kill -9 as POSIX has it"),
    pytest.mark.timeout(60 + 5 * KILLS),
]

SENDER = """
import sys
from dicomkit import DicomSenderSetting, send_batch
port, folder, path, associations = sys.argv[1:]
send_batch(DicomSenderSetting(remote_port=int(port)), folder, ledger=path, associations=int(associations))
"""


class Receiver:
    """Counts what it has, and kills the sender when it has so much, before it answers."""

    def __init__(self) -> None:
        self.has: Counter[str] = Counter()
        self.kill_at = 0
        self.seen: set[tuple[str, int]] = set()
        self.sender: subprocess.Popen[bytes] | None = None
        self.ledger = Path()
        self._lock = threading.Lock()

    def take(self, row: dict[str, Any]) -> None:
        with self._lock:
            self.has[row["sop_instance_uid"]] += 1
            if self.has.total() == self.kill_at:
                self.kill()

    def kill(self) -> None:
        """Remember what the ledger has, and kill the sender."""
        assert self.sender is not None
        if self.ledger.exists():
            self.seen = stored_in(self.ledger)
        self.sender.send_signal(signal.SIGKILL)


def stored_in(path: Path) -> set[tuple[str, int]]:
    """SOP Instance UIDs and instance numbers that the ledger calls stored."""
    frame = Ledger(path).to_frame()
    stored = frame[frame.outcome == "stored"]
    return set(zip(stored.sop_instance_uid, stored.instance, strict=True))


def start(scp: LocalSCP, folder: Path, ledger: Path, associations: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SENDER, str(scp.port), str(folder), str(ledger), str(associations)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def count(scp: LocalSCP, what: str) -> int:
    return [event.what for event in scp.events].count(what)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("instances")
    write_ct_files(folder, INSTANCES, rows=4, columns=4)
    return folder


@pytest.fixture(scope="module")
def seconds(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long the sender takes when nobody kills it."""
    with LocalSCP(keep_bytes=0) as scp:
        begin = monotonic()
        sender = start(scp, folder, tmp_path_factory.mktemp("ledger") / "batch.sqlite", 1)
        _, errors = sender.communicate(timeout=60)
        assert sender.returncode == 0, errors
        return monotonic() - begin


@pytest.mark.parametrize("turn", range(KILLS))
def test_a_killed_batch_leaves_a_true_ledger(turn: int, folder: Path, seconds: float, tmp_path: Path) -> None:
    dice = random.Random(turn)
    receiver = Receiver()
    receiver.ledger = path = tmp_path / "batch.sqlite"
    associations = dice.choice([1, 1, 3])
    by_count = turn % 2 == 0
    receiver.kill_at = dice.randrange(1, INSTANCES) if by_count else 0
    with LocalSCP(keep_bytes=0, on_received=receiver.take) as scp:
        receiver.sender = start(scp, folder, path, associations)
        try:
            receiver.sender.wait(60 if by_count else dice.uniform(0.1, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            receiver.kill()
        _, errors = receiver.sender.communicate(timeout=60)
        assert receiver.sender.returncode in (0, -signal.SIGKILL), errors
        # What was on its way when the sender was killed still arrives.
        wait_until(lambda: count(scp, "closed") >= count(scp, "accepted"), 20, "the last association ends")
        received = Counter(receiver.has)
        receiver.kill_at = 0

        held: set[tuple[str, int]] = set()
        if path.exists():  # it may have been killed before
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            held = stored_in(path)
            batches = Ledger(path).batches()
            assert batches.stored.sum() == len(held)
            assert batches.ended_at.isna().all() or len(held) == INSTANCES
        assert held >= receiver.seen  # no committed row is lost
        assert {uid for uid, _ in held} <= set(received)  # and none invented
        assert len(received) - len(held) <= 2 * GROUP_ROWS + associations

        batch = send_batch(scp.setting(), folder, ledger=path)
        assert batch.ok
        assert batch.outcomes.get(Outcome.SKIPPED, 0) == len(held)
        sent_again = [uid for uid, count in receiver.has.items() if count > 1]
        assert len(sent_again) == len(received) - len(held)
    assert len(stored_in(path)) == len(receiver.has) == INSTANCES


OPENED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from dicomkit.ledger import _file, _schema

def make_some(connection):
    for statement in _schema._SCHEMA[: int(sys.argv[2])]:
        connection.execute(statement)
    os.kill(os.getpid(), signal.SIGKILL)

_file.make_tables = make_some
_file.open_for_writing(Path(sys.argv[1]))
"""


def open_and_be_killed(path: Path, after_statements: int) -> None:
    command = [sys.executable, "-c", OPENED_AND_KILLED, str(path), str(after_statements)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL


def test_a_sender_killed_while_it_makes_the_ledger_is_no_obstacle(tmp_path: Path) -> None:
    """What may be left beside it then is a file under a name of its own, and no ledger by half."""
    path = tmp_path / "batch.sqlite"
    for statements in range(len(_SCHEMA) + 1):
        open_and_be_killed(path, statements)
        assert not path.exists()
    send_batch(DicomSenderSetting(disabled=True), [], ledger=path)
    assert len(Ledger(path).batches()) == 1
