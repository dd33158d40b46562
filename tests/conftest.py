"""What every test may ask for: peers on free ports, files, and the proof that nothing was left open."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psutil
import pytest

from tests.support import peers
from tests.support.files import write_ct_files
from tests.support.peers import Dcmqrscp, MissingProgram, Orthanc, Storescp, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.browser import JupyterLab, Notebook

LEAK_SECONDS = 5.0


def pytest_configure(config: pytest.Config) -> None:
    # A slow day is no fault: hypothesis's deadline of 200 ms would make one.
    hypothesis.settings.register_profile("dicomkit", deadline=None)
    hypothesis.settings.load_profile("dicomkit")
    # What a shell runs in the background has Ctrl-C ignored, and so would what the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Peers


@pytest.fixture
def storescp() -> Iterator[Storescp]:
    """DCMTK's storescp that takes every transfer syntax and keeps data sets as they came."""
    with Storescp(bit_preserving=True, accept_all=True) as peer:
        yield peer


@pytest.fixture
def dcmqrscp() -> Iterator[Dcmqrscp]:
    """DCMTK's archive that keeps data sets as they came; answers to `DCMQRSCP` only."""
    with Dcmqrscp(bit_preserving=True) as peer:
        yield peer


@pytest.fixture
def orthanc() -> Iterator[Orthanc]:
    """An empty Orthanc that answers to `ORTHANC` only."""
    with Orthanc(check_called_aet=True) as peer:
        yield peer


# Files


@pytest.fixture
def ct_files(tmp_path: Path) -> list[Path]:
    """Ten small CT images of one series, in a folder of their own; `tests.support.files` makes others."""
    return write_ct_files(tmp_path / "ct", 10)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody gets at; pytest's own are for their owner only."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for one in (folder, *folder.rglob("*")):  # or it could not be removed
            one.chmod(0o755)


# A browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for a file; not for the run, since as long as it is there asyncio cannot be used beside it."""
    from tests.support.viewer_page import browser

    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """One JupyterLab for the run."""
    from tests.support.browser import jupyterlab

    with jupyterlab(tmp_path_factory.mktemp("jupyterlab")) as running:
        yield running


@pytest.fixture
def open_notebook(chromium: Browser, lab: JupyterLab) -> Iterator[Callable[..., Notebook]]:
    """Open notebooks of these cells, each in a folder of its own; closing them fails on what was wrong meanwhile."""
    from tests.support.browser import Notebook, write_notebook

    opened: list[Notebook] = []

    def open_one(*cells: str, **options: Any) -> Notebook:
        folder = Path(tempfile.mkdtemp(prefix="journey-", dir=lab.root))
        write_notebook(folder / "journey.ipynb", cells)
        opened.append(Notebook(chromium, lab, f"{folder.name}/journey.ipynb", **options))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()


# Nothing left open


def _open_things() -> set[str]:
    """Threads, sockets and files that this process has open, in words."""
    process = psutil.Process()
    threads = {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}
    sockets = {
        f"socket {one.fd} {one.laddr} to {one.raddr or 'none'} {one.status}"
        for one in process.net_connections("inet")
    }
    files = {f"file {one.fd} {one.path}" for one in process.open_files()}
    return threads | sockets | files


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail the test when it leaves a thread, a socket or a file open; ask for it before the peers."""
    before = _open_things()
    yield
    try:
        wait_until(lambda: _open_things() <= before, LEAK_SECONDS, "everything closed")
    except TimeoutError:
        pytest.fail("left open: " + "; ".join(sorted(_open_things() - before)))


# What a run says

# The reason of a skip names the package and not the program, so that pytest's summary has one line for each package.
_LACKS = "this machine lacks the Debian package "


def _without(missing: MissingProgram) -> None:
    """A peer that is not installed: skip on a laptop, never in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(f"{_LACKS}{missing.package}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    peers.recent[:] = [peer for peer in peers.recent if peer.is_running]
    try:
        return (yield)
    except MissingProgram as missing:
        return _without(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        return (yield)
    except MissingProgram as missing:
        return _without(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for peer in peers.recent:
            report.sections.append((f"Output of {peer.program} on port {peer.port}", peer.output()))
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, exitstatus: int) -> Generator[None, Any, Any]:
    """End with what to do next, after what pytest itself has to say."""
    yield
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.section("what next")
        terminalreporter.line("Those that failed alone, once more: ./run test --last-failed")
    if exitstatus != pytest.ExitCode.OK or not terminalreporter.stats.get("passed"):
        return
    skipped = Counter(
        report.longrepr[2].rpartition(_LACKS)[2]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and _LACKS in report.longrepr[2]
    )
    terminalreporter.section("what next")
    for package, count in sorted(skipped.items()):
        terminalreporter.line(f"{count} skipped for want of {package}")
    if skipped:
        terminalreporter.line(
            f"To run all, on Debian and Ubuntu: sudo apt install {' '.join(sorted(skipped))}"
        )
    if "orthanc" in skipped:
        terminalreporter.line('Orthanc is in /usr/sbin there: PATH="$PATH:/usr/sbin" ./run test')
    terminalreporter.line("All well. Try `./run demo`, then open README.md.")
