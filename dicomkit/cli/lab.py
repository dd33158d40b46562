"""``dicomkit lab``: the notebooks in JupyterLab, as a copy that is the user's own.

What is in the user's folder is the user's: a file that is there is never written again, and it is said which ones.
"""

from __future__ import annotations

import argparse
import gc
import os
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from dicomkit._support.quantities import counted
from dicomkit.cli._exit import EXIT_NOT_OK, EXIT_OK, WrongUsage
from dicomkit.cli._terminal import printable
from dicomkit.errors import MissingExtraError

_FIRST = "01_explore_and_send.ipynb"
# All of the lab extra that the notebooks cannot do without.
_NEEDED = ("jupyterlab", "anywidget", "ipywidgets", "matplotlib", "pyarrow")
_WARNING = 30  # of Python's logging: above it are the address, and not the forty lines of a start
_LOOPBACK = "127.0.0.1"


def run(options: argparse.Namespace) -> int:
    """Copy the notebooks, and serve them until Ctrl-C, which is the usual end and so no failure."""
    for package in _NEEDED:
        if find_spec(package) is None:
            raise WrongUsage(str(MissingExtraError("dicomkit lab", package, "lab")))
    folder = Path(options.folder).absolute()
    try:
        copied, kept = copy_notebooks(folder)
    except OSError as error:
        raise WrongUsage(
            f"{options.folder}: {error.strerror or error}; name a folder that can be written to"
        ) from error
    for line in _said(options.folder, copied, kept):
        print(line, flush=True)
    return _serve(folder, port=options.port, opens_browser=options.browser)


def notebooks_folder() -> Path:
    """The folder of the notebooks as they come: of the checkout, or beside the installed package's modules."""
    package = Path(__file__).parents[1]
    checkout = package.parent
    if (checkout / "notebooks").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "notebooks"
    return package / "notebooks"


def copy_notebooks(folder: Path) -> tuple[list[str], list[str]]:
    """Copy each notebook that is not in `folder`, which is made when missing; OSError when that cannot be.

    Returns the names of the files that were copied, and of those that are there already and differ from ours.
    """
    copied, kept = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(notebooks_folder().iterdir()):
        if source.suffix not in (".ipynb", ".py"):
            continue
        content = source.read_bytes()
        try:
            with (folder / source.name).open("xb") as file:
                file.write(content)
            copied.append(source.name)
        except FileExistsError:
            if (folder / source.name).read_bytes() != content:
                kept.append(source.name)
    return copied, kept


def _said(folder: str, copied: list[str], kept: list[str]) -> list[str]:
    shown = printable(folder)
    lines = [f"{counted(len(copied), 'file')} copied to {shown}."] if copied else [f"Opening {shown}."]
    if kept:
        lines.append(f"Kept as yours: {', '.join(kept)}. For fresh ones: dicomkit lab ANOTHER_FOLDER")
    return [*lines, "Ctrl-C ends JupyterLab."]


def _serve(folder: Path, *, port: int | None, opens_browser: bool) -> int:
    """JupyterLab in this process, on this machine only, whatever its own configuration says of that."""
    lab = import_module("jupyterlab.labapp")
    gc.enable()  # this one may run for days
    arguments = [
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.ip={_LOOPBACK}",
        f"--LabApp.default_url=/lab/tree/{_FIRST}",
        f"--Application.log_level={_WARNING}",
        "--ServerApp.answer_yes=True",  # one Ctrl-C is enough: notebooks are saved as they are worked on
    ]
    if port is not None:
        arguments += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not opens_browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # in a container there is nobody else
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # Jupyter's parts, of one another
    try:
        lab.LabApp.launch_instance(argv=arguments)
    except SystemExit as left:  # the port is taken, say; Jupyter has said so
        return EXIT_NOT_OK if left.code else EXIT_OK
    return EXIT_OK
