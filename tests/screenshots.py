"""``python -m tests.screenshots FOLDER``: pictures of the notebooks' key moments in JupyterLab, to be looked at.

Light and dark, at the width of a laptop. With ``--readme`` those of README.md are made anew, small, in data/pictures.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.browser import NARROW, Notebook, expect, jupyterlab, write_notebook
from tests.support.viewer_page import browser

if TYPE_CHECKING:
    from playwright.sync_api import Locator

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "data" / "pictures"
COLOURS = 128  # of a picture in README.md: small, and nobody sees a difference
RUN_SECONDS = 300.0


class Moment(NamedTuple):
    """What is pictured: the output of the cell with this text in it, after something was done there."""

    name: str
    notebook: str
    cell: str
    prepare: Callable[[Locator], object] | None = None
    height: int = 1400


def _wrong_port(output: Locator) -> None:
    output.get_by_label("Port", exact=True).fill("70000")
    expect(output.get_by_text("is not a TCP port").first).to_be_visible()


def _asked(output: Locator) -> None:
    output.get_by_role("button", name="Echo", exact=True).click()
    expect(output.get_by_text("answered in")).to_be_visible()


def _opened_failure(output: Locator) -> None:
    output.get_by_role("group", name="outcome").locator("button:has([data-tone=bad])").first.click()
    output.get_by_role("grid", name="What became of it").get_by_role("row").nth(1).dblclick()
    expect(output.get_by_role("region", name="Details")).to_be_visible()


APP = "app"
MOMENTS = (
    Moment("tags", "01_explore_and_send", "tags = TagBrowser(path)"),
    Moment("viewer", "01_explore_and_send", "viewer = ImageViewer("),
    Moment("form", "01_explore_and_send", "form = SettingForm(", _asked),
    Moment("probe", "01_explore_and_send", "takes = probe("),
    Moment("status", "01_explore_and_send", "result = send(form.value, message)"),
    Moment("compared", "01_explore_and_send", "TagBrowser(path, arrived"),
    Moment("fields", "02_workflow_json", 'loc[["RemoteHost"'),
    Moment("wrong-port", "02_workflow_json", "SettingForm(pacs)", _wrong_port),
    Moment("pitfall", "02_workflow_json", "TextMessage"),
    Moment("panel", "03_batch_and_audit", "panel = BatchPanel(", _opened_failure),
    Moment("outcomes", "03_batch_and_audit", "plot_outcomes"),
    Moment("failures", "03_batch_and_audit", "causes = analysis.failures"),
    Moment("latency", "03_batch_and_audit", "plot_latency"),
    Moment("throughput", "03_batch_and_audit", "plot_throughput"),
    Moment("report", "03_batch_and_audit", "analysis.report("),
    Moment(APP, APP, "SenderApp(", height=3300),
)
IN_README = ("viewer", "form", "panel")


def take(folder: Path, *, dark: bool, names: Sequence[str] = ()) -> None:
    """Take all pictures, or these, into a folder."""
    wanted = [moment for moment in MOMENTS if not names or moment.name in names]
    with (
        tempfile.TemporaryDirectory(prefix="dicomkit-screenshots-") as temporary,
        browser() as chromium,
        jupyterlab(Path(temporary)) as lab,
    ):
        shutil.copytree(ROOT / "notebooks", lab.root, dirs_exist_ok=True)
        app = "from dicomkit import SenderApp\nfrom dicomkit.samples import sample_folder\n\nSenderApp(sample_folder())"
        write_notebook(lab.root / f"{APP}.ipynb", [app])
        for name in dict.fromkeys(moment.notebook for moment in wanted):
            notebook = Notebook(chromium, lab, f"{name}.ipynb", dark=dark, width=NARROW)
            notebook.command("application:toggle-left-area")
            notebook.run_all(RUN_SECONDS)
            for moment in wanted:
                if moment.notebook == name:
                    _picture(notebook, moment, folder / f"{moment.name}-{'dark' if dark else 'light'}.png")
            notebook.close()


def _picture(notebook: Notebook, moment: Moment, path: Path) -> None:
    index = notebook.page.evaluate(
        """(text) => jupyterapp.shell.currentWidget.content.widgets.findIndex(
            (cell) => cell.model.sharedModel.source.includes(text)
        )""",
        moment.cell,
    )
    notebook.page.set_viewport_size({"width": NARROW, "height": moment.height})
    notebook.scroll_to(index)
    output = notebook.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"] .jp-Cell-outputArea')
    expect(output.locator(".jp-OutputArea-output").first).to_be_visible()
    if moment.prepare is not None:
        moment.prepare(output)
    notebook.page.wait_for_load_state("networkidle")
    notebook.drawn()
    output.locator(".jp-OutputArea-output").first.screenshot(path=path, animations="disabled")


def _make_small(source: Path, target: Path) -> None:
    from PIL import Image

    with Image.open(source) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take pictures; 0 when there are all that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to put them")
    parser.add_argument("--only", action="append", default=[], choices=[moment.name for moment in MOMENTS])
    parser.add_argument("--readme", action="store_true", help="make those of README.md anew, too")
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for dark in (False, True):
        take(chosen.folder, dark=dark, names=chosen.only)
    if chosen.readme:
        PICTURES.mkdir(exist_ok=True)
        for name in IN_README:
            _make_small(chosen.folder / f"{name}-light.png", PICTURES / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
