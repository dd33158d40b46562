"""The senders, each as its users run it; every function sends a set once and says how long it took.

TCP_NODELAY=1 is in the environment of a sender when it is in the receiver's, and not otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from tests.benchmark.figures import Run
from tests.benchmark.plan import FileSet
from tests.support.peers import Peer, environment, program

PROCESS_SECONDS = 900.0
ROOT = Path(__file__).parents[2]
HOW_TIMED = (
    "storescu, dcmsend and dicomkit send: whole processes, start to exit. send_batch (scanning the folder and making "
    "the frame of rows included) and pynetdicom: inside a Python that has done its imports."
)

Sender = Callable[[FileSet, Peer], Run]


def storescu_command(files: FileSet, receiver: Peer) -> list[str]:
    return [
        program("storescu"),
        "-aec",
        receiver.aet,
        "+sd",
        "-R",
        receiver.host,
        str(receiver.port),
        str(files.folder),
    ]


def dcmsend_command(files: FileSet, receiver: Peer) -> list[str]:
    return [
        program("dcmsend"),
        "-aec",
        receiver.aet,
        "+sd",
        "+r",
        receiver.host,
        str(receiver.port),
        str(files.folder),
    ]


def dicomkit_send_command(
    files: FileSet, receiver: Peer, associations: int | Literal["auto"] = 1
) -> list[str]:
    setting = files.folder.parent / "setting.json"
    receiver.setting().save(setting)
    return [*dicomkit_command(), "send", str(setting), str(files.folder), "--associations", str(associations)]


def storescu(files: FileSet, receiver: Peer) -> Run:
    """DCMTK's storescu, proposing what is needed."""
    return _timed(storescu_command(files, receiver), files, receiver)


def dcmsend(files: FileSet, receiver: Peer) -> Run:
    """DCMTK's dcmsend."""
    return _timed(dcmsend_command(files, receiver), files, receiver)


def dicomkit_send(files: FileSet, receiver: Peer, *, associations: int | Literal["auto"] = 1) -> Run:
    """The `dicomkit send` command."""
    return _timed(dicomkit_send_command(files, receiver, associations), files, receiver)


def send_batch(files: FileSet, receiver: Peer, *, associations: int | Literal["auto"] = 1) -> Run:
    """`dicomkit.send_batch(setting, folder).to_frame()`: scanning the files and making the rows included."""
    return worker("send_batch", files, receiver, associations)


def send_batch_alone(files: FileSet, receiver: Peer) -> Run:
    """`dicomkit.send_batch(setting, folder)`, without its frame."""
    return worker("send_batch_alone", files, receiver, 1)


def send_batch_with_ledger(files: FileSet, receiver: Peer) -> Run:
    """`dicomkit.send_batch(setting, folder, ledger=...)`, with a new ledger each time, without its frame."""
    return worker("send_batch_with_ledger", files, receiver, 1)


def pynetdicom_loop(files: FileSet, receiver: Peer) -> Run:
    """pynetdicom: one association, and `send_c_store(dcmread(path))` for each file."""
    return worker("pynetdicom", files, receiver, 1)


def dicomkit_command() -> list[str]:
    """The installed `dicomkit`."""
    suffix = ".exe" if sys.platform == "win32" else ""
    return [str(Path(sysconfig.get_path("scripts")) / f"dicomkit{suffix}")]


def worker(sender: str, files: FileSet, receiver: Peer, associations: int | Literal["auto"]) -> Run:
    """Send in a fresh Python process; see `tests.benchmark.worker`."""
    answer = _checked(worker_command(sender, files, receiver, associations), nodelay=receiver.nodelay)
    run = Run(**json.loads(answer))
    if run.instances != files.count:
        raise AssertionError(f"{sender} stored {run.instances} of {files.count} instances")
    return run


def worker_command(
    sender: str, files: FileSet, receiver: Peer, associations: int | Literal["auto"] = 1
) -> list[str]:
    arguments = [sender, str(receiver.port), receiver.aet, str(associations), str(files.folder)]
    return [sys.executable, "-m", "tests.benchmark.worker", *arguments]


def timed_process(command: Sequence[str], *, nodelay: bool = True) -> float:
    """Seconds from start to exit; RuntimeError with its output unless it ends well."""
    start = time.perf_counter()
    _checked(command, nodelay=nodelay)
    return time.perf_counter() - start


def peak_bytes(command: Sequence[str]) -> int:
    """Peak resident memory of a command that ends well, by `getrusage` of it and it alone.

    A process starts out with the peak of the one that started it, hence the small one in between.
    """
    launcher = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)"
    )
    peak = int(_checked([sys.executable, "-I", "-S", "-c", launcher, *command], nodelay=True))
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kibibytes elsewhere


def _timed(command: Sequence[str], files: FileSet, receiver: Peer) -> Run:
    return Run(timed_process(command, nodelay=receiver.nodelay), files.count)


def _checked(command: Sequence[str], *, nodelay: bool) -> str:
    variables = environment(nodelay=nodelay)
    # Whoever installs it has its modules compiled; without this they would be compiled at every start.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS,
    )
    if done.returncode != 0:
        name = Path(command[0]).name
        raise RuntimeError(
            f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout
