"""What makes `data/sample-study` and `data/settings`: nothing that dicomkit needs, so it is in no wheel.

Everything is drawn from nothing, and nothing depends on the clock, the machine or chance.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydicom.dataset import FileDataset

from data.make.documents import documents
from data.make.examples import example_settings
from data.make.objects import images

__all__ = ["draw_study", "write_study", "write_settings"]


def draw_study() -> list[tuple[str, FileDataset]]:
    """Return a relative path and the object for every file of the study.

    Takes about two seconds, most of them for the pictures.
    """
    study = list(images())
    liver = next(ds for name, ds in study if name == "ct-abdomen/slice-05.dcm")
    return [*study, *documents(liver)]


def write_study(folder: str | os.PathLike[str]) -> list[Path]:
    """Draw the study, write it as DICOM files under `folder`, and return their paths."""
    written = []
    for name, ds in draw_study():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def write_settings(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the example settings as JSON files under `folder`, and return their paths."""
    written = []
    for name, content in example_settings().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written
