"""Whatever a file, a folder, a setting or a peer says is shown as text, everywhere, and runs nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pydicom
import pytest

from dicomkit import DicomMessage, LocalSCP, send, send_batch
from dicomkit.analysis import report
from dicomkit.samples import sample_folder
from dicomkit.scp import Status
from tests._support.test_html import IMG, Reader
from tests.support.browser import Notebook, expect

# What makes markup or code of a text.
MAKES_MARKUP = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|parseFromString|srcdoc"
    r"|document\.write|eval|Function)\b"
)
SCRIPTS = sorted(
    Path(str(files("dicomkit.widgets"))).rglob("*.js"),
    key=lambda one: one.name,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture and a report of a patient of that name, in files and a folder of that name."""
    folder = tmp_path / IMG
    folder.mkdir()
    for number, place in enumerate(("cr-hand", "sr-report")):
        dataset = pydicom.dcmread(next((sample_folder() / place).glob("*.dcm")))
        dataset.PatientName = dataset.PatientID = dataset.StudyDescription = dataset.SeriesDescription = IMG
        dataset.private_block(0x0011, IMG, create=True).add_new(1, "LO", IMG)
        for item in dataset.get("ContentSequence", []):
            if "TextValue" in item:
                item.TextValue = IMG
        dataset.save_as(folder / f"{number} {IMG}.dcm")
    return folder


def refusing() -> LocalSCP:
    return LocalSCP(faults=[Status(0xA700, error_comment=IMG)])


def test_there_are_scripts_to_look_at() -> None:
    assert {"grid.js", "form.js", "image.js", "batch.js"} <= {one.name for one in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_no_script_makes_markup_of_a_text(script: Path) -> None:
    assert not MAKES_MARKUP.findall(script.read_text(encoding="utf-8"))


def test_what_values_show_in_a_notebook_is_text(folder: Path) -> None:
    with refusing() as scp:
        setting = scp.setting().replace(name=IMG)
        path = folder / f"0 {IMG}.dcm"
        message = DicomMessage.from_file(path)
        result = send(setting, message)
        batch = send_batch(setting, folder, retries=0)
    assert IMG in result.detail and IMG in result.source
    shows = [one._repr_html_() for one in (setting, message, result, batch)]
    made = [
        report(batch, title=IMG),
        report(batch, title=IMG, show_patients=True),
        report(batch.to_frame().assign(patient_name=IMG, patient_id=IMG), show_patients=True),
    ]
    shows += [one._repr_html_() for one in made]
    shows += [one.html.removeprefix("<!doctype html>\n") for one in made]
    for html in shows:
        read = Reader(html)
        assert not {"img", "script"} & set(read.elements)
    assert sum(IMG in Reader(html).text for html in shows) >= len(shows) - 1  # a batch shows no source


CELLS = """
from pathlib import Path
from dicomkit import *
from dicomkit.analysis import report
from dicomkit.scp import Status
nasty = "<img src=x onerror=alert(1)>"
folder = Path({folder!r})
picture, text = sorted(folder.glob("*.dcm"))
scp = LocalSCP(faults=[Status(0xA700, error_comment=nasty)])
scp.start()
setting = scp.setting().replace(name=nasty)
setting
---
DicomMessage.from_file(picture)
---
send(setting, DicomMessage.from_file(picture))
---
report(send_batch(setting, folder, retries=0), show_patients=True, title=nasty)
---
TagBrowser(picture)
---
ImageViewer(picture)
---
ImageViewer(text)
---
SettingForm(setting)
---
panel = BatchPanel(setting, folder, retries=0)
panel.start().wait()
panel
---
SourceChooser(folder)
"""


def test_in_a_browser_it_is_text_too(open_notebook: Callable[..., Notebook], folder: Path) -> None:
    """The page is watched: a request for `x`, or an alert, fails when it is closed."""
    cells = CELLS.format(folder=str(folder)).split("---")
    notebook = open_notebook(*cells)
    notebook.run_all()
    for place, cell in enumerate(cells):
        notebook.scroll_to(place)
        shown = notebook.output(place)
        if "SettingForm" in cell:  # in a field of it, and that is no text of the page
            expect(shown.get_by_label("Name", exact=True).first).to_have_value(IMG)
        else:  # the choices of a closed list are there, and not visible
            expect(shown.get_by_text(IMG).first).to_be_attached()
    notebook.drawn()
    assert notebook.page.locator('img[src="x"]').count() == 0
