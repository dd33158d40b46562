"""Real DICOM peers for the tests: DCMTK's storescp and dcmqrscp, and Orthanc, each on a free loopback port.

A peer is a context manager around one process. It is ready when that very process listens, so that nothing
connects to it but the test; it ends with the test run, whatever becomes of the run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import psutil

if TYPE_CHECKING:
    from dicomkit.settings import DicomSenderSetting

__all__ = [
    "HOST",
    "PACKAGE_OF",
    "MissingProgram",
    "Peer",
    "Storescp",
    "Dcmqrscp",
    "Orthanc",
    "dcmsend",
    "echoscu",
    "end",
    "environment",
    "free_port",
    "launch",
    "program",
    "recent",
    "storescu",
    "wait_for_port",
    "wait_until",
]

HOST = "127.0.0.1"
START_SECONDS = 20.0
START_ATTEMPTS = 3
TOOL_SECONDS = 60.0
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005

# What Debian 12 has where, for a skip to say so. Orthanc is in /usr/sbin there, off an ordinary user's PATH.
_PROGRAMS = {
    "dcmtk": """
        cda2dcm dcm2json dcm2pdf dcm2pnm dcm2xml dcmcjpeg dcmcjpls dcmconv dcmcrle dcmdjpeg dcmdjpls dcmdrle dcmdspfn
        dcmdump dcmftest dcmgpdir dcmicmp dcmj2pnm dcml2pnm dcmmkcrv dcmmkdir dcmmklut dcmodify dcmp2pgm dcmprscp
        dcmprscu dcmpschk dcmpsmk dcmpsprt dcmpsrcv dcmpssnd dcmqridx dcmqrscp dcmqrti dcmquant dcmrecv dcmscale
        dcmsend dcmsign dcod2lum dconvlum drtdump dsr2html dsr2xml dsrdump dump2dcm echoscu findscu getscu img2dcm
        movescu pdf2dcm stl2dcm storescp storescu termscu wlmscpfs xml2dcm xml2dsr
    """,
    "dicom3tools": "dcdirdmp dcdump dcentvfy dcfile dchist dciodvfy dcsort dcstats dctable dctopgm8 dctopgx dctopnm",
    "orthanc": "Orthanc",
    "chromium": "chromium",
}
PACKAGE_OF = {name: package for package, names in _PROGRAMS.items() for name in names.split()}
"""The Debian package that has a program."""


class MissingProgram(Exception):
    """A program that a test needs is not on the PATH: a skip, or in CI a failure (conftest.py)."""

    def __init__(self, name: str) -> None:
        self.package = PACKAGE_OF.get(name, name)
        super().__init__(f"{name} is not on the PATH; on Debian and Ubuntu: sudo apt install {self.package}")


def program(name: str) -> str:
    """Path of a program that is on the PATH.

    pynetdicom installs Python scripts by the names of DCMTK's programs; those are passed by.
    """
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which(name, path=folder)
        if found is not None and not Path(found).read_bytes().startswith(b"#!"):
            return found
    raise MissingProgram(name)


def environment(*, nodelay: bool) -> dict[str, str]:
    """The environment for a DCMTK program: as installed it leaves Nagle's algorithm on."""
    variables = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if nodelay:
        variables["TCP_NODELAY"] = "1"
    return variables


def free_port() -> int:
    """A loopback port that was free a moment ago; who binds it next must be ready to try another."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return as soon as `condition()` holds; TimeoutError naming `what` when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL_SECONDS)


def wait_for_port(port: int, *, seconds: float = START_SECONDS) -> None:
    """Return once a connection to a loopback port succeeds; TimeoutError when none ever does."""

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
            return True
        return False

    wait_until(answers, seconds, f"port {port} answers")


_RUNNING: set[subprocess.Popen[bytes]] = set()


def launch(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that cannot outlive this one, in a process group of its own, until `end`."""
    # The kernel sends the signal when the *thread* that forked ends, so only the main thread may ask for it.
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        setpriv = shutil.which("setpriv")
        if setpriv is not None:
            command = [setpriv, "--pdeathsig", "KILL", *command]
    process = subprocess.Popen(command, start_new_session=True, **options)
    _RUNNING.add(process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what `launch` started, and the children it forked."""
    _RUNNING.discard(process)
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)


@atexit.register
def _end_all() -> None:
    for process in list(_RUNNING):
        end(process)


recent: list[Peer] = []
"""Peers started lately, for a failing test to show what they wrote."""


class Peer:
    """A DICOM SCP in a process of its own.

    Attributes
    ----------
    aet, host, port : str, str, int
        Where it answers.
    folder : Path
        Where it keeps what it receives; the peer's own temporary folder unless one was given.
    """

    program: ClassVar[str]

    def __init__(
        self,
        *,
        aet: str,
        options: Sequence[str] = (),
        nodelay: bool = True,
        folder: Path | None = None,
    ) -> None:
        self.aet = aet
        self.host = HOST
        self.port = 0
        self.options = list(options)
        self.nodelay = nodelay
        self._given_folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output = ""

    def executable(self) -> list[str]:
        """What is run; MissingProgram when it is not installed."""
        return [program(self.program)]

    def command(self) -> list[str]:
        """Its arguments; asked for once the ports are known and the folders exist."""
        raise NotImplementedError

    def ports(self) -> list[int]:
        """Ports on which it must listen to be ready."""
        return [self.port]

    def choose_ports(self) -> None:
        self.port = free_port()

    def start(self) -> Self:
        executable = self.executable()
        self._temporary = tempfile.TemporaryDirectory(prefix=f"{self.program.lower()}-")
        self._home = Path(self._temporary.name)
        self.folder = self._given_folder or self._home / "received"
        self.folder.mkdir(parents=True, exist_ok=True)
        recent.append(self)
        for _ in range(START_ATTEMPTS):
            self.choose_ports()
            arguments = self.command()
            with open(self._log_file, "wb") as log:
                self._process = launch(
                    [*executable, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._home,
                    env=environment(nodelay=self.nodelay),
                )
            try:
                wait_until(self._is_ready, START_SECONDS, f"{self.program} listens on {self.ports()}")
            except ChildProcessError:
                continue  # most likely another process took a port in the meantime
            except BaseException:
                self.stop()
                raise
            return self
        self.stop()
        raise RuntimeError(f"{self.program} ends as soon as it is started:\n{self._output}")

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)
            self._process = None
        if self._temporary is not None:
            self._output = self.output()
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.program} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """What it wrote to stdout and stderr so far."""
        if self._temporary is None or not self._log_file.exists():
            return self._output
        return self._log_file.read_text(errors="replace")

    def received(self) -> dict[str, Path]:
        """Files by SOP Instance UID, as the File Meta that the peer wrote has it."""
        from pydicom.filereader import read_file_meta_info

        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "index.dat"]
        return {str(read_file_meta_info(path).MediaStorageSOPInstanceUID): path for path in sorted(files)}

    def setting(self, **changes: Any) -> DicomSenderSetting:
        """A setting that sends to this peer."""
        from dicomkit.settings import DicomSenderSetting

        return DicomSenderSetting(
            **{
                "remote_host": self.host,
                "remote_port": self.port,
                "remote_aet": self.aet,
                "timeout_seconds": 10,
                **changes,
            }
        )

    @property
    def _log_file(self) -> Path:
        return self._home / "output.log"

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ChildProcessError(self.program)
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            connections = psutil.Process(self._process.pid).net_connections("tcp")
            listening = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
            return listening.issuperset(self.ports())
        return False


class Storescp(Peer):
    """DCMTK's storage SCP: takes any called AE title, one association at a time unless `fork`.

    Parameters
    ----------
    bit_preserving : bool
        Write data sets as they came (+B); otherwise undefined lengths and padding are rewritten.
    accept_all : bool
        Take compressed transfer syntaxes too (+xa).
    ignore : bool
        Receive, but keep nothing.
    fork : bool
        A process for each association.
    nodelay : bool
        TCP_NODELAY=1 in its environment; without it each response waits for our ACK, as installed.
    options : sequence of str
        Anything more for the command line.
    """

    program = "storescp"

    def __init__(
        self,
        *,
        aet: str = "STORESCP",
        bit_preserving: bool = False,
        accept_all: bool = False,
        ignore: bool = False,
        fork: bool = False,
        nodelay: bool = True,
        folder: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        switches = {"+B": bit_preserving, "+xa": accept_all, "--ignore": ignore, "--fork": fork}
        super().__init__(
            aet=aet,
            options=[*(name for name, wanted in switches.items() if wanted), *options],
            nodelay=nodelay,
            folder=folder,
        )

    def command(self) -> list[str]:
        return ["-aet", self.aet, "-od", str(self.folder), *self.options, str(self.port)]


class Dcmqrscp(Peer):
    """DCMTK's archive: answers to its own AE title only, finds and gets, forks for each association.

    Parameters
    ----------
    moves_to : mapping of str to int
        AE title to loopback port, of those to which C-MOVE may send.
    """

    program = "dcmqrscp"

    def __init__(
        self,
        *,
        aet: str = "DCMQRSCP",
        bit_preserving: bool = False,
        moves_to: Mapping[str, int] | None = None,
        nodelay: bool = True,
        folder: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.moves_to = dict(moves_to or {})
        super().__init__(
            aet=aet, options=[*(["+B"] if bit_preserving else []), *options], nodelay=nodelay, folder=folder
        )

    def command(self) -> list[str]:
        hosts = [f"host{n} = ({aet}, {HOST}, {port})" for n, (aet, port) in enumerate(self.moves_to.items())]
        configuration = [
            f"NetworkTCPPort = {self.port}",
            "MaxPDUSize = 16384",
            "MaxAssociations = 32",
            *("HostTable BEGIN", *hosts, "HostTable END"),
            *("VendorTable BEGIN", "VendorTable END"),
            *("AETable BEGIN", f"{self.aet} {self.folder} RW (500, 1024mb) ANY", "AETable END"),
        ]
        file = self._home / "dcmqrscp.cfg"
        file.write_text("\n".join(configuration) + "\n")
        return ["-c", str(file), *self.options]


class Orthanc(Peer):
    """Orthanc, without plugins, its REST API on a loopback port of its own.

    Parameters
    ----------
    check_called_aet : bool
        Reject an association that calls another AE title (`DicomCheckCalledAet`).
    modalities : mapping of str to int
        AE title to loopback port, of those known to it (for C-GET, and storage commitment's reports).
    configuration : mapping
        More of its configuration file, over what stands here.
    """

    program = "Orthanc"

    def __init__(
        self,
        *,
        aet: str = "ORTHANC",
        check_called_aet: bool = False,
        modalities: Mapping[str, int] | None = None,
        configuration: Mapping[str, object] | None = None,
        nodelay: bool = True,
        folder: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(aet=aet, options=options, nodelay=nodelay, folder=folder)
        self.check_called_aet = check_called_aet
        self.modalities = dict(modalities or {})
        self.configuration = dict(configuration or {})
        self.http_port = 0
        # Whatever proxy the environment names, loopback is reached without it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def choose_ports(self) -> None:
        self.port, self.http_port = free_port(), free_port()

    def ports(self) -> list[int]:
        return [self.port, self.http_port]

    def command(self) -> list[str]:
        file = self._home / "orthanc.json"
        file.write_text(
            json.dumps(
                {
                    "Name": "dicomkit tests",
                    "StorageDirectory": str(self.folder),
                    "IndexDirectory": str(self.folder),
                    "StorageCompression": False,
                    "Plugins": [],
                    "HttpPort": self.http_port,
                    "RemoteAccessAllowed": False,
                    "DicomAet": self.aet,
                    "DicomPort": self.port,
                    "DicomCheckCalledAet": self.check_called_aet,
                    "DicomAlwaysAllowFind": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomModalities": {
                        aet: {"AET": aet, "Host": HOST, "Port": port} for aet, port in self.modalities.items()
                    },
                    **self.configuration,
                },
                indent=2,
            )
        )
        return [*self.options, str(file)]

    def request(self, path: str, *, method: str = "GET") -> bytes:
        """The answer of its REST API, e.g. to `/instances`."""
        request = urllib.request.Request(f"http://{HOST}:{self.http_port}{path}", method=method)
        with self._opener.open(request, timeout=TOOL_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def instances(self) -> dict[str, str]:
        """Orthanc's own identifier by SOP Instance UID, of all that it holds."""
        held = json.loads(self.request("/instances?expand"))
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in held}

    def instance(self, sop_instance_uid: str) -> bytes:
        """An instance as a Part 10 file."""
        return self.request(f"/instances/{self.instances()[sop_instance_uid]}/file")

    def clear(self) -> None:
        """Forget all that it holds."""
        for patient in json.loads(self.request("/patients")):
            self.request(f"/patients/{patient}", method="DELETE")

    def received(self) -> dict[str, Path]:
        raise NotImplementedError("Orthanc names its files as it likes: ask instances() and instance()")


def _tool(
    name: str, peer: Peer, *arguments: str | Path, calling: str, called: str | None, nodelay: bool = True
) -> subprocess.CompletedProcess[str]:
    titles = ["-aet", calling, "-aec", peer.aet if called is None else called]
    return subprocess.run(
        [program(name), *titles, *map(str, arguments)],
        env=environment(nodelay=nodelay),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TOOL_SECONDS,
    )


def echoscu(
    peer: Peer, *options: str, calling: str = "ECHOSCU", called: str | None = None
) -> subprocess.CompletedProcess[str]:
    """DCMTK's C-ECHO to a peer; `returncode` 0 when it answered."""
    return _tool("echoscu", peer, *options, peer.host, str(peer.port), calling=calling, called=called)


def storescu(
    peer: Peer, files: Sequence[Path], *options: str, calling: str = "STORESCU", called: str | None = None
) -> subprocess.CompletedProcess[str]:
    """DCMTK's storescu of files to a peer; `returncode` 0 when all were stored."""
    return _tool(
        "storescu", peer, *options, peer.host, str(peer.port), *files, calling=calling, called=called
    )


def dcmsend(
    peer: Peer, files: Sequence[Path], *options: str, calling: str = "DCMSEND", called: str | None = None
) -> subprocess.CompletedProcess[str]:
    """DCMTK's dcmsend of files to a peer; `returncode` 0 when all were stored."""
    return _tool("dcmsend", peer, *options, peer.host, str(peer.port), *files, calling=calling, called=called)
