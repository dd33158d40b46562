"""The app: its steps follow each other, whatever is chosen, looked at, set and sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import traitlets
from ipywidgets.widgets import widget as ipywidgets_widget  # type: ignore[import-untyped]
from pydicom import dcmread

from dicomkit import BatchPanel, LocalSCP, SenderApp
from dicomkit.samples import sample_folder
from dicomkit.scp import Delay
from dicomkit.widgets._bar import StepBar
from tests.support.files import write_ct_files
from tests.support.peers import wait_until

SECONDS = 30.0
NASTY = "<img src=x onerror=alert(1)>"

Open = Callable[..., SenderApp]


@pytest.fixture
def open_app() -> Iterator[Open]:
    """Makes apps, and closes them in the end."""
    made: list[SenderApp] = []

    def make(*arguments: Any, **options: Any) -> SenderApp:
        made.append(SenderApp(*arguments, **options))
        return made[-1]

    yield make
    for app in made:
        if app.panel is not None:
            app.panel.cancel()
        app.close()


def panel_of(app: SenderApp) -> BatchPanel:
    assert app.panel is not None
    return app.panel


def scanned(app: SenderApp) -> BatchPanel:
    wait_until(lambda: panel_of(app).state != "scanning", SECONDS, "the end of the scan")
    return panel_of(app)


def notes(bar: StepBar) -> str:
    return " ".join(note["says"] for note in bar._state["notes"])


def press(bar: StepBar, act: str, text: str = "") -> None:
    bar._hear(bar, {"kind": "press", "act": act, "label": "", "text": text}, [])


def shown_file(app: SenderApp) -> str:
    """The name of the file that is in the viewer and whose tags are shown; empty while they differ."""
    viewer, browser = app.viewer, app.browser
    if viewer is None or browser is None or not isinstance(viewer.origin, Path):
        return ""
    name = f"{viewer.origin.parent.name}/{viewer.origin.name}"
    return name if browser.caption.startswith(viewer.origin.name) else ""


def wait_for_file(app: SenderApp, name: str) -> None:
    wait_until(lambda: shown_file(app) == name, SECONDS, f"{name} in viewer and tags")


def test_a_newcomer_sends_without_a_pacs(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample_folder())
    app = open_app()
    assert app.panel is None and "Nothing is chosen yet" in notes(app._send_bar)
    assert "No PACS at hand?" in notes(app._set_bar)
    press(app._set_bar, "practise")
    assert app.receiver is not None and app.form.value.remote_port == app.receiver.port
    app.form.echo()
    answer = app.form.wait_for_echo(SECONDS)
    assert answer is not None and answer.outcome == "stored"
    press(app.chooser._bar, "all")
    batch = scanned(app).start().wait(SECONDS)
    assert batch.ok and len(batch) == 27 and len(app.receiver.received) == 27
    assert notes(app._send_bar) == ""


def test_nothing_is_scanned_before_something_is_chosen(
    open_app: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    app = open_app()
    assert app.chooser.folder == folder and app.chooser.selected == ()
    assert app.panel is None and app.viewer is None and app.browser is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty small slices of one series."""
    write_ct_files(tmp_path / "ct", 60, rows=16, columns=16)
    return tmp_path / "ct"


def test_a_folder_that_is_named_is_chosen_and_looked_at(open_app: Open, folder: Path) -> None:
    app = open_app(folder)
    assert app.chooser.selected == (folder,)
    wait_for_file(app, "ct/000000.dcm")
    assert app.viewer is not None
    assert app.viewer.frame_count == 60
    assert scanned(app).selection == (panel_of(app).series[0].key,)


def test_what_is_no_folder_and_no_option_is_refused_and_leaves_no_model(folder: Path) -> None:
    before = len(ipywidgets_widget._instances)
    with pytest.raises(traitlets.TraitError, match="is no folder"):
        SenderApp(folder / "nowhere")
    with pytest.raises(TypeError, match="retrys"):
        SenderApp(folder, retrys=1)
    with pytest.raises(OSError, match=r"gone\.json"):
        SenderApp(folder, setting=folder / "gone.json")
    assert len(ipywidgets_widget._instances) == before


def test_the_series_with_the_cursor_is_looked_at_and_so_is_one_that_is_chosen_above(open_app: Open) -> None:
    app = open_app(sample_folder())
    panel = scanned(app)
    wait_until(lambda: shown_file(app) != "", SECONDS, "the first series")
    keys = {one.modality: one.key for one in panel.series}
    panel._found.table.active = [one.key for one in panel.series].index(keys["NM"])
    wait_until(lambda: shown_file(app).startswith("nm-bones/"), SECONDS, "the series with the cursor")
    bar = app._look._bar
    assert bar._state["choice"]["value"] == keys["NM"]
    press(bar, "series", keys["CT"])
    wait_until(lambda: shown_file(app).startswith("ct-abdomen/"), SECONDS, "the series that was chosen")
    assert "CT \u00b7" in dict(bar._state["choice"]["options"])[keys["CT"]]


def test_the_tags_follow_the_frame_with_what_is_searched_for(open_app: Open, folder: Path) -> None:
    app = open_app(folder)
    wait_for_file(app, "ct/000000.dcm")
    assert app.viewer is not None and app.browser is not None
    app.browser.search_text = "instance"
    app.viewer.frame = 41
    wait_for_file(app, "ct/000041.dcm")
    assert app.browser.search_text == "instance"


def test_another_choice_is_looked_at_and_none_clears_the_steps(open_app: Open) -> None:
    app = open_app(sample_folder() / "ct-abdomen")
    wait_until(lambda: shown_file(app).startswith("ct-abdomen/"), SECONDS, "the first choice")
    app.chooser.selected = (sample_folder() / "mr-head",)
    wait_until(lambda: shown_file(app).startswith("mr-head/"), SECONDS, "the second choice")
    assert len(panel_of(app).instances()) == 8
    press(app.chooser._bar, "none")
    assert app.panel is None
    wait_until(lambda: app.viewer is None and app.browser is None, SECONDS, "nothing to look at")
    assert "Nothing is chosen" in notes(app._look._bar)


def test_rows_stay_when_nothing_is_chosen_any_more(open_app: Open) -> None:
    app = open_app(sample_folder() / "ct-abdomen")
    app.practise()
    panel = scanned(app).start()
    panel.wait(SECONDS)
    press(app.chooser._bar, "none")
    assert app.panel is panel and len(panel.to_frame()) == 12
    wait_until(lambda: app.viewer is None, SECONDS, "nothing to look at")
    assert notes(app._look._bar) == "Nothing is chosen yet."
    app.chooser.selected = (sample_folder() / "mr-head",)
    wait_until(lambda: shown_file(app).startswith("mr-head/"), SECONDS, "the next choice")
    assert len(panel.to_frame()) == 12


def test_a_choice_without_dicom_says_what_to_do(open_app: Open, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not DICOM", "utf-8")
    app = open_app(tmp_path)
    scanned(app)
    wait_until(lambda: "There is no DICOM in what is chosen" in notes(app._look._bar), SECONDS, "the reason")
    assert "step 1" in notes(app._look._bar) and app.viewer is None


def test_what_is_chosen_during_a_batch_is_for_the_next(open_app: Open, folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.02)]) as scp:
        app = open_app(folder, setting=scp.setting())
        panel = scanned(app).start()
        scp.wait_for("stored", times=2, timeout_seconds=SECONDS)
        app.chooser.selected = (sample_folder() / "mr-head",)
        assert app.panel is panel
        wait_until(
            lambda: "for the next batch" in str(panel._bar._state["notes"]), SECONDS, "a note of the choice"
        )
        assert len(panel.wait(SECONDS)) == 60
        wait_until(lambda: len(panel.instances()) == 8, SECONDS, "the next batch")
        assert len(panel.to_frame()) == 60
        assert len(panel.start().wait(SECONDS)) == 8


def test_a_batch_that_still_runs_is_found_by_another_app(open_app: Open, folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.03)]) as scp:
        first = open_app(folder, setting=scp.setting())
        scanned(first).start()
        wait_until(lambda: panel_of(first).state == "sending", SECONDS, "the batch under way")
        first.close()
        second = open_app()
        assert second.form.value == scp.setting(id=second.form.value.id)
        assert second.chooser.selected == (folder,)
        assert len(panel_of(second).wait(SECONDS)) == 60
        assert int(scp.received.stored.sum()) == 60


def test_the_practice_receiver_gives_the_form_back_what_it_showed(open_app: Open, folder: Path) -> None:
    app = open_app(folder)
    app.form.type("remote_host", "pacs.example")
    before = app.form.value
    receiver = app.practise()
    press(app._set_bar, "end")
    assert app.receiver is None and app.form.value == before
    receiver = app.practise()
    assert app.practise() is receiver and app.form.value.remote_aet == "PRACTICE"
    app.form.type("remote_port", "104")
    assert "the form points elsewhere" in notes(app._set_bar)
    press(app._set_bar, "practise")
    assert app.form.value.remote_port == receiver.port
    app.form.type("remote_host", "pacs.example")
    press(app._set_bar, "end")
    assert app.form.value.remote_host == "pacs.example"


def test_options_are_those_of_a_batch(open_app: Open, folder: Path, tmp_path: Path) -> None:
    app = open_app(folder, results=tmp_path / "rows.csv")
    app.practise()
    scanned(app).start().wait(SECONDS)
    assert (tmp_path / "rows.csv").exists()


def test_a_file_that_vanishes_before_it_is_looked_at_is_a_sentence(open_app: Open, tmp_path: Path) -> None:
    write_ct_files(tmp_path / "a", 2, rows=8, columns=8)
    write_ct_files(tmp_path / "b", 1, rows=8, columns=8, series_uid="1.2.3.4")
    app = open_app(tmp_path)
    scanned(app)
    wait_for_file(app, "a/000000.dcm")
    (tmp_path / "b" / "000000.dcm").unlink()
    press(app._look._bar, "series", "1.2.3.4")
    wait_until(lambda: "cannot be looked at" in notes(app._look._bar), SECONDS, "the reason")
    assert app.viewer is None and app.browser is None


def widgets_under(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets_under(child)


def test_nothing_of_files_and_patients_is_in_what_a_notebook_saves(open_app: Open, tmp_path: Path) -> None:
    write_ct_files(tmp_path / NASTY, 2, rows=8, columns=8)
    app = open_app(tmp_path)
    wait_until(lambda: shown_file(app) != "", SECONDS, "the series")
    app.practise()
    scanned(app).start().wait(SECONDS)
    name = str(dcmread(tmp_path / NASTY / "000000.dcm").PatientName)
    saved = json.dumps(
        [
            {key: value for key, value in one.get_state().items() if key != "_esm"}
            for one in widgets_under(app)
        ],
        default=lambda one: type(one).__name__,
    )
    assert name and name not in saved
    for secret in (str(tmp_path), "000000", "onerror", "PRACTICE"):
        assert secret not in saved


def test_closing_leaves_no_model_and_no_receiver_behind(folder: Path) -> None:
    before = len(ipywidgets_widget._instances)
    for number in range(5):
        app = SenderApp(folder)
        receiver = app.practise()
        if number % 2:
            wait_until(lambda app=app: shown_file(app) != "", SECONDS, "the series")  # type: ignore[misc]
        app.close()
        app.close()
        assert app.receiver is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((receiver.host, receiver.port))
    wait_until(lambda: len(ipywidgets_widget._instances) == before, SECONDS, "no model left")
    assert repr(app).startswith("<SenderApp: ")
