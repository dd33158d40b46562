"""The peers themselves: they start, they answer, they keep what they are sent, they stop."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.files import ct_instance, data_set_of, instance_uid, write_ct_files, write_multiframe
from tests.support.peers import (
    HOST,
    PACKAGE_OF,
    Dcmqrscp,
    MissingProgram,
    Orthanc,
    Peer,
    Storescp,
    dcmsend,
    echoscu,
    program,
    storescu,
    wait_for_port,
    wait_until,
)

pytest_plugins = ["pytester"]


def assert_holds_exactly(received: dict[str, Path], sent: list[Path]) -> None:
    assert len(received) == len(sent)
    for index, path in enumerate(sent):
        assert data_set_of(received[instance_uid(index)]) == data_set_of(path)


def test_storescp_keeps_what_storescu_sends(storescp: Storescp, ct_files: list[Path]) -> None:
    assert echoscu(storescp).returncode == 0
    assert storescu(storescp, ct_files).returncode == 0
    assert_holds_exactly(storescp.received(), ct_files)


def test_storescp_takes_any_called_title(storescp: Storescp) -> None:
    assert echoscu(storescp, called="SOMEONE_ELSE").returncode == 0


def test_storescp_writes_into_a_given_folder(tmp_path: Path, ct_files: list[Path]) -> None:
    with Storescp(folder=tmp_path / "in") as peer:
        assert dcmsend(peer, ct_files).returncode == 0
    assert len(list((tmp_path / "in").iterdir())) == len(ct_files)


def test_storescp_that_ignores_keeps_nothing(ct_files: list[Path]) -> None:
    with Storescp(ignore=True) as peer:
        assert storescu(peer, ct_files).returncode == 0
        assert peer.received() == {}


@pytest.mark.parametrize("nodelay", [True, False])
def test_nodelay_is_in_the_environment_of_storescp_only_when_asked_for(nodelay: bool) -> None:
    with Storescp(nodelay=nodelay) as peer:
        assert ("TCP_NODELAY" in psutil.Process(peer.pid).environ()) is nodelay


def test_forking_storescp_serves_two_at_once() -> None:
    with Storescp(fork=True) as peer, socket.create_connection((HOST, peer.port)):
        assert echoscu(peer, "-ta", "5").returncode == 0  # while the other association is being waited for
        children = psutil.Process(peer.pid).children
        wait_until(lambda: len(children()) >= 1, 5.0, "storescp forks")
        forked = children()
    wait_until(lambda: not any(child.is_running() for child in forked), 5.0, "forked children end too")


def test_dcmqrscp_keeps_what_dcmsend_sends(dcmqrscp: Dcmqrscp, ct_files: list[Path]) -> None:
    assert echoscu(dcmqrscp).returncode == 0
    assert dcmsend(dcmqrscp, ct_files).returncode == 0
    assert_holds_exactly(dcmqrscp.received(), ct_files)


def test_orthanc_keeps_what_storescu_sends_and_forgets_it_when_told(
    orthanc: Orthanc, ct_files: list[Path]
) -> None:
    assert echoscu(orthanc).returncode == 0
    assert storescu(orthanc, ct_files).returncode == 0
    assert set(orthanc.instances()) == {instance_uid(index) for index in range(len(ct_files))}
    assert data_set_of(orthanc.instance(instance_uid(3))) == data_set_of(ct_files[3])
    orthanc.clear()
    assert orthanc.instances() == {}


@pytest.mark.parametrize(
    "make", [Dcmqrscp, lambda: Orthanc(check_called_aet=True)], ids=["dcmqrscp", "orthanc"]
)
def test_an_archive_rejects_another_called_title(make: Callable[[], Peer]) -> None:
    with make() as peer:
        rejected = echoscu(peer, called="SOMEONE_ELSE")
    assert rejected.returncode != 0
    assert "Called AE Title Not Recognized" in rejected.stdout


def test_a_peer_does_not_answer_any_more_once_stopped() -> None:
    with Storescp() as peer:
        wait_for_port(peer.port)
        pid = peer.pid
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, peer.port))


def test_a_peer_tries_another_port_when_its_own_was_taken_in_the_meantime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server((HOST, 0)) as taken:
        ports = iter([taken.getsockname()[1], 0])
        choose = Storescp.choose_ports

        def choose_taken_first(peer: Storescp) -> None:
            choose(peer)
            peer.port = next(ports) or peer.port

        monkeypatch.setattr(Storescp, "choose_ports", choose_taken_first)
        with Storescp() as peer:
            assert peer.port != taken.getsockname()[1]
            assert echoscu(peer).returncode == 0


def test_a_peer_that_cannot_start_shows_what_it_wrote() -> None:
    with pytest.raises(RuntimeError, match="nosuchoption"):
        Storescp(options=["--nosuchoption"]).start()


def test_the_output_of_a_peer_is_kept_after_it_stopped() -> None:
    with Storescp(options=["-v"]) as peer:
        assert echoscu(peer).returncode == 0
    assert "Received Echo Request" in peer.output()


@pytest.mark.skipif(sys.platform != "linux", reason="a parent-death signal is Linux's")
def test_a_peer_ends_when_the_test_run_is_killed() -> None:
    program("storescp")  # or there is none
    code = (
        "import sys; from tests.support.peers import Storescp\n"
        "print(Storescp().start().pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        peer = psutil.Process(int(run.stdout.readline()))
        assert peer.name() == "storescp"
        run.kill()
        run.wait()
        wait_until(lambda: not peer.is_running(), 5.0, "the peer ends")


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(MissingProgram, match=r"dcm2pnm is not on the PATH.*sudo apt install dcmtk"):
        program("dcm2pnm")


@pytest.mark.parametrize("package", sorted(set(PACKAGE_OF.values())))
def test_a_package_has_the_programs_that_a_skip_says_it_has(package: str) -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("this is no Debian")
    done = subprocess.run([dpkg, "--listfiles", package], capture_output=True, text=True)
    if done.returncode:
        raise MissingProgram(next(name for name, its in PACKAGE_OF.items() if its == package))
    installed = {Path(line).name for line in done.stdout.splitlines() if "bin/" in line}
    assert {name for name, its in PACKAGE_OF.items() if its == package} <= installed


@pytest.mark.parametrize(("ci", "expected"), [("", {"skipped": 1}), ("true", {"failed": 1})])
def test_a_missing_program_skips_a_test_but_fails_it_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, expected: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        "from tests.support.peers import program\ndef test_it() -> None:\n    program('a-program-of-nobody')"
    )
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(**expected)


def test_a_failing_test_shows_the_output_of_its_peers(pytester: pytest.Pytester) -> None:
    program("storescp")  # or there is none
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        """
        from tests.support.peers import Storescp, echoscu
        def test_it():
            with Storescp(options=["-v"]) as peer:
                assert echoscu(peer).returncode == 99
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*Output of storescp on port *", "*Received Echo Request*"])


def test_a_run_that_passed_ends_by_saying_what_to_do_next(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest("-p", "no:cacheprovider").stdout.fnmatch_lines(["*./run demo*README.md*"])


def test_a_run_without_peers_says_once_for_each_package_what_is_missing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "")
    monkeypatch.setenv("PATH", os.devnull)
    pytester.makeconftest("from tests.conftest import *")
    pytester.makepyfile(
        """
        import pytest
        from tests.support.peers import program
        def test_passes(): pass
        @pytest.mark.parametrize("name", ["dcmdump", "storescp", "dcm2pnm", "Orthanc"])
        def test_with(name): program(name)
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider", "-ra")
    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]3] *lacks the Debian package dcmtk",
            "SKIPPED [[]1] *lacks the Debian package orthanc",
            "*what next*",
            "3 skipped for want of dcmtk",
            "1 skipped for want of orthanc",
            "*sudo apt install dcmtk orthanc",
            "*/usr/sbin*",
            "*./run demo*README.md*",
        ]
    )


def test_no_leaks_finds_a_thread_and_a_socket_left_behind(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import tests.conftest\ntests.conftest.LEAK_SECONDS = 0.1\nfrom tests.conftest import *"
    )
    pytester.makepyfile(
        """
        import socket, threading
        kept = []
        def test_socket(no_leaks):
            kept.append(socket.create_server(("127.0.0.1", 0)))
        def test_thread(no_leaks):
            kept.append(threading.Event())
            threading.Thread(target=kept[-1].wait, name="forgotten", daemon=True).start()
        def test_tidy(no_leaks):
            socket.create_server(("127.0.0.1", 0)).close()
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*left open: *socket*", "*left open: *forgotten*"])


def test_made_files_differ_in_their_instance_only(tmp_path: Path) -> None:
    from pydicom import dcmread

    paths = write_ct_files(tmp_path, 3, rows=8, columns=8, study_uid="1.2.3", series_uid="1.2.3.4", first=5)
    seen = [dcmread(path) for path in paths]
    assert [ds.SOPInstanceUID for ds in seen] == [instance_uid(n, series_uid="1.2.3.4") for n in (5, 6, 7)]
    assert [ds.file_meta.MediaStorageSOPInstanceUID for ds in seen] == [ds.SOPInstanceUID for ds in seen]
    assert {(ds.StudyInstanceUID, ds.SeriesInstanceUID) for ds in seen} == {("1.2.3", "1.2.3.4")}
    assert [int(ds.InstanceNumber) for ds in seen] == [6, 7, 8]
    assert ct_instance(5, rows=8, columns=8, study_uid="1.2.3", series_uid="1.2.3.4") == paths[0].read_bytes()


def test_a_multiframe_is_whole(tmp_path: Path) -> None:
    from pydicom import dcmread

    assert dcmread(write_multiframe(tmp_path / "mf.dcm", frames=3, rows=8, columns=4)).pixel_array.shape == (
        3,
        8,
        4,
    )


def test_wait_until_says_what_never_came() -> None:
    with pytest.raises(TimeoutError, match=r"not within 0.01 s: a sign"):
        wait_until(threading.Event().is_set, 0.01, "a sign")
