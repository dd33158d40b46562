"""The widgets as people use them: in a real JupyterLab, with a mouse and a keyboard."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from dicomkit.samples import sample_folder
from dicomkit.scp import Delay, LocalSCP, Status
from tests.support.browser import NARROW, WIDE, Notebook, expect, faults_found_by_axe
from tests.support.peers import HOST

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.support.browser import JupyterLab

Open = Callable[..., Notebook]

NASTY = "<img src=x onerror=alert(1)>"
FORM = """
from dicomkit import DicomSenderSetting
from dicomkit.widgets import SettingForm

form = SettingForm(DicomSenderSetting(remote_host="127.0.0.1", remote_port=11112, remote_aet="ARCHIVE"))
form
"""
TAGS = """
from dicomkit.samples import sample_folder
from dicomkit.widgets import TagBrowser

tags = TagBrowser(sample_folder() / "sr-report" / "ct-report.dcm")
tags
"""
VIEWER = """
from dicomkit.samples import sample_folder
from dicomkit.widgets import ImageViewer

viewer = ImageViewer(sample_folder() / "cr-hand")
viewer
"""
STACK = VIEWER.replace("cr-hand", "ct-abdomen")
PANEL = """
from dicomkit import BatchPanel, DicomSenderSetting
from dicomkit.samples import sample_folder

panel = BatchPanel(DicomSenderSetting(remote_host="127.0.0.1", remote_port={port}, remote_aet="ARCHIVE"), {sources})
panel
"""


def panel_cell(scp: LocalSCP, *options: str) -> str:
    return PANEL.format(port=scp.port, sources=", ".join(["sample_folder()", *options]))


IDLE = PANEL.format(port=11112, sources="sample_folder()")
ALL = (FORM, STACK, TAGS, IDLE)


# Where things are


def form_in(notebook: Notebook, cell: int = 0) -> Locator:
    return notebook.output(cell).get_by_role("group", name="DICOM sender setting")


def field_in(form: Locator, label: str) -> Locator:
    return form.get_by_label(label, exact=True)


def button_in(part: Locator, name: str) -> Locator:
    return part.get_by_role("button", name=name, exact=True)


def viewer_in(notebook: Notebook, cell: int = 0) -> Locator:
    return notebook.output(cell).get_by_role("group", name="Viewer", exact=True)


def grid_in(notebook: Notebook, cell: int = 0) -> Locator:
    return notebook.output(cell).get_by_role("treegrid", name="Tags")


def picture_of(viewer: Locator) -> str:
    return viewer.locator("canvas").evaluate("(canvas) => canvas.toDataURL()")


def paste(notebook: Notebook, place: Locator, text: str) -> None:
    """Put a text in place of what is there, by way of the clipboard."""
    notebook.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    place.click()
    place.press("ControlOrMeta+a")
    place.press("ControlOrMeta+v")


def clipboard(notebook: Notebook) -> str:
    return notebook.page.evaluate("() => navigator.clipboard.readText()")


# The form


def test_a_wrong_port_is_spoken_of_beside_its_field_and_the_right_one_answers_an_echo(
    open_notebook: Open,
) -> None:
    with LocalSCP(aet="ARCHIVE") as scp:
        notebook = open_notebook(FORM)
        notebook.run_all()
        form = form_in(notebook)
        port, echo = field_in(form, "Port"), button_in(form, "Echo")
        port.fill("70000")
        expect(form.get_by_text("70000 is not a TCP port; write a number from 1 to 65535")).to_be_visible()
        expect(echo).to_have_attribute("aria-disabled", "true")
        expect(button_in(form, "Save")).to_have_attribute("aria-disabled", "true")
        assert notebook.value("[form.valid, form.value.remote_port, sorted(form.errors)]") == [
            False,
            11112,
            ["RemotePort"],
        ]
        port.fill(str(scp.port))
        expect(echo).to_have_attribute("aria-disabled", "false")
        echo.click()
        expect(form.get_by_text(f"'ARCHIVE' at {HOST}:{scp.port} answered in")).to_be_visible()
    assert notebook.value("form.echo_result.outcome") == "stored"


def test_a_setting_that_is_pasted_fills_the_fields_and_its_faults_have_a_place(open_notebook: Open) -> None:
    notebook = open_notebook(FORM)
    notebook.run_all()
    form = form_in(notebook)
    text = (
        '{\n  "$type": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow",\n'
        '  "RemoteHost": "pacs.example",\n  "RemotePort": 104,\n  "RemoteAET": "MAIN",\n  "Vendor": 1.0\n}'
    )
    paste(notebook, form.get_by_role("textbox", name="JSON"), text)
    expect(field_in(form, "Host")).to_have_value("pacs.example")
    expect(field_in(form, "Remote AE title")).to_have_value("MAIN")
    assert notebook.value("form.json") == text
    paste(notebook, form.get_by_role("textbox", name="JSON"), text.replace("104", '"104"'))
    expect(button_in(form, "Line 4, column 17")).to_be_visible()
    assert notebook.value("form.value.remote_port") == 104


def is_saved_from(notebook: Notebook, part: Locator) -> bool:
    part.press("Control+s")  # again and again, as none is heard while an earlier one is under way
    return not notebook.page.evaluate("jupyterapp.shell.currentWidget.context.model.dirty")


def test_what_is_typed_into_a_widget_is_no_command_of_the_notebook(open_notebook: Open) -> None:
    notebook = open_notebook(FORM, STACK, TAGS)
    notebook.run_all()
    host = field_in(form_in(notebook), "Host")
    host.fill("")
    host.press_sequentially("add.xy")  # cells are added by a and b, deleted by d d, cut by x, changed by y
    viewer = viewer_in(notebook, 1).get_by_role("application")
    viewer.press("ArrowDown")
    expect(viewer).to_have_attribute(
        "aria-label", "Frame 2 of 12. Arrow keys page, question mark lists the keys."
    )
    grid_in(notebook, 2).press("ArrowDown")
    for part in (host, viewer, grid_in(notebook, 2)):
        part.press("m")  # would make the cell text
    assert sorted(notebook.value("form.value.remote_host")) == sorted("add.xym")
    kinds = "jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.type)"
    assert notebook.page.evaluate(kinds) == ["code"] * 3
    for part in (host, viewer, grid_in(notebook, 2)):
        notebook.page.evaluate("jupyterapp.shell.currentWidget.context.model.dirty = true")
        notebook.wait(partial(is_saved_from, notebook, part), "it is saved")


# The table


def test_a_search_a_sequence_and_a_copied_row(open_notebook: Open) -> None:
    notebook = open_notebook(TAGS)
    notebook.run_all()
    grid = grid_in(notebook)
    notebook.output(0).get_by_role("searchbox").fill("ContentSequence")
    row = grid.get_by_role("row", name="(0040,A730)").first
    row.click()
    expect(row).to_have_attribute("aria-expanded", "true")  # for what was found within
    grid.press("ArrowLeft")
    expect(row).to_have_attribute("aria-expanded", "false")
    grid.press("ArrowRight")
    expect(row).to_have_attribute("aria-expanded", "true")
    assert notebook.value("str(tags.selected_tag)") == "(0040,A730)"
    notebook.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.output(0).get_by_role("searchbox").fill("StudyInstanceUID")
    uid_row = grid.get_by_role("row", name="(0020,000D)").first
    uid_row.click()
    grid.press("ControlOrMeta+c")
    uid = notebook.value("tags.dataset.StudyInstanceUID")
    notebook.wait(lambda: uid in clipboard(notebook), "the row is in the clipboard")


# The viewer


def test_dragging_changes_the_picture_and_asks_the_kernel_for_nothing(open_notebook: Open) -> None:
    notebook = open_notebook(VIEWER)
    notebook.run_all()
    viewer = viewer_in(notebook)
    expect(viewer).to_have_attribute("aria-busy", "false")
    notebook.value("viewer.window_width")  # so nothing is under way
    stage = viewer.get_by_role("application")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    pictures = [picture_of(viewer)]
    before, began, draws = len(notebook.sent), time.monotonic(), viewer.evaluate("(one) => one.draws")
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.down()
    for leg in range(1, 4):
        notebook.page.mouse.move(x + 40 * leg, y - 20 * leg, steps=60)
        notebook.drawn()
        pictures.append(picture_of(viewer))
    notebook.page.mouse.up()
    messages, seconds = len(notebook.sent) - before, time.monotonic() - began
    assert len(set(pictures)) == len(pictures)
    assert viewer.evaluate("(one) => one.draws") > draws + 3
    assert messages <= seconds / 0.1 + 2  # ten a second, and the last one
    shown = viewer.get_by_label("W", exact=True).input_value()
    notebook.wait(lambda: notebook.value("f'{viewer.window_width:g}'") == shown, "Python has the window")


def test_each_series_of_a_folder_is_shown_when_the_menu_names_it(open_notebook: Open) -> None:
    notebook = open_notebook(VIEWER.replace(' / "cr-hand"', ""))
    notebook.run_all()
    viewer = viewer_in(notebook)
    menu = viewer.get_by_label("Series")
    expect(menu.get_by_role("option")).to_have_count(9)
    pictures = []
    for name in ("Abdomen, portal venous phase (12)", "Chest PA", "Whole body bones", "CT report", "Heart"):
        option = menu.get_by_role("option").filter(has_text=name)
        menu.select_option(option.get_attribute("value"))
        expect(viewer).to_have_attribute("aria-busy", "false")
        if name != "CT report":
            pictures.append(picture_of(viewer))
    assert len(set(pictures)) == 4
    expect(viewer.get_by_role("status")).to_have_text("")
    assert notebook.value("viewer.dataset.Modality") == "US"


def test_the_wheel_scrolls_the_notebook_until_the_viewer_is_clicked_and_at_its_last_frame(
    open_notebook: Open,
) -> None:
    notebook = open_notebook(STACK, TAGS, FORM)
    notebook.run_all()
    viewer = viewer_in(notebook)
    expect(viewer).to_have_attribute("aria-busy", "false")
    scrolled = """() => document.querySelector(".jp-Notebook .jp-WindowedPanel-outer").scrollTop"""
    stage, slider = viewer.get_by_role("application"), viewer.get_by_role("slider", name="Frame")

    def turn_until(condition: Callable[[], bool], what: str) -> None:
        def turned() -> bool:
            notebook.page.mouse.wheel(0, 60)
            return condition()

        notebook.wait(turned, what)

    def top() -> float:
        return float(notebook.page.evaluate(scrolled))

    stage.hover()
    expect(viewer.get_by_text("Click to use the wheel and the keys")).to_be_visible()
    before = top()
    turn_until(lambda: top() > before, "the notebook scrolls")
    expect(slider).to_have_value("1")
    stage.click()
    turn_until(lambda: slider.input_value() == "3", "the third frame")
    stage.press("End")
    before = top()
    turn_until(lambda: top() > before, "the notebook scrolls")
    expect(slider).to_have_value("12")


def test_two_views_of_a_widget_agree(open_notebook: Open) -> None:
    notebook = open_notebook(FORM, STACK, TAGS, "form", "viewer", "tags")
    notebook.run_all()
    field_in(form_in(notebook, 3), "Our AE title").fill("SECOND_VIEW")
    expect(field_in(form_in(notebook, 0), "Our AE title")).to_have_value("SECOND_VIEW")
    button_in(viewer_in(notebook, 4), "Invert").click()
    expect(button_in(viewer_in(notebook, 1), "Invert")).to_have_attribute("aria-pressed", "true")
    viewer_in(notebook, 4).get_by_role("slider", name="Frame").press("End")
    expect(viewer_in(notebook, 1).get_by_role("slider")).to_have_attribute("aria-valuetext", "Frame 12 of 12")
    notebook.output(5).get_by_role("searchbox").fill("StudyDate")
    expect(notebook.output(2).get_by_role("searchbox")).to_have_value("StudyDate")
    expect(grid_in(notebook, 2).get_by_role("row", name="StudyDate")).to_be_visible()


# A batch


def test_a_batch_is_sent_and_its_table_fills_while_it_runs(open_notebook: Open) -> None:
    with LocalSCP(aet="ARCHIVE", faults=[Delay(0.05), Status(0xA700, times=2)]) as scp:
        notebook = open_notebook(panel_cell(scp, "retries=0"))
        notebook.run_all()
        part = notebook.output(0)
        expect(part.get_by_role("status").get_by_text("27 instances in 9 series")).to_be_visible()
        button_in(part, f"Send 27 instances to ARCHIVE at {HOST}:{scp.port}").click()
        grid = part.get_by_role("grid", name="What became of it")
        expect(grid.get_by_role("row", name="stored").first).to_be_visible()
        assert notebook.value("panel.state") == "sending"
        expect(part.get_by_text("25 of 27 stored")).to_be_visible()
        part.get_by_role("group", name="outcome").get_by_role("button", name="refused").click()
        expect(grid.get_by_role("row")).to_have_count(3)  # and the names of the columns
        grid.get_by_role("row", name="0xA700").first.dblclick()
        details = part.get_by_role("region", name="Details")
        expect(details).to_contain_text("Out of Resources")
        expect(details).to_contain_text("What to do")
        button_in(part, "Try the 2 not stored again").click()
        expect(part.get_by_text("27 of 27 stored")).to_be_visible()
        assert scp.received.sop_instance_uid.nunique() == 27
    assert notebook.value("[*panel.to_frame(latest=True).outcome.unique()]") == ["stored"]


def sent_off(notebook: Notebook) -> tuple[Locator, Locator]:
    """What the cell with a panel shows once Send was pressed, and in it the table of results."""
    notebook.run_all()
    part = notebook.output(0)
    part.get_by_role("button", name="Send 27 instances").click()
    return part, part.get_by_role("grid", name="What became of it")


def test_a_batch_that_is_cancelled_has_a_row_for_what_the_receiver_has(open_notebook: Open) -> None:
    with LocalSCP(aet="ARCHIVE", faults=[Delay(0.2)]) as scp:
        notebook = open_notebook(panel_cell(scp))
        part, grid = sent_off(notebook)
        expect(grid.get_by_role("row", name="stored").nth(1)).to_be_visible()
        button_in(part, "Cancel").click()
        notebook.wait(lambda: notebook.value("panel.state") == "done", "it ended")
        frame = "panel.to_frame(latest=True)"
        stored = notebook.value(f"[*{frame}.query('outcome == \"stored\"').sop_instance_uid]")
        assert sorted(stored) == sorted(scp.received.sop_instance_uid)
        assert 2 <= len(stored) < 27
        assert notebook.value(f"len({frame})") == 27
        expect(
            part.get_by_role("button", name=f"Try the {27 - len(stored)} not stored again")
        ).to_be_visible()


@pytest.mark.parametrize("is_saved", [True, False], ids=["saved", "unsaved"])
def test_a_batch_outlives_the_page(open_notebook: Open, is_saved: bool) -> None:
    with LocalSCP(aet="ARCHIVE", faults=[Delay(1.5)]) as scp:
        notebook = open_notebook(panel_cell(scp))
        part, grid = sent_off(notebook)
        expect(grid.get_by_role("row", name="stored").first).to_be_visible()
        if is_saved:
            notebook.save()
        notebook.reload()
        if not is_saved:
            notebook.run_all()
            expect(part.get_by_text("was under way already")).to_be_visible()
        assert notebook.value("panel.state") == "sending"
        seen = grid.get_by_role("row", name="stored").count()
        expect(grid.get_by_role("row", name="stored").nth(seen)).to_be_visible()
        button_in(part, "Cancel").click()
        expect(part.get_by_text("of 27 stored at")).to_be_visible()
        stored = notebook.value("[*panel.to_frame().query('outcome == \"stored\"').sop_instance_uid]")
        assert stored == [*scp.received.sop_instance_uid]


# Saving and coming back


def test_a_saved_notebook_holds_no_name_and_no_pixel(open_notebook: Open, lab: JupyterLab) -> None:
    notebook = open_notebook(*ALL)
    save_states_from_now_on(notebook)
    notebook.run_all()
    notebook.scroll_to(3)
    expect(notebook.output(3).get_by_role("row", name="Phantom^Ada").first).to_be_visible()
    notebook.scroll_to(2)
    notebook.output(2).get_by_role("searchbox").fill("PatientName")
    row = grid_in(notebook, 2).get_by_role("row", name="(0010,0010)")
    row.dblclick()
    expect(notebook.output(2).get_by_role("region", name="Details")).to_contain_text("Phantom^Ada")
    saved = saved_with_states(notebook)
    for state in states_in(saved).values():
        assert "buffers" not in state
        for ours in ("_esm", "_css"):
            state["state"].pop(ours, None)
    text = json.dumps(saved)
    report = pydicom.dcmread(sample_folder() / "sr-report" / "ct-report.dcm")
    for value in (str(report.PatientName.family_name), report.PatientID, report.StudyInstanceUID, "pacs"):
        assert value not in text
    assert len(text) < 20_000  # no picture of 131 kB fits


def test_after_a_reload_of_the_saved_notebook_the_widgets_are_back(open_notebook: Open) -> None:
    notebook = open_notebook(FORM, STACK, TAGS)
    notebook.run_all()
    field_in(form_in(notebook), "Our AE title").fill("BEFORE")
    viewer_in(notebook, 1).get_by_role("slider", name="Frame").press("End")
    notebook.output(2).get_by_role("searchbox").fill("StudyDate")
    expect(grid_in(notebook, 2).get_by_role("row", name="StudyDate")).to_be_visible()
    notebook.save()
    notebook.reload()
    expect(field_in(form_in(notebook), "Our AE title")).to_have_value("BEFORE")
    expect(viewer_in(notebook, 1).get_by_role("slider")).to_have_attribute("aria-valuetext", "Frame 12 of 12")
    expect(viewer_in(notebook, 1)).to_have_attribute("aria-busy", "false")
    expect(notebook.output(2).get_by_role("searchbox")).to_have_value("StudyDate")
    expect(grid_in(notebook, 2).get_by_role("row", name="StudyDate")).to_be_visible()
    field_in(form_in(notebook), "Our AE title").fill("AFTER")
    notebook.wait(lambda: notebook.value("form.value.our_aet") == "AFTER", "the form is alive")


def test_after_a_reload_of_the_unsaved_notebook_running_it_again_brings_the_widgets_back(
    open_notebook: Open,
) -> None:
    notebook = open_notebook(FORM, "form")
    notebook.run_all()
    field_in(form_in(notebook), "Our AE title").fill("UNSAVED")
    notebook.wait(lambda: notebook.value("form.value.our_aet") == "UNSAVED", "Python has it")
    notebook.reload()
    expect(notebook.page.get_by_role("group", name="DICOM sender setting")).to_have_count(0)
    notebook.page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
    notebook.page.keyboard.press("Shift+Enter")
    expect(field_in(form_in(notebook, 1), "Our AE title")).to_have_value("UNSAVED")


def test_after_a_restart_every_widget_says_what_to_do(open_notebook: Open) -> None:
    notebook = open_notebook(*ALL)
    run_all_and_see_them(notebook)
    expect(notebook.output(3).get_by_role("row", name="Phantom^Ada").first).to_be_visible()
    notebook.restart()
    for cell in range(len(ALL)):
        notebook.scroll_to(cell)
        expect(notebook.output(cell).get_by_text("Run the cell again").first).to_be_visible()
    button_in(notebook.output(3), "Look again").click()
    field_in(form_in(notebook), "Host").fill("nobody")
    viewer_in(notebook, 1).get_by_role("slider", name="Frame").press("End")
    notebook.output(2).get_by_role("searchbox").fill("StudyDate")
    grid_in(notebook, 2).press("End")
    notebook.run_all()
    for cell in range(len(ALL)):
        notebook.scroll_to(cell)
        expect(notebook.output(cell).get_by_text("Run the cell again")).to_have_count(0)
    expect(field_in(form_in(notebook), "Host")).to_have_value(HOST)


def test_widgets_of_another_day_that_were_saved_with_their_state_say_what_to_do(
    open_notebook: Open, lab: JupyterLab, chromium: Browser
) -> None:
    notebook = open_notebook(*ALL)
    save_states_from_now_on(notebook)
    run_all_and_see_them(notebook)
    saved_with_states(notebook)
    notebook.close()
    again = Notebook(chromium, lab, str(notebook.path.relative_to(lab.root).as_posix()))
    for cell in range(len(ALL)):
        again.scroll_to(cell)
        expect(again.output(cell).get_by_text("un the cell").first).to_be_visible()
    again.close()


def save_states_from_now_on(notebook: Notebook) -> None:
    """Have JupyterLab save the states of widgets, which it does not by itself; its command changes it back, too."""
    name = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
    is_on = "(name) => jupyterapp.commands.isToggled(name)"
    if not notebook.page.evaluate(is_on, name):
        notebook.command(name)
    notebook.until(is_on, name)


def saved_with_states(notebook: Notebook) -> dict[str, Any]:
    """The file, once the states of the widgets are in it: JupyterLab puts them there when it comes to it."""
    saved: dict[str, Any] = {}

    def has_all() -> bool:
        saved.update(json.loads(notebook.save()))
        return len(states_in(saved)) >= 6

    notebook.wait(has_all, "the widgets' states are saved")
    return saved


def states_in(saved: dict[str, Any]) -> dict[str, Any]:
    widgets = saved["metadata"].get("widgets", {})
    return widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})


def run_all_and_see_them(notebook: Notebook) -> None:
    notebook.run_all()
    for cell in range(len(ALL)):
        notebook.scroll_to(cell)
        expect(notebook.output(cell).locator(".dk-card").last).to_be_visible()


# Values that mean ill


def test_values_that_look_like_markup_are_text_everywhere(open_notebook: Open, tmp_path: Path) -> None:
    study = pydicom.dcmread(sample_folder() / "ct-abdomen" / "slice-05.dcm")
    study.PatientName = study.SeriesDescription = study.StudyDescription = NASTY
    study.private_block(0x0009, NASTY, create=True).add_new(0x01, "LO", NASTY)
    study.WindowCenterWidthExplanation = NASTY[:16]
    name = "plain.dcm" if sys.platform == "win32" else f"{NASTY}.dcm"
    study.save_as(tmp_path / name)
    path = f"path = {str(tmp_path / name)!r}\n"
    notebook = open_notebook(
        f"{path}from dicomkit.widgets import *\ntags = TagBrowser(path, path)\ntags",
        "viewer = ImageViewer(path)\nviewer",
        f"form = SettingForm(folder={str(tmp_path)!r})\nform",
        "tags, viewer, form",
    )
    notebook.run_all()
    notebook.output(0).get_by_role("searchbox").fill("img src")
    expect(grid_in(notebook).get_by_text(NASTY, exact=True).first).to_be_visible()
    grid_in(notebook).get_by_role("row", name="(0010,0010)").dblclick()
    expect(notebook.output(0).get_by_role("region", name="Details")).to_contain_text(NASTY)
    expect(viewer_in(notebook, 1).get_by_role("combobox")).to_contain_text(NASTY[:16])
    form = form_in(notebook, 2)
    field_in(form, "Host").fill(NASTY)
    expect(form.get_by_text(NASTY).first).to_be_visible()
    form.get_by_role("textbox", name="JSON").fill(f'{{"RemotePort": "{NASTY}"}}')
    expect(button_in(form, "Line 1, column 16")).to_be_visible()
    assert notebook.page.locator(".jp-Notebook .jp-OutputArea img").count() == 0


# Looks


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_widgets_fit_their_place_wear_the_theme_and_axe_finds_no_fault(
    open_notebook: Open, dark: bool
) -> None:
    with LocalSCP(aet="ARCHIVE", faults=[Status(0xA700, times=3)]) as scp:
        notebook = open_notebook(FORM, STACK, TAGS, panel_cell(scp, "retries=0"), dark=dark, width=NARROW)
        notebook.run_all()
        notebook.value("panel.start() and None")
        form, viewer = form_in(notebook), viewer_in(notebook, 1)
        details = [notebook.output(cell).get_by_role("region", name="Details") for cell in (2, 3)]
        show = [
            lambda: field_in(form, "Port").fill("70000"),
            lambda: expect(viewer).to_be_visible(),
            lambda: open_the_details_of(notebook.output(2), "PatientName", "(0010,0010)"),
            lambda: open_the_details_of(notebook.output(3).locator(".dk-rows").nth(1), "A700", "refused"),
        ]
        is_shown = [
            lambda: expect(field_in(form, "Port")).to_have_value("70000"),
            lambda: expect(viewer).to_have_attribute("aria-busy", "false"),
            lambda: expect(details[0]).to_be_visible(),
            lambda: expect(details[1]).to_be_visible(),
        ]
        for cell, show_it in enumerate(show):
            notebook.scroll_to(cell)
            show_it()
        for width in (NARROW, WIDE):
            notebook.resize(width)
            for cell, is_it_shown in enumerate(is_shown):
                notebook.scroll_to(cell)
                is_it_shown()
                place = notebook.output(cell).locator(".jp-OutputArea-output").first
                assert place.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
                for widget in place.locator(".dk-card").all():
                    assert widget.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
                    background = widget.evaluate("(one) => getComputedStyle(one).backgroundColor")
                    assert background == colour_of(notebook, "--jp-layout-color1")
                assert faults_found_by_axe(notebook, ".jp-Notebook .jp-OutputArea-output") == []


def open_the_details_of(part: Locator, search: str, row: str) -> None:
    part.get_by_role("searchbox").fill(search)
    part.get_by_role("row", name=row).first.dblclick()
    expect(part.get_by_role("region", name="Details")).to_be_visible()


def colour_of(notebook: Notebook, variable: str) -> str:
    return notebook.page.evaluate(
        """(name) => {
            const one = document.createElement("p");
            one.style.color = `var(${name})`;
            document.body.append(one);
            const { color } = getComputedStyle(one);
            one.remove();
            return color;
        }""",
        variable,
    )
