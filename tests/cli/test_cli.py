"""The dicomkit command: run as a user runs it, in a process of its own, against real peers and the local SCP."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomkit import DicomSenderSetting, LocalSCP, read_results
from dicomkit._support.quantities import in_bytes
from dicomkit.cli._exit import WrongUsage
from dicomkit.cli._main import new_parser
from dicomkit.cli._negotiation import lines_of
from dicomkit.cli._progress import Tally
from dicomkit.cli._terminal import printable, table
from dicomkit.cli.scp import FAULTS, fault_lines, parse_fault
from dicomkit.events import AssociationClosed, AssociationOpened, Scanned, Waiting
from dicomkit.samples import sample_folder, sample_settings
from dicomkit.scp import Abort, Delay, RefuseClass, RejectAssociation, Silence, Status
from tests.support.files import write_ct_files
from tests.support.peers import Dcmqrscp, Storescp, free_port

SECONDS = 60
HEAVY = {
    "pandas",
    "numpy",
    "pydicom",
    "pynetdicom",
    "pyarrow",
    "uuid",
    "logging",
    "zipfile",
    "tempfile",
    "shutil",
}
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")


def environment(**changes: str) -> dict[str, str]:
    left_out = ("COLUMNS", "NO_COLOR", "TERM", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"COLUMNS": "100"} | changes


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "dicomkit", *map(str, arguments)]


def dicomkit(
    *arguments: str | Path, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with its output in pipes."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        cwd=cwd,
        env=environment(PYTHONUTF8="1", **variables),
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def scp() -> Iterator[LocalSCP]:
    with LocalSCP() as receiver:
        yield receiver


@pytest.fixture
def to(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes the setting of a peer to a file and gives its path."""

    def write(peer: Any) -> Path:
        path = tmp_path / "setting.json"
        peer.setting(our_aet="DICOMKIT", timeout_seconds=30).save(path)
        return path

    return write


To = Callable[[Any], Path]


# send


def test_a_ledger_skips_what_the_peer_has_and_all_is_well(
    storescp: Storescp, ct_files: list[Path], to: To, tmp_path: Path
) -> None:
    ledger = tmp_path / "sent.sqlite"
    first = dicomkit("send", to(storescp), *ct_files[:4], "--ledger", ledger)
    assert first.returncode == 0, first.stderr
    again = dicomkit("send", to(storescp), ct_files[0].parent, "--ledger", ledger)
    assert again.returncode == 0, again.stderr
    assert re.search(r"^skipped +4$", again.stdout, re.M)
    assert re.search(r"^stored +6$", again.stdout, re.M)
    assert f"Ledger: {ledger}" in again.stdout
    anew = dicomkit("send", to(storescp), ct_files[0].parent, "--ledger", ledger, "--no-resume")
    assert re.search(r"^stored +10$", anew.stdout, re.M)


def test_a_ledger_that_is_none_is_wrong_usage(storescp: Storescp, ct_files: list[Path], to: To) -> None:
    done = dicomkit("send", to(storescp), ct_files[0], "--ledger", ct_files[1])
    assert done.returncode == 2
    assert "--ledger" in done.stderr
    assert not storescp.received()


def test_pace_and_conversion_are_options(storescp: Storescp, ct_files: list[Path], to: To) -> None:
    options = ["--max-rate", "500", "--instances-per-association", "3", "--no-transcode"]
    done = dicomkit("send", to(storescp), *ct_files, *options, "-v")
    assert done.returncode == 0, done.stderr
    assert len(storescp.received()) == 10
    assert done.stderr.count("it has carried 3 instances") == 3


def test_send_to_storescp_counts_what_was_stored_and_exits_0(
    storescp: Storescp, ct_files: list[Path], to: To
) -> None:
    done = dicomkit("send", to(storescp), ct_files[0].parent)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^stored +10$", done.stdout, re.M)
    assert "10 instances" in done.stdout
    assert len(storescp.received()) == 10


def test_send_says_each_cause_once_with_its_first_sources(
    scp: LocalSCP, ct_files: list[Path], to: To
) -> None:
    with LocalSCP(faults=[Status(0xC123)]) as refusing:
        done = dicomkit("send", to(refusing), *ct_files, COLUMNS="72")
    assert done.returncode == 1
    assert re.search(r"^failed +10$", done.stdout, re.M)
    assert done.stdout.count("0xC123") == 1
    assert "failed, status 0xC123: 10 instances" in done.stdout
    assert all(str(path) in done.stdout for path in ct_files[:3])
    assert str(ct_files[3]) not in done.stdout
    assert "and 7 more" in done.stdout
    prose = [line for line in done.stdout.splitlines() if str(ct_files[0].parent) not in line]
    assert max(map(len, prose)) <= 72


def test_a_warning_status_is_told_and_still_exits_0(ct_files: list[Path], to: To) -> None:
    with LocalSCP(faults=[Status(0xB000, every=2)]) as peer:
        done = dicomkit("send", to(peer), *ct_files)
    assert done.returncode == 0
    assert "stored_with_warning, status 0xB000: 5 instances" in done.stdout


def test_a_path_that_is_not_there_is_a_row_and_exit_1(
    scp: LocalSCP, ct_files: list[Path], to: To, tmp_path: Path
) -> None:
    done = dicomkit(
        "send", to(scp), ct_files[0], tmp_path / "nowhere.dcm", "--results", tmp_path / "rows.csv"
    )
    assert done.returncode == 1
    assert "nowhere.dcm" in done.stdout
    assert sorted(read_results(tmp_path / "rows.csv")["outcome"]) == ["stored", "unreadable"]


def test_a_folder_without_dicom_is_nothing_to_send_and_exit_1(scp: LocalSCP, to: To, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no DICOM")
    done = dicomkit("send", to(scp), tmp_path / "notes")
    assert done.returncode == 1
    assert "nothing to send" in done.stdout
    assert "1 file passed over" in done.stdout


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_results_are_readable_rows_of_every_attempt(
    suffix: str, scp: LocalSCP, ct_files: list[Path], to: To, tmp_path: Path
) -> None:
    path = tmp_path / f"rows.{suffix}"
    done = dicomkit("send", to(scp), *ct_files, "--results", path, "--associations", "2")
    assert done.returncode == 0, done.stderr
    rows = read_results(path)
    assert sorted(rows["source"]) == sorted(map(str, ct_files))
    assert set(rows["outcome"]) == {"stored"}
    assert f"Rows: {path}" in done.stdout


def test_retries_and_attempts_are_counted(ct_files: list[Path], to: To) -> None:
    with LocalSCP(faults=[Status(0xA700, times=1)]) as peer:
        done = dicomkit("send", to(peer), *ct_files[:3])
    assert done.returncode == 0
    assert "3 instances in 4 attempts" in done.stdout


def test_retries_0_tries_once(ct_files: list[Path], to: To) -> None:
    with LocalSCP(faults=[Status(0xA700, times=1)]) as peer:
        done = dicomkit("send", to(peer), *ct_files[:3], "--retries", "0")
    assert done.returncode == 1
    assert re.search(r"^refused +1$", done.stdout, re.M)


def test_options_replace_what_the_setting_says(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "setting.json"
    DicomSenderSetting(remote_host="nowhere.invalid", remote_port=1, remote_aet="NOT_IT").save(path)
    where = ["--host", dcmqrscp.host, "--port", str(dcmqrscp.port), "--timeout", "20", "--calling", "ME"]
    wrong = dicomkit("send", path, ct_files[0], *where)
    assert wrong.returncode == 1
    assert "NOT_IT" in wrong.stdout
    right = dicomkit("send", path, ct_files[0], *where, "--called", dcmqrscp.aet, "--no-pack-pdv")
    assert right.returncode == 0, right.stdout + right.stderr
    assert DicomSenderSetting.load(path).remote_host == "nowhere.invalid"


def test_a_disabled_setting_sends_nothing_and_exits_1(
    scp: LocalSCP, ct_files: list[Path], tmp_path: Path
) -> None:
    scp.setting(disabled=True).save(tmp_path / "s.json")
    done = dicomkit("send", tmp_path / "s.json", *ct_files)
    assert done.returncode == 1
    assert re.search(r"^skipped +10$", done.stdout, re.M)
    assert scp.received.empty


def test_warnings_of_the_setting_are_said_before_sending(
    scp: LocalSCP, ct_files: list[Path], tmp_path: Path
) -> None:
    scp.setting(message_type=12, remote_aet="ANY_SCP").save(tmp_path / "s.json")
    done = dicomkit("send", tmp_path / "s.json", ct_files[0])
    assert done.returncode == 0
    assert "warning: MessageType" in done.stderr
    assert "Traceback" not in done.stderr


# -v


def test_verbose_shows_negotiation_and_every_instance_without_patient_data_or_paths(to: To) -> None:
    with LocalSCP(faults=[RefuseClass("1.2.840.10008.5.1.4.1.1.104.1"), Status(0xA700, times=1)]) as peer:
        done = dicomkit("send", to(peer), sample_folder(), "-v")
    assert done.returncode == 1
    said = done.stderr
    assert re.search(r"calling 'ANY_SCP' at 127\.0\.0\.1:\d+ as 'DICOMKIT'", said)
    assert re.search(r"association 1: accepted by DICOMKIT_SCP .*PDUs up to 131072 bytes", said)
    assert "CT Image Storage in Explicit VR Little Endian: accepted" in said
    assert (
        "Encapsulated PDF Storage in Explicit VR Little Endian: not accepted, the SOP class is not supported"
        in said
    )
    assert "will be tried again" in said
    assert said.count("0x0000 Success") == 26
    assert "released" in said
    assert str(sample_folder()) not in said
    assert_no_patient_in(done)


def assert_no_patient_in(done: subprocess.CompletedProcess[str]) -> None:
    for word in ("Phantom", "Ada", "Tarou", "Yamada", "山田", "DK-0001"):
        assert not re.search(rf"\b{word}\b", done.stdout + done.stderr), word


def test_the_negotiation_names_what_the_standard_numbers() -> None:
    opened = AssociationOpened(
        3, "1.2.3", "PEER_1", 0, ((1, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2",), 4, ""),)
    )
    assert lines_of(opened) == [
        "association 3: accepted by PEER_1 (1.2.3); PDUs of any length; 0 of 1 context accepted",
        "  context   1: CT Image Storage in Implicit VR Little Endian: "
        "not accepted, none of the transfer syntaxes is supported (4)",
    ]
    assert lines_of(AssociationClosed(3, "released", 1)) == ["association 3: released; it carried 1 instance"]
    assert lines_of(Scanned(1, 0, False)) == []


# Wrong usage and wrong settings


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["send"],
        ["send", "SETTING"],
        ["send", "SETTING", "FILE", "--associations", "0"],
        ["send", "SETTING", "FILE", "--associations", "many"],
        ["send", "SETTING", "FILE", "--retries", "-1"],
        ["send", "SETTING", "FILE", "--give-up-after", "0"],
        ["send", "SETTING", "FILE", "--port", "70000"],
        ["send", "SETTING", "FILE", "--calling", "FAR_TOO_LONG_A_TITLE"],
        ["send", "SETTING", "FILE", "--timeout", "0"],
        ["send", "SETTING", "FILE", "--results", "rows.txt"],
        ["send", "SETTING", "FILE", "--results", "/nowhere/at/all/rows.csv"],
        ["send", "nowhere.json", "FILE"],
        ["echo", "nowhere.json"],
        ["probe", "nowhere.json"],
        ["explain", "nowhere.json"],
        ["new-setting", "--port", "0"],
        ["scp", "--fault", "Nonsense"],
        ["scp", "--fault", "Status"],
        ["scp", "--aet", ""],
        ["scp", "--port", "99999"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_wrong_usage_exits_2_and_says_so_in_a_line_or_two(arguments: list[str], tmp_path: Path) -> None:
    DicomSenderSetting(remote_aet="PEER", our_aet="ME").save(tmp_path / "SETTING")
    done = dicomkit(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_every_faulty_setting_is_refused_with_the_place_of_each_fault() -> None:
    for path in sorted((sample_settings() / "faulty").glob("*.json")):
        done = dicomkit("send", path, "nothing.dcm")
        assert done.returncode == 2, path
        for line in done.stderr.splitlines():
            assert re.match(rf"dicomkit: {re.escape(str(path))}:\d+:\d+: .+; .+", line), line
    several = dicomkit("explain", sample_settings() / "faulty" / "several-faults.json")
    assert len(several.stderr.splitlines()) == 3


def test_a_setting_that_loads_but_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = sample_settings() / "surprising" / "timeout-zero.json"
    done = dicomkit("send", path, "nothing.dcm")
    assert done.returncode == 2
    assert re.search(r"timeout-zero\.json:\d+:\d+: TimeoutSeconds", done.stderr)


# echo, probe


def test_echo_exits_0_when_the_peer_answers_and_1_when_not(dcmqrscp: Dcmqrscp, to: To) -> None:
    good = dicomkit("echo", to(dcmqrscp))
    assert good.returncode == 0
    assert good.stdout.startswith("answered, status 0x0000")
    wrong = dicomkit("echo", to(dcmqrscp), "--called", "NOT_IT")
    assert wrong.returncode == 1
    assert "'NOT_IT'" in wrong.stdout
    nobody = dicomkit("echo", to(dcmqrscp), "--port", str(free_port()))
    assert nobody.returncode == 1
    assert nobody.stdout.startswith("connection_failed")


def test_probe_says_what_is_taken_of_what_the_paths_hold(to: To) -> None:
    with LocalSCP(faults=[RefuseClass("1.2.840.10008.5.1.4.1.1.104.1")]) as peer:
        done = dicomkit("probe", to(peer), sample_folder())
        fine = dicomkit("probe", to(peer), sample_folder() / "ct-abdomen")
    assert done.returncode == 1
    assert "not accepted: 1 SOP class\n    Encapsulated PDF Storage\n" in done.stdout
    assert "the SOP class is not supported" in done.stdout
    assert fine.returncode == 0
    assert peer.received.empty
    assert_no_patient_in(done)


def test_probe_without_paths_asks_for_everything_and_names_a_few(storescp: Storescp, to: To) -> None:
    short, long = dicomkit("probe", to(storescp)), dicomkit("probe", to(storescp), "--all")
    assert short.returncode == long.returncode == 0
    assert "--all names them" in short.stdout
    assert "CT Image Storage" in long.stdout
    assert len(long.stdout) > len(short.stdout)


def test_probe_of_nobody_exits_1(tmp_path: Path) -> None:
    DicomSenderSetting(remote_port=free_port(), remote_aet="PEER").save(tmp_path / "s.json")
    done = dicomkit("probe", tmp_path / "s.json", sample_folder())
    assert done.returncode == 1
    assert done.stdout.startswith("no answer")


# explain, new-setting


def test_explain_has_every_field_and_then_the_problems() -> None:
    path = sample_settings() / "surprising" / "from-type-as-message-type.json"
    done = dicomkit("explain", path, COLUMNS="70")
    assert done.returncode == 0
    for field in json.loads(path.read_text()):
        assert re.search(rf"^{re.escape(field)} =\s", done.stdout, re.M), field
    assert re.search(r"^  warning  MessageType \(line 6\)$", done.stdout, re.M)
    assert max(map(len, done.stdout.splitlines())) <= 70


def test_new_setting_writes_one_that_loads_and_replaces_no_file(tmp_path: Path) -> None:
    path = tmp_path / "pacs.json"
    options = [
        "--host",
        "pacs.example",
        "--port",
        "11112",
        "--called",
        "PACS",
        "--calling",
        "ME",
        "--timeout",
        "5",
    ]
    printed = dicomkit("new-setting", *options, "--name", "To the PACS")
    assert DicomSenderSetting.from_json(printed.stdout).name == "To the PACS"
    assert dicomkit("new-setting", *options, "-o", path).returncode == 0
    setting = DicomSenderSetting.load(path)
    assert (setting.remote_host, setting.remote_port, setting.remote_aet) == ("pacs.example", 11112, "PACS")
    assert (setting.our_aet, setting.timeout_seconds) == ("ME", 5)
    before = path.read_bytes()
    assert dicomkit("new-setting", "-o", path).returncode == 2
    assert path.read_bytes() == before


# demo, scp


def test_demo_ends_with_the_table_a_failure_explained_and_what_next(tmp_path: Path) -> None:
    done = dicomkit("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ct-abdomen +CT Image +12 .* stored$", done.stdout, re.M)
    assert re.search(r"^stored +26$", done.stdout, re.M)
    assert "not_accepted: 1 instance" in done.stdout
    assert "What next" in done.stdout
    assert_no_patient_in(done)


@POSIX_ONLY
def test_scp_receives_until_ctrl_c(ct_files: list[Path], tmp_path: Path) -> None:
    arguments = [
        "scp",
        "--port",
        "0",
        "--aet",
        "HERE",
        "--output",
        str(tmp_path / "kept"),
        "--fault",
        "Status:0xA700,times=1",
    ]
    receiver = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert receiver.stdout is not None
        first = receiver.stdout.readline()
        second = receiver.stdout.readline()
        found = re.search(r"HERE listens at 127\.0\.0\.1:(\d+)", first)
        assert found is not None, first
        DicomSenderSetting(remote_port=int(found[1]), remote_aet="HERE", our_aet="ME").save(
            tmp_path / "s.json"
        )
        sent = dicomkit("send", tmp_path / "s.json", *ct_files[:3])
        receiver.send_signal(signal.SIGINT)
        out, err = receiver.communicate(timeout=SECONDS)
    finally:
        receiver.kill()
    assert sent.returncode == 0, sent.stdout
    assert receiver.returncode == 0
    assert out.count("0x0000  CT Image Storage") == 3
    assert second == "with Status(status=0xA700, times=1)\n"
    assert out.count("0xA700") == 1
    assert "Traceback" not in err
    assert len(list((tmp_path / "kept").rglob("*.dcm"))) == 3


def test_scp_says_when_its_port_is_taken(scp: LocalSCP) -> None:
    done = dicomkit("scp", "--port", str(scp.port))
    assert done.returncode == 2
    assert str(scp.port) in done.stderr
    assert "--port" in done.stderr


def test_faults_are_written_as_name_and_values() -> None:
    assert parse_fault("Status:0xA700,every=3") == Status(0xA700, every=3)
    assert parse_fault("abort:data,times=1") == Abort("data", times=1)
    assert parse_fault("Delay:0.5") == Delay(0.5)
    assert parse_fault("RefuseClass:1.2.840.10008.5.1.4.1.1.2") == RefuseClass("1.2.840.10008.5.1.4.1.1.2")
    assert parse_fault("RejectAssociation") == RejectAssociation()


@pytest.mark.parametrize(
    "text", ["Nonsense", "Status", "Status:0xA700,every=0", "Status:1,nothing=2", "Abort:nowhere"]
)
def test_faults_that_cannot_be_are_refused_by_name(text: str) -> None:
    with pytest.raises(WrongUsage, match=re.escape(text)):
        parse_fault(text)


def test_every_fault_is_listed_with_what_it_does() -> None:
    lines = fault_lines()
    for name in FAULTS:
        assert any(re.match(rf"{name}\b", line) for line in lines)


# Interrupted


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )


@POSIX_ONLY
def test_ctrl_c_finishes_what_is_under_way_writes_the_rows_and_exits_130(tmp_path: Path, to: To) -> None:
    files = write_ct_files(tmp_path / "many", 200)
    with LocalSCP(faults=[Delay(0.05)]) as peer:
        running = start("send", to(peer), *files, "--results", tmp_path / "rows.csv")
        try:
            peer.wait_for("stored", times=3, timeout_seconds=20)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=SECONDS)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "Ctrl-C again" in err
    assert "Traceback" not in err
    rows = read_results(tmp_path / "rows.csv")
    counts = rows["outcome"].value_counts()
    assert len(rows) == 200
    assert counts["stored"] == len(peer.received) >= 3
    assert counts["stored"] + counts["cancelled"] == 200
    assert re.search(rf"^cancelled +{counts['cancelled']}$", out, re.M)
    assert "Interrupted." in out


@POSIX_ONLY
def test_ctrl_c_twice_aborts_at_once(tmp_path: Path, ct_files: list[Path], to: To) -> None:
    with LocalSCP(faults=[Silence("response")]) as peer:
        running = start("send", to(peer), *ct_files, "--results", tmp_path / "rows.csv", "--timeout", "600")
        try:
            peer.wait_for("fault", timeout_seconds=20)
            running.send_signal(signal.SIGINT)
            assert running.stderr is not None
            while "Ctrl-C again" not in running.stderr.readline():
                pass
            assert running.poll() is None
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=SECONDS)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "aborting" in err
    rows = read_results(tmp_path / "rows.csv")
    assert set(rows["outcome"]) == {"cancelled"}
    assert len(rows) == 10
    assert "may have stored it" in out


@POSIX_ONLY
def test_a_reader_that_has_gone_changes_neither_the_sending_nor_its_exit_status(
    scp: LocalSCP, ct_files: list[Path], to: To
) -> None:
    running = start("send", to(scp), *ct_files, "-v")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    running.stderr.close()
    assert running.wait(SECONDS) == 0
    assert len(scp.received) == 10
    shown = start("explain", sample_settings() / "local-scp.json")
    assert shown.stdout is not None
    shown.stdout.close()
    _, err = shown.communicate(timeout=SECONDS)
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_behind_standard_output_is_a_line_and_exit_1(
    scp: LocalSCP, ct_files: list[Path], to: To
) -> None:
    for arguments in (["send", to(scp), *ct_files], ["explain", sample_settings() / "local-scp.json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
            )
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr


# A terminal


def on_terminal(*arguments: str | Path, **variables: str) -> tuple[int, str, float]:
    """Run the command on a pseudo-terminal; its exit status, all it wrote there, and the seconds it took."""
    import pty

    begun = time.monotonic()
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(**({"TERM": "xterm"} | variables)),
    )
    os.close(theirs)
    written = b""
    try:
        while time.monotonic() - begun < SECONDS:
            ready, _, _ = select.select([ours], [], [], 1.0)
            if not ready:
                continue
            try:
                some = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not some:
                break
            written += some
        code = running.wait(SECONDS)
    finally:
        running.kill()
        os.close(ours)
    return code, written.decode(), time.monotonic() - begun


@POSIX_ONLY
def test_a_terminal_gets_a_progress_line_ten_times_a_second_at_most(tmp_path: Path, to: To) -> None:
    files = write_ct_files(tmp_path / "some", 40)
    with LocalSCP(faults=[Delay(0.03), Status(0xC000, every=10)]) as peer:
        code, written, seconds = on_terminal("send", to(peer), *files)
    assert code == 1
    drawn = re.findall(r"(\d+) of \d+(?: found so far)?  [\d.]+/s", written)
    assert 3 <= len(drawn) <= 10 * seconds + 1
    assert list(map(int, drawn)) == sorted(map(int, drawn))
    assert "not stored" in written
    last = written.rsplit("\r\x1b[K", 1)[1]
    assert not re.search(r" \d+/s", last)  # wiped before the summary
    assert "\x1b[32mstored" in last


@POSIX_ONLY
def test_a_terminal_shows_why_the_batch_waits_and_what_one_can_do(
    tmp_path: Path, ct_files: list[Path]
) -> None:
    DicomSenderSetting(remote_port=free_port(), remote_aet="PEER").save(tmp_path / "s.json")
    code, written, _ = on_terminal("send", tmp_path / "s.json", *ct_files, "--give-up-after", "1.5")
    assert code == 1
    refused = r"connection refused: nothing listens at 127\.0\.0\.1:\d+; check RemoteHost and RemotePort"
    assert re.search(rf"^waiting: {refused}, and that the SCP runs\r$", written, re.M)
    assert re.search(r"next try in \d s: connection refused", written)


@pytest.mark.parametrize(("options", "tried"), [((), 3), (("--retries", "0", "--associations", "4"), 1)])
def test_a_wrong_port_exits_1_after_the_retries_of_the_first_instance(
    tmp_path: Path, ct_files: list[Path], options: tuple[str, ...], tried: int
) -> None:
    DicomSenderSetting(remote_port=free_port(), remote_aet="PEER").save(tmp_path / "s.json")
    rows = tmp_path / "rows.csv"
    done = dicomkit("send", tmp_path / "s.json", *ct_files, "--results", rows, *options)
    assert done.returncode == 1
    assert re.search(r"^connection_failed +10$", done.stdout, re.M)
    assert "a second" not in done.stdout
    details = [row["detail"] for row in csv.DictReader(rows.read_text().splitlines())]
    assert [detail.startswith("not tried: connection refused") for detail in details] == (
        [False] * tried + [True] * 9
    )


@POSIX_ONLY
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(
    variables: dict[str, str], scp: LocalSCP, ct_files: list[Path], to: To
) -> None:
    _, written, _ = on_terminal("send", to(scp), *ct_files, **variables)
    assert re.search(r"^stored +10\r$", written, re.M)
    assert "\x1b[3" not in written
    assert "\x1b[1m" not in written


def test_a_pipe_gets_neither_progress_nor_colour(scp: LocalSCP, ct_files: list[Path], to: To) -> None:
    setting = to(scp)
    done = dicomkit("send", setting, *ct_files, "--called", "ANY_SCP", TERM="xterm")
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout


@POSIX_ONLY
def test_file_names_cannot_play_tricks_on_the_terminal(scp: LocalSCP, to: To, tmp_path: Path) -> None:
    (tmp_path / "evil\x1b[2J\u202e.dcm").write_bytes(b"no DICOM at all")
    done = dicomkit("send", to(scp), *tmp_path.glob("evil*"))
    assert done.returncode == 1
    assert r"evil\x1b[2J\u202e.dcm" in done.stdout
    assert "\x1b" not in done.stdout


def test_progress_says_what_is_known() -> None:
    tally = Tally(0.0)
    assert tally.line(0.1, 80) == "0 of 0 found so far"
    tally.note(Scanned(found=200, passed_over=0, is_complete=False), 1.0)
    tally.ended, tally.failed, tally.again, tally.heard_at = 100, 2, 1, 5.0
    assert tally.line(5.0, 80) == "100 of 200 found so far  2 not stored  1 tried again"
    tally.answered = 100
    assert tally.line(5.0, 80) == "100 of 200 found so far  20/s  2 not stored  1 tried again"
    tally.note(Scanned(found=400, passed_over=0, is_complete=True), 5.0)
    assert (
        tally.line(5.0, 100)
        == "[######..................]  100 of 400  20/s  2 not stored  1 tried again  15 s left"
    )
    assert tally.line(9.0, 100).endswith("silent for 4 s")
    tally.note(Waiting(4.0, "connection refused", "check RemotePort"), 9.0)
    assert (
        tally.line(10.0, 120)
        == "100 of 400  2 not stored  1 tried again  next try in 3 s: connection refused; check RemotePort"
    )
    assert len(tally.line(10.0, 40)) == 39


def test_numbers_are_for_people() -> None:
    assert [in_bytes(n) for n in (0, 999, 1000, 9_100, 241_000_000, 999_960, 3.2e12, 4e15)] == [
        *("0 bytes", "999 bytes", "1.0 KB", "9.1 KB", "241 MB", "1.0 MB", "3.2 TB", "4000 TB")
    ]
    assert table([("a", "bbb"), ("cc", "d")], right=(1,)) == ["a   bbb", "cc    d"]
    assert printable("a\nb\tc\x00é") == r"a\nb\tc\x00é"


# Start-up


def loaded_by(*arguments: str | Path) -> set[str]:
    code = (
        "import sys\nfrom dicomkit.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(),
    )
    assert "LOADED" in done.stdout, done.stderr
    before = set(
        subprocess.run(
            [sys.executable, "-c", "import sys; print(*sys.modules)"],
            capture_output=True,
            text=True,
            env=environment(),
        ).stdout.split()
    )
    return {name.partition(".")[0] for name in set(done.stdout.split("LOADED ")[1].split()) - before}


def test_help_and_send_load_nothing_heavy(
    scp: LocalSCP, ct_files: list[Path], to: To, tmp_path: Path
) -> None:
    assert loaded_by("--help") & HEAVY == set()
    setting = to(scp)
    assert loaded_by("send", setting, ct_files[0]) & HEAVY == set()
    written = loaded_by("send", setting, ct_files[0], "-v", "--results", tmp_path / "rows.csv")
    assert written & (HEAVY - {"uuid", "tempfile"}) == set()
    assert len(scp.received) == 2


def test_help_loads_no_room_of_dicomkit() -> None:
    code = (
        "import sys\nfrom dicomkit.cli._main import new_parser\nnew_parser()\n"
        "print(*[m for m in sys.modules if m.startswith('dicomkit')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert set(done.stdout.split()) == {
        "dicomkit",
        "dicomkit.cli",
        "dicomkit.cli._exit",
        "dicomkit.cli._main",
        "dicomkit.cli._options",
        "dicomkit.cli._terminal",
    }


def test_no_option_may_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    parser = new_parser()
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    for one in (parser, *commands.choices.values()):
        assert not one.allow_abbrev, one.prog
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(
            ["send", "--port", "1", "--user", "jane", "--password", "s3cret", "pacs.json", "x.dcm"]
        )
    assert ended.value.code == 2
    assert "unrecognized arguments: --password" in capsys.readouterr().err
