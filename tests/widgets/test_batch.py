"""The batch panel: what it finds, sends and says, against receivers that work and that fail."""

from __future__ import annotations

import _thread
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import traitlets
from ipywidgets.widgets import widget as ipywidgets_widget
from pydicom import dcmread
from pydicom.uid import generate_uid

from dicomkit import (
    BatchPanel,
    DicomSenderSetting,
    LocalSCP,
    SettingError,
    SettingForm,
    SourceChooser,
    read_results,
)
from dicomkit.samples import sample_folder
from dicomkit.scp import Delay, Status
from tests.support.files import write_ct_files
from tests.support.peers import free_port, wait_until
from tests.support.viewer_page import ViewerPage, Wire, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS = 30.0
NASTY = "<img src=x>"  # of 16 characters at most, as an AE title is (PS3.5 6.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty small slices of one series."""
    write_ct_files(tmp_path / "ct", 60, rows=16, columns=16)
    return tmp_path / "ct"


@pytest.fixture
def scp() -> Iterator[LocalSCP]:
    with LocalSCP(aet="ARCHIVE") as running:
        yield running


@pytest.fixture
def panels() -> Iterator[list[BatchPanel]]:
    """Panels put in here are cancelled and closed."""
    made: list[BatchPanel] = []
    yield made
    for panel in made:
        panel.cancel()
        panel.close()


def scanned(panel: BatchPanel) -> BatchPanel:
    wait_until(lambda: panel.state != "scanning", SECONDS, "the end of the scan")
    return panel


def bar_of(panel: BatchPanel) -> dict[str, Any]:
    return dict(panel._bar._state)


def label_of(panel: BatchPanel, act: str) -> str:
    bar = bar_of(panel)
    return next(one["label"] for one in (*bar["buttons"], *bar["answers"]) if one["act"] == act)


def says(panel: BatchPanel) -> str:
    return " ".join(note["says"] for note in bar_of(panel)["notes"])


def progress_of(panel: BatchPanel) -> str:
    progress = bar_of(panel)["progress"]
    return progress["says"] if progress else ""


def press(panel: BatchPanel, act: str, text: str = "", label: str | None = None) -> None:
    said = (label_of(panel, act) if act != "export" else "") if label is None else label
    content = {"kind": "press", "act": act, "label": said, "text": text}
    panel._bar._hear(panel._bar, content, [])


def test_without_a_front_end_the_same_work_is_done(scp: LocalSCP) -> None:
    panel = BatchPanel(scp.setting(), sample_folder())
    batch = panel.start().wait(SECONDS)
    assert batch.ok and len(batch) == 27
    assert panel.result is batch and panel.state == "done"
    assert int(scp.received.stored.sum()) == 27
    pd.testing.assert_frame_equal(panel.to_frame(), batch.to_frame())
    panel.close()


def test_what_is_found_is_shown_by_series_with_patient_study_and_size() -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), sample_folder()))
    rows = panel._found.table.source
    assert len(rows) == 9
    abdomen = next(row for row in rows.window(0, 9) if row.cells[3] == "CT")
    assert abdomen.cells[4] == "12"
    assert "27 instances in 9 series" in says(panel)
    assert label_of(panel, "send") == "Send 27 instances to " + (
        f"{panel.setting.remote_aet} at {panel.setting.remote_host}:{panel.setting.remote_port}"
    )
    panel.close()


def test_what_is_unchecked_is_not_sent(scp: LocalSCP) -> None:
    panel = scanned(BatchPanel(scp.setting(), sample_folder()))
    keep = panel.selection[2:4]
    panel.selection = keep
    assert set(panel.instances()["series_instance_uid"]) == set(keep)
    batch = panel.start().wait(SECONDS)
    assert set(batch.to_frame()["series_instance_uid"]) == set(keep)
    panel.close()


def test_a_box_in_the_table_is_a_change_of_the_selection_and_of_the_button() -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), sample_folder()))
    heard: list[object] = []
    panel.observe(lambda change: heard.append(change.new), "selection")
    Wire(panel._found.table)
    content = {"kind": "check", "view": "one", "key": 0, "isChecked": False}
    panel._found.table._hear(panel._found.table, content, [])
    assert len(panel.selection) == 8 and heard == [panel.selection]
    wait_until(lambda: "Send 26 instances" in label_of(panel, "send"), SECONDS, "another label")
    panel.close()


def test_looking_again_keeps_what_was_unchecked_and_forgets_what_is_gone(tmp_path: Path) -> None:
    for name in ("cr-hand", "sr-report"):
        copytree(sample_folder() / name, tmp_path / name)
    panel = scanned(BatchPanel(DicomSenderSetting(), tmp_path))
    kept, unchecked = panel.selection
    panel.selection = (kept,)
    scanned(panel.rescan())
    wait_until(lambda: panel.selection == (kept,), SECONDS, "the same choice")
    assert [one.key for one in panel.series] == [kept, unchecked]
    for file in tmp_path.rglob("*.dcm"):
        file.unlink()
    scanned(panel.rescan())
    wait_until(lambda: panel.series == (), SECONDS, "nothing to be found")
    assert panel.selection == ()
    panel.close()


def test_a_series_that_was_not_found_cannot_be_selected() -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), sample_folder()))
    with pytest.raises(traitlets.TraitError, match=r"no series '1\.2\.3' was found"):
        panel.selection = ("1.2.3",)
    panel.close()


def test_what_cannot_be_read_is_a_row_of_its_own_kind(scp: LocalSCP, folder: Path) -> None:
    (folder / "im000003.dcm").write_bytes(b"")
    whole = next(folder.iterdir()).read_bytes()
    (folder / "short.dcm").write_bytes(whole[: len(whole) // 2])
    panel = scanned(BatchPanel(scp.setting(), [folder, folder / "gone.dcm"]))
    assert "2 files cannot be read" in says(panel)
    frame = panel.start().wait(SECONDS).to_frame()
    assert frame["outcome"].value_counts()["unreadable"] == 2
    panel.close()


def test_a_file_that_changed_since_the_scan_says_so_in_its_row(scp: LocalSCP, folder: Path) -> None:
    panel = scanned(BatchPanel(scp.setting(), folder))
    path = sorted(folder.iterdir())[7]
    dataset = dcmread(path)
    dataset.PatientComments = "longer than it was"
    dataset.save_as(path)
    frame = panel.start().wait(SECONDS).to_frame()
    changed = frame[frame["source"] == str(path)].iloc[0]
    assert "changed after it was looked at" in changed["detail"]
    assert frame["detail"].str.contains("changed").sum() == 1
    panel.close()


def test_files_that_come_after_the_scan_are_not_sent(scp: LocalSCP, folder: Path) -> None:
    panel = scanned(BatchPanel(scp.setting(), folder))
    dataset = dcmread(next(folder.iterdir()))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.save_as(folder / "late.dcm")
    assert len(panel.start().wait(SECONDS)) == 60
    scanned(panel.rescan())
    assert len(panel.start().wait(SECONDS)) == 61
    panel.close()


def test_cancel_keeps_a_row_for_every_instance_as_the_receiver_has_it(folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.05)]) as scp:
        panel = scanned(BatchPanel(scp.setting(), folder)).start()
        scp.wait_for("stored", times=3, timeout_seconds=SECONDS)
        panel.cancel()
        batch = panel.wait(SECONDS)
        received = int(scp.received.stored.sum())
    counts = batch.to_frame()["outcome"].value_counts()
    assert batch.interrupted and len(batch) == 60
    assert counts["stored"] == received < 60 and counts["cancelled"] == 60 - received
    assert "60 instances in 1 series" in says(panel) and "stopped before all was looked at" not in says(panel)
    panel.close()


def test_an_interrupt_while_waiting_cancels_and_returns_the_rows(folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.05)]) as scp:
        panel = scanned(BatchPanel(scp.setting(), folder)).start()

        def interrupt() -> None:
            scp.wait_for("stored", times=3, timeout_seconds=SECONDS)
            _thread.interrupt_main()

        threading.Thread(target=interrupt).start()
        batch = panel.wait(SECONDS)
    assert batch.interrupted and len(batch) == 60
    panel.close()


def test_a_cancel_before_the_scan_is_over_sends_nothing(scp: LocalSCP, folder: Path) -> None:
    goes_on = threading.Event()

    def slow() -> Iterator[Path]:
        yield next(folder.iterdir())
        goes_on.wait(SECONDS)

    panel = BatchPanel(scp.setting(), slow()).start()
    wait_until(lambda: "1 instance in 1 series so far" in says(panel), SECONDS, "the first to be found")
    assert "Sending begins when the sources have been looked at" in says(panel)
    panel.cancel()
    goes_on.set()
    batch = panel.wait(SECONDS)
    assert list(batch.to_frame()["outcome"]) == ["cancelled"] and len(scp.received) == 0
    panel.close()


def test_a_pause_holds_the_batch_until_it_goes_on(folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.02)]) as scp:
        panel = scanned(BatchPanel(scp.setting(), folder)).start()
        scp.wait_for("stored", times=3, timeout_seconds=SECONDS)
        press(panel, "pause")
        assert panel.state == "paused" and label_of(panel, "resume") == "Go on"
        with pytest.raises(TimeoutError, match="it goes on"):
            panel.wait(0.3)
        press(panel, "resume")
        assert panel.wait(SECONDS).ok
    panel.close()


def test_the_failed_are_tried_again_in_their_own_rows(scp: LocalSCP, folder: Path) -> None:
    path = sorted(folder.iterdir())[5]
    whole = path.read_bytes()
    path.write_bytes(whole[:400])
    panel = scanned(BatchPanel(scp.setting(), folder))
    first = panel.start().wait(SECONDS)
    assert not first.ok
    assert label_of(panel, "retry") == "Try the 1 not stored again"
    assert [one["act"] for one in bar_of(panel)["buttons"] if one["is_main"]] == ["retry"]
    path.write_bytes(whole)
    press(panel, "retry")
    second = panel.wait(SECONDS)
    assert len(second) == 1 and second.ok and panel.result is second
    assert len(panel.to_frame()) == 61 and len(panel.to_frame(latest=True)) == 60
    assert set(panel.to_frame(latest=True)["outcome"]) == {"stored"}
    assert "60 of 60 stored" in says(panel)
    became = [str(getattr(row.cells[-1], "text", "")) for row in panel._found.table.source.window(0, 2)]
    assert became == ["all stored", "stored"]
    with pytest.raises(ValueError, match="nothing to try again"):
        panel.retry_failed()
    panel.close()


def test_a_failure_opens_to_what_it_means_and_what_to_do(folder: Path) -> None:
    with LocalSCP(faults=[Status(0xA700, times=1)]) as scp:
        panel = scanned(BatchPanel(scp.setting(), folder, retries=0))
        panel.start().wait(SECONDS)
    table = panel._result_table
    table.chosen = {"outcome": {"refused"}}
    assert len(table.source) == 1
    facts = {fact.label: fact.text for fact in table.source.detail(next(iter(table.source.shown_keys())))}
    assert "Out of Resources" in facts["Status"] and "0xA700" in facts["Status"]
    assert facts["What to do"]
    panel.close()


def test_over_a_thousand_it_asks_once(tmp_path: Path, scp: LocalSCP) -> None:
    write_ct_files(tmp_path / "many", 1001, rows=8, columns=8)
    panel = scanned(BatchPanel(scp.setting(), tmp_path / "many"))
    press(panel, "send")
    assert panel.state == "ready"
    assert bar_of(panel)["question"].startswith("Send 1,001 instances to ARCHIVE at 127.0.0.1:")
    press(panel, "keep")
    assert bar_of(panel)["question"] == "" and panel.state == "ready"
    press(panel, "send")
    press(panel, "confirm")
    assert len(panel.wait(SECONDS * 2)) == 1001
    panel.close()


def test_a_press_of_a_label_that_has_changed_does_nothing(scp: LocalSCP, folder: Path) -> None:
    panel = scanned(BatchPanel(scp.setting(), folder))
    press(panel, "send", label="Send 59 instances to ARCHIVE at 127.0.0.1:1")
    assert panel.state == "ready" and "press again" in says(panel)
    assert len(scp.received) == 0
    panel.close()


def test_the_setting_is_a_snapshot_and_later_edits_are_for_the_next_batch(folder: Path) -> None:
    with LocalSCP(aet="ARCHIVE", faults=[Delay(0.02)]) as scp:
        form = SettingForm(scp.setting())
        panel = scanned(BatchPanel(form, folder)).start()
        scp.wait_for("stored", times=2, timeout_seconds=SECONDS)
        form.type("our_aet", "SOMEONE_ELSE")
        wait_until(lambda: "for the next batch" in says(panel), SECONDS, "a note of the edit")
        batch = panel.wait(SECONDS)
        assert set(batch.to_frame()["calling_aet"]) == {"DICOMKIT_SCU"}
        assert set(panel.start().wait(SECONDS).to_frame()["calling_aet"]) == {"SOMEONE_ELSE"}
    panel.close()
    form.close()


def test_what_is_chosen_during_a_batch_is_looked_at_when_that_is_over(folder: Path, tmp_path: Path) -> None:
    write_ct_files(tmp_path / "other", 2, rows=8, columns=8, series_uid="1.2.3.4")
    with LocalSCP(faults=[Delay(0.02)]) as scp:
        chooser = SourceChooser(tmp_path)
        chooser.selected = (folder,)
        panel = scanned(BatchPanel(scp.setting(), chooser)).start()
        scp.wait_for("stored", times=2, timeout_seconds=SECONDS)
        chooser.selected = (tmp_path / "other",)
        wait_until(lambda: "for the next batch" in says(panel), SECONDS, "a note of the choice")
        assert len(panel.wait(SECONDS)) == 60
        wait_until(lambda: [one.key for one in panel.series] == ["1.2.3.4"], SECONDS, "the other series")
        assert len(panel.start().wait(SECONDS)) == 2
    panel.close()
    chooser.close()


def test_the_series_and_the_one_with_the_cursor_can_be_observed() -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), sample_folder()))
    wait_until(lambda: len(panel.series) == 9, SECONDS, "the series")
    abdomen = next(one for one in panel.series if one.modality == "CT")
    panel._found.table.active = panel.series.index(abdomen)
    assert panel.active == abdomen.key and len(panel.cargo_of(abdomen.key)) == 12
    panel.rescan()
    assert panel.active is None
    panel.close()


def test_an_observer_that_raises_holds_nothing_up(
    scp: LocalSCP, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # where Python reports it
    panel = scanned(BatchPanel(scp.setting(), folder))

    def refuse(change: Any) -> None:
        if change.new == "sending":
            raise RuntimeError("the observer's own")

    panel.observe(refuse, "state")
    with suppress(RuntimeError):  # raised here as well, when it is this thread that tells first
        panel.start()
    assert panel.wait(SECONDS).ok
    wait_until(lambda: panel.state == "done", SECONDS, "what came after the observer raised")
    assert "60 of 60 stored" in says(panel)
    panel.close()


def test_an_invalid_form_holds_the_batch_and_says_why(scp: LocalSCP, folder: Path) -> None:
    form = SettingForm(scp.setting())
    panel = scanned(BatchPanel(form, folder))
    form.type("remote_port", "70000")
    wait_until(lambda: "70000" in says(panel), SECONDS, "the reason")
    send = next(one for one in bar_of(panel)["buttons"] if one["act"] == "send")
    assert not send["is_allowed"] and "70000" in send["title"]
    with pytest.raises(SettingError, match="70000"):
        panel.start()
    panel.close()
    form.close()


def test_a_second_panel_of_the_same_shows_the_batch_that_runs(folder: Path, panels: list[BatchPanel]) -> None:
    with LocalSCP(faults=[Delay(0.03)]) as scp:
        first = scanned(BatchPanel(scp.setting(), folder)).start()
        wait_until(lambda: first.state == "sending", SECONDS, "the batch under way")
        second = BatchPanel(scp.setting(), str(folder))
        panels += [first, second]
        assert "under way already" in says(second)
        assert BatchPanel.running() in ([first], [second])
        first.close()
        batch = second.wait(SECONDS)
        assert batch.ok and len(second.to_frame()) == 60
        assert BatchPanel.running() == []
        assert int(scp.received.stored.sum()) == 60


def test_a_batch_whose_panels_are_closed_is_found(folder: Path, panels: list[BatchPanel]) -> None:
    with LocalSCP(faults=[Delay(0.03)]) as scp:
        panel = scanned(BatchPanel(scp.setting(), folder)).start()
        wait_until(lambda: panel.state == "sending", SECONDS, "the batch under way")
        panel.close()
        (found,) = BatchPanel.running()
        panels.append(found)
        assert found is not panel and found.wait(SECONDS).ok
        assert len(found.to_frame(latest=True)) == 60


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_rows_are_exported_and_read_back(scp: LocalSCP, tmp_path: Path, suffix: str) -> None:
    panel = BatchPanel(scp.setting(), sample_folder())
    panel.start().wait(SECONDS)
    target = tmp_path / f"rows.{suffix}"
    press(panel, "export", str(target))
    wait_until(lambda: f"Rows saved as {target}" in says(panel), SECONDS, "the file")
    pd.testing.assert_frame_equal(read_results(target), panel.to_frame())
    press(panel, "export", str(target))
    wait_until(lambda: "Overwrite it?" in bar_of(panel)["question"], SECONDS, "the question")
    press(panel, "keep")
    with pytest.raises(FileExistsError, match="there already"):
        panel.export(target)
    press(panel, "export", "rows.xlsx")
    assert "'.xlsx' is not one of" in says(panel)
    press(panel, "export", str(tmp_path / "nowhere" / target.name))
    wait_until(lambda: "nowhere" not in says(panel) and target.name in says(panel), SECONDS, "why not")
    assert f"{target.name}: No such file or directory; the results cannot be written there" in says(panel)
    panel.close()


def test_a_dead_peer_is_a_row_for_each_and_no_exception(folder: Path) -> None:
    setting = DicomSenderSetting(remote_port=free_port(), timeout_seconds=2)
    panel = BatchPanel(setting, folder, retries=0, give_up_after=0.5)
    batch = panel.start().wait(SECONDS * 2)
    assert set(batch.to_frame()["outcome"]) == {"connection_failed"}
    assert "60 are not: open a row" in says(panel)
    panel.close()


def test_a_wrong_port_fails_with_the_first_instance_and_no_rate_is_made_of_it(folder: Path) -> None:
    panel = BatchPanel(DicomSenderSetting(remote_port=free_port()), folder, retries=0)
    frame = panel.start().wait(SECONDS).to_frame()
    assert frame.detail.str.startswith("not tried").tolist() == [False] + [True] * 59
    assert "60 connection failed" in progress_of(panel)
    assert "a second" not in progress_of(panel)
    panel.close()


def test_while_it_waits_the_panel_says_why_when_it_goes_on_and_what_one_can_do(
    folder: Path, panels: list[BatchPanel]
) -> None:
    setting = DicomSenderSetting(remote_port=free_port())
    panel = BatchPanel(setting, folder, retries=50)  # the waits grow to seconds
    panels.append(panel)
    panel.start()
    wait_until(lambda: "next try in" in progress_of(panel), SECONDS, "the next try")
    assert f"nothing listens at 127.0.0.1:{setting.remote_port}; check RemoteHost and RemotePort" in says(
        panel
    )
    assert "a second" not in progress_of(panel)
    assert "left" not in progress_of(panel)


def test_what_send_batch_raises_is_said_and_raised_by_wait(folder: Path, tmp_path: Path) -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), folder, results=tmp_path / "nowhere" / "rows.csv"))
    panel.start()
    with pytest.raises(OSError, match=r"rows\.csv"):
        panel.wait(SECONDS)
    assert "The batch ended" in says(panel)
    panel.close()


def test_an_option_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="retrys"):
        BatchPanel(DicomSenderSetting(), sample_folder(), retrys=3)


def test_waiting_for_nothing_is_refused() -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(), sample_folder()))
    with pytest.raises(ValueError, match="start"):
        panel.wait()
    panel.close()


def test_nothing_of_a_patient_is_in_what_a_notebook_saves(scp: LocalSCP) -> None:
    panel = BatchPanel(scp.setting(), sample_folder())
    panel.start().wait(SECONDS)
    names = {str(dcmread(path).PatientName) for path in sample_folder().rglob("*.dcm")}
    saved = json.dumps(
        [child.get_state() for child in (panel, *panel.children)], default=lambda one: type(one).__name__
    )
    assert not [name for name in names if name and name in saved]
    assert scp.host not in saved
    panel.close()


def test_closing_leaves_no_model_behind(folder: Path) -> None:
    before = len(ipywidgets_widget._instances)
    for _ in range(10):
        scanned(BatchPanel(DicomSenderSetting(), folder)).close()
    assert len(ipywidgets_widget._instances) == before


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_the_bar_sends_and_tells_in_a_browser(chromium: Browser, scp: LocalSCP, folder: Path) -> None:
    panel = scanned(BatchPanel(scp.setting(), folder))
    page = ViewerPage(chromium, panel._bar)
    send = page.page.get_by_role("button", name="Send 60 instances to ARCHIVE at")
    send.click()
    page.serve(until=lambda: panel.state == "done" and "60 of 60 stored" in page.page.inner_text("main"))
    assert page.page.get_by_role("status").inner_text().count("60 of 60 stored") == 1
    path = page.page.get_by_role("textbox", name="Rows to a file")
    path.fill(str(folder.parent / "rows.csv"))
    path.press("Enter")
    page.serve(until=lambda: (folder.parent / "rows.csv").exists())
    page.serve()
    assert "Rows saved as" in page.page.get_by_role("status").inner_text()
    page.close()
    panel.close()


def test_hostile_words_are_text_in_the_bar(chromium: Browser, folder: Path) -> None:
    panel = scanned(BatchPanel(DicomSenderSetting(remote_aet=NASTY), folder))
    page = ViewerPage(chromium, panel._bar)
    assert page.page.locator("img").count() == 0
    assert NASTY in page.page.inner_text("main")
    page.close()
    panel.close()


def test_the_keyboard_stays_in_the_bar_when_its_buttons_change(chromium: Browser, folder: Path) -> None:
    with LocalSCP(faults=[Delay(0.02)]) as peer:
        panel = scanned(BatchPanel(peer.setting(), folder))
        page = ViewerPage(chromium, panel._bar)
        page.page.get_by_role("button", name="Send 60").focus()
        page.page.keyboard.press("Enter")
        page.serve(until=lambda: page.page.get_by_role("button", name="Pause").count() == 1)
        assert page.page.evaluate("document.activeElement.textContent") == "Pause"
        page.page.keyboard.press("Enter")
        page.serve(until=lambda: page.page.get_by_role("button", name="Go on").count() == 1)
        assert panel.state == "paused"
        panel.cancel()
        panel.wait(SECONDS)
        page.close()
    panel.close()
