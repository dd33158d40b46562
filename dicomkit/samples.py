"""Where the sample study is: a synthetic patient in every kind of object, and example settings beside it.

They ship as files, which `data/make` of the repository draws. A checkout uses its own ``data/``; an installed package
copies them once into the user's cache, so that what is done to the copy leaves the package whole.

``python -m dicomkit.samples FOLDER`` writes both folders.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

__all__ = ["sample_study", "sample_folder", "sample_settings", "write_samples", "write_settings"]

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent
_STUDY, _SETTINGS = "sample-study", "settings"


def sample_study() -> list[tuple[str, FileDataset]]:
    """Return a relative path and the object for every file of the study, read anew, in the order of the series."""
    from pydicom import dcmread

    folder = _shipped(_STUDY)
    study = [(path.relative_to(folder).as_posix(), dcmread(path)) for path in folder.rglob("*.dcm")]
    return sorted(study, key=lambda found: (found[1].SeriesNumber, found[1].InstanceNumber))


def write_samples(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the study as DICOM files under `folder`, which is made when missing, and return their paths.

    Parameters
    ----------
    folder
        Where to; a file of the same name is replaced.

    Returns
    -------
    list of Path
        The files, in order of their names.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    return _copy(_STUDY, folder)


def write_settings(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the example settings as JSON files under `folder`, which is made when missing, and return their paths.

    Parameters
    ----------
    folder
        Where to; a file of the same name is replaced.

    Returns
    -------
    list of Path
        The files, in order of their names.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    return _copy(_SETTINGS, folder)


def sample_folder() -> Path:
    """Return the folder that holds the study as files: of the checkout, or copied once into the user's cache.

    Raises
    ------
    OSError
        When neither the cache nor the folder for temporary files can be written to.
    """
    return _found_or_copied(_STUDY)


def sample_settings() -> Path:
    """Return the folder of the example settings (JSON); the ones under ``faulty`` are wrong on purpose.

    Raises
    ------
    OSError
        When neither the cache nor the folder for temporary files can be written to.
    """
    return _found_or_copied(_SETTINGS)


def _is_checkout() -> bool:
    return (_CHECKOUT / "data" / _STUDY).is_dir() and (_CHECKOUT / "pyproject.toml").is_file()


def _shipped(name: str) -> Path:
    return (_CHECKOUT if _is_checkout() else _PACKAGE) / "data" / name


def _copy(name: str, folder: str | os.PathLike[str]) -> list[Path]:
    """Copy content alone, each file read before it is written: a read-only package, or onto itself."""
    source = _shipped(name)
    written = []
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        target = Path(folder, path.relative_to(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        written.append(target)
    return written


def _found_or_copied(name: str) -> Path:
    if _is_checkout():
        return _shipped(name)
    from dicomkit import __version__

    try:
        return _copied_once(name, _cache_folder() / f"{name}-{__version__}")
    except OSError:  # no home, or one that is read-only: a service account, a container
        from tempfile import mkdtemp

        folder = Path(mkdtemp(prefix="dicomkit-"), name)
        _copy(name, folder)
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


def _copied_once(name: str, folder: Path) -> Path:
    """Return `folder`, copied beside its place and renamed into it, so that nobody meets half of it."""
    if folder.is_dir():
        return folder
    from tempfile import TemporaryDirectory

    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as beside:
        _copy(name, Path(beside, name))
        try:
            Path(beside, name).rename(folder)
        except OSError:
            # Another process was faster, and its files are the same as ours.
            if not folder.is_dir():
                raise
    return folder


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m dicomkit.samples",
        description="Write the sample study and the example settings.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="gets the folders sample-study and settings")
    folder = parser.parse_args().folder
    write_samples(folder / _STUDY)
    write_settings(folder / _SETTINGS)


if __name__ == "__main__":
    _main()
