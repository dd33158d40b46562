"""Voila, which shows a notebook as a page: started on a free port of this machine, with folders of its own.

As with JupyterLab, nothing of the user's settings is read or changed; each page has a kernel of its own,
which ends with the server.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.support.browser import own_folders
from tests.support.peers import HOST, end, free_port, launch, wait_for_port, wait_until
from tests.support.viewer_page import without

__all__ = ["voila"]

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PORT = re.compile(r"running at:\s*http://[^:/]+:(\d+)/")


@contextmanager
def voila(notebook: Path, folder: Path) -> Iterator[str]:
    """Serve a notebook, with folders beneath `folder`, and yield its address; skip (or fail in CI) without Voila."""
    if find_spec("voila") is None:
        without("voila is not installed; pip install voila")
    log = folder / "voila.log"
    command = [
        *(sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--Voila.ip={HOST}"),
        f"--Voila.port={free_port()}",  # it takes another one when that is taken meanwhile, and says so
    ]
    with log.open("wb") as output:
        process = launch(command, env=own_folders(folder), stdout=output, stderr=output)

    def port() -> str:
        assert process.poll() is None, f"Voila did not start:\n{log.read_text('utf-8')}"
        found = _PORT.findall(log.read_text("utf-8"))
        return found[-1] if found else ""

    try:
        wait_until(lambda: port() != "", _START_SECONDS, "Voila's address")
        wait_for_port(int(port()), seconds=_START_SECONDS)  # it tells of itself before it listens
        yield f"http://{HOST}:{port()}/"
    finally:
        process.terminate()  # politely, so that it ends its kernels
        wait_until(lambda: process.poll() is not None, _STOP_SECONDS, "Voila ended")
        end(process)
