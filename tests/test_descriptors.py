"""Few file descriptors: fewer associations, a note, and everything is sent; each in a process with its own limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomkit import LocalSCP
from dicomkit._support.descriptors import (
    PER_ASSOCIATION,
    associations_that_fit,
    has_room,
    is_shortage,
    lowered,
)
from tests.files import write_ct_files

resource = pytest.importorskip("resource", reason="descriptors are limited on Unix only")

HOST = "127.0.0.1"
SERIES, IN_EACH = 8, 20

# What runs in the process; `held` are descriptors that other parts of it have open.
PROGRAM = """
import json, os, resource, sys, threading
import pandas, sqlite3
from dicomkit import DicomSenderSetting, send_batch
from dicomkit.batch import _run as batch_run
port, folder, limit, options = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
held = []
def hold(left):
    "Open files until there are so many descriptors left."
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        give_back(left)
def give_back(count):
    for _ in range(count):
        os.close(held.pop())
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
host, events = "127.0.0.1", None
exec(sys.argv[5])
setting = DicomSenderSetting(remote_host=host, remote_port=port, remote_aet="ANY-SCP", timeout_seconds=10)
batch = send_batch(setting, folder, on_event=events, **options)
give_back(len(held))
frame = batch.to_frame()
print(json.dumps({
    "ok": batch.ok, "note": batch.note, "rows": len(frame), "outcomes": frame.outcome.value_counts().to_dict(),
    "details": sorted(set(frame.detail)), "passed_over": len(batch.passed_over),
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study")
    for number in range(SERIES):
        write_ct_files(path / f"{number}", IN_EACH, series_uid=f"1.2.826.0.1.3680043.8.498.{number}")
    return path


@pytest.fixture(scope="module")
def scp() -> Iterator[LocalSCP]:
    with LocalSCP(maximum_associations=100, check_called_aet=False) as receiver:
        yield receiver


def sent(scp: LocalSCP, folder: Path, *, limit: int, before: str = "", **options: Any) -> dict[str, Any]:
    """What became of the folder in a process that may have so many files open, where something ran before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(scp.port), str(folder), str(limit), json.dumps(options), before],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


ALL = {"ok": True, "rows": SERIES * IN_EACH, "passed_over": 0}


def expect_all(result: dict[str, Any]) -> str:
    """Check that every instance was stored at its first attempt; return the note."""
    assert {name: result[name] for name in ALL} == ALL, result
    return str(result["note"])


@pytest.mark.parametrize(("limit", "associations"), [(64, 32), (256, 100)])
def test_associations_beyond_the_limit_are_lowered_with_a_note(
    scp: LocalSCP, folder: Path, limit: int, associations: int
) -> None:
    note = expect_all(sent(scp, folder, limit=limit, associations=associations))
    assert note.startswith(f"{associations} associations were lowered to ")
    assert f"this process may have {limit} files open" in note
    assert "ulimit -n" in note


def test_associations_within_the_limit_are_left_alone(scp: LocalSCP, folder: Path) -> None:
    assert expect_all(sent(scp, folder, limit=256, associations=8)) == ""


# Where what is open beside was not foreseen, the batch finds out when something cannot be opened.
UNFORESEEN = "batch_run.associations_that_fit = lambda wanted: (wanted, None)\n"


@pytest.mark.parametrize(
    ("left", "host"), [(4, HOST), (9, HOST), (11, HOST), (17, HOST), (9, "localhost"), (17, "localhost")]
)
def test_whatever_finds_no_descriptor_everything_is_stored(
    scp: LocalSCP, folder: Path, left: int, host: str
) -> None:
    """Four are enough for one association; a name needs some more while it is looked up."""
    before = f"{UNFORESEEN}host = {host!r}\nhold({left})\n"
    note = expect_all(sent(scp, folder, limit=128, before=before, associations=16))
    assert "fewer associations than there might have been" in note


def test_auto_finds_as_many_as_there_are_descriptors_for(scp: LocalSCP, folder: Path) -> None:
    expect_all(sent(scp, folder, limit=128, before=f"{UNFORESEEN}hold(7)\n", associations="auto"))


def test_a_ledger_and_results_have_their_descriptors(scp: LocalSCP, folder: Path, tmp_path: Path) -> None:
    files = {"ledger": str(tmp_path / "sent.sqlite"), "results": str(tmp_path / "rows.csv")}
    expect_all(sent(scp, folder, limit=64, associations=32, **files))


@pytest.mark.parametrize(("left", "associations"), [(0, 1), (1, 3), (2, 1), (3, 3)])
def test_a_shortage_that_passes_is_waited_for(
    scp: LocalSCP, folder: Path, left: int, associations: int
) -> None:
    before = f"{UNFORESEEN}hold({left})\nthreading.Timer(0.5, give_back, [40]).start()\n"
    note = expect_all(sent(scp, folder, limit=128, before=before, associations=associations))
    assert "no file descriptor was free" in note or left == 3


def test_a_shortage_that_comes_and_goes_meanwhile_costs_nothing(scp: LocalSCP, folder: Path) -> None:
    before = UNFORESEEN + (
        "from dicomkit.events import RowAdded\n"
        "rows = []\n"
        "def events(event):\n"
        "    if isinstance(event, RowAdded):\n"
        "        rows.append(event)\n"
        "        if len(rows) == 30:\n"
        "            hold(0)\n"
        "            threading.Timer(0.3, give_back, [20]).start()\n"
    )
    expect_all(sent(scp, folder, limit=128, before=before, associations=4))


def test_a_shortage_without_end_is_given_up_and_every_instance_has_its_row(
    scp: LocalSCP, tmp_path: Path
) -> None:
    files = write_ct_files(tmp_path, 3)
    before = f"{UNFORESEEN}folder = [open(name, 'rb').read() for name in {list(map(str, files))}]\nhold(2)\n"
    result = sent(scp, tmp_path, limit=64, before=before, give_up_after=0.5)
    assert result["outcomes"]["connection_failed"] == result["rows"] == 3
    assert all(
        detail.startswith("not tried: no socket for 127.0.0.1") and "ulimit -n" in detail
        for detail in result["details"]
    )


# The arithmetic


def test_one_association_is_always_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8, 8))
    assert associations_that_fit(1) == (1, None)
    assert associations_that_fit(5) == (1, 8)


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, 1 << 20])
def test_a_limit_that_is_far_away_lowers_nothing(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    fitting, known = associations_that_fit(500)
    assert fitting == 500
    assert lowered(500, fitting, known) == ""


def test_what_is_no_shortage() -> None:
    assert not is_shortage(None)
    assert not is_shortage(FileNotFoundError(2, "no such file"))
    assert is_shortage(OSError(24, "Too many open files"))


@pytest.fixture
def limit_to() -> Iterator[Callable[[int], None]]:
    """Set how many files this process may have open; as before afterwards."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_there_is_room_where_an_association_finds_its_descriptors(limit_to: Callable[[int], None]) -> None:
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(PER_ASSOCIATION)]
    for descriptor in taken:
        os.close(descriptor)
    limit_to(max(taken) + 1)
    assert has_room()
    assert has_room(), "it keeps none"
    limit_to(max(taken))
    assert not has_room()
    assert not has_room(), "it keeps none"
    limit_to(max(taken) + 1)
    assert has_room()
