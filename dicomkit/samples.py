"""The sample study: a synthetic patient in every kind of object, made from nothing, the same on every machine.

The one idea: a checkout holds the files in ``data/``; an installed package makes them once, into the user's cache.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import FileDataset

__all__ = ["sample_study", "sample_folder", "sample_settings", "write_samples", "write_settings"]


def sample_study() -> list[tuple[str, FileDataset]]:
    """Return a relative path and the object for every file of the study, drawn anew.

    Takes about two seconds, most of them for the pictures.
    """
    from data.make.documents import documents
    from data.make.objects import images

    study = list(images())
    liver = next(ds for name, ds in study if name == "ct-abdomen/slice-05.dcm")
    return [*study, *documents(liver)]


def write_samples(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the study as DICOM files under `folder`, which is made when missing, and return their paths.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    written = []
    for name, ds in sample_study():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def write_settings(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the example settings as JSON files under `folder`, which is made when missing, and return their paths.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    from data.make.examples import example_settings

    written = []
    for name, content in example_settings().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def sample_folder() -> Path:
    """Return the folder that holds the study as files: of the checkout, or made once in the user's cache.

    Raises
    ------
    OSError
        When neither the cache nor the folder for temporary files can be written to.
    """
    return _found_or_made("sample-study", write_samples)


def sample_settings() -> Path:
    """Return the folder of the example settings (JSON); the ones under ``faulty`` are wrong on purpose.

    Raises
    ------
    OSError
        When neither the cache nor the folder for temporary files can be written to.
    """
    return _found_or_made("settings", write_settings)


def _found_or_made(name: str, write: Callable[[Path], object]) -> Path:
    checkout = Path(__file__).parents[1]
    kept = checkout / "data" / name
    if kept.is_dir() and (checkout / "pyproject.toml").is_file():
        return kept
    from dicomkit import __version__

    try:
        return _made_once(_cache_folder() / f"{name}-{__version__}", write)
    except OSError:  # no home, or one that is read-only: a service account, a container
        from tempfile import mkdtemp

        folder = Path(mkdtemp(prefix="dicomkit-"), name)
        write(folder)
        return folder


def _cache_folder() -> Path:
    """Where the platform wants files that can be made again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dicomkit"


def _made_once(folder: Path, write: Callable[[Path], object]) -> Path:
    """Return `folder`, made beside its place and renamed into it, so that nobody meets half of it."""
    if folder.is_dir():
        return folder
    from shutil import rmtree
    from tempfile import mkdtemp

    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        write(workshop / folder.name)
        try:
            (workshop / folder.name).rename(folder)
        except OSError:
            # Another process was faster, and its files are the same as ours.
            if not folder.is_dir():
                raise
    finally:
        rmtree(workshop, ignore_errors=True)
    return folder
