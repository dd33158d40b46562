"""The chooser: what it lists of a folder, what can be chosen, and what it says of folders that it cannot list."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import traitlets
from ipywidgets.widgets import widget as ipywidgets_widget  # type: ignore[import-untyped]

from dicomkit import BatchPanel, LocalSCP, SourceChooser
from dicomkit.samples import sample_folder
from dicomkit.widgets.chooser._chooser import keep_apart
from dicomkit.widgets.table import Cell
from tests.support.files import write_ct_files
from tests.support.peers import wait_until
from tests.support.permissions import as_nobody
from tests.support.viewer_page import ViewerPage, Wire, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS = 30.0
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders, one of which is empty, and files of several kinds."""
    place = tmp_path / "place"
    (place / "empty").mkdir(parents=True)
    write_ct_files(place / "study", 3, rows=8, columns=8)
    (place / "study" / "000000.dcm").rename(place / "without-suffix")
    (place / "notes.txt").write_text("not DICOM", "utf-8")
    (place / "old.zip").write_bytes(b"PK")
    (place / ".hidden").write_bytes(b"")
    return place


@pytest.fixture
def choosers() -> Iterator[list[SourceChooser]]:
    """Choosers put in here are closed."""
    made: list[SourceChooser] = []
    yield made
    for chooser in made:
        chooser.close()


def listed(chooser: SourceChooser) -> SourceChooser:
    wait_until(lambda: chooser._listing.is_listed and not is_waiting(chooser), SECONDS, "the listing")
    return chooser


def is_waiting(chooser: SourceChooser) -> bool:
    return len(chooser._rows.keys()) != len(chooser._listing.entries) or "Listing" in says(chooser)


def says(chooser: SourceChooser) -> str:
    return " ".join(note["says"] for note in chooser._bar._state["notes"])


def press(chooser: SourceChooser, act: str, text: str = "") -> None:
    chooser._bar._hear(chooser._bar, {"kind": "press", "act": act, "label": "", "text": text}, [])


def tell(chooser: SourceChooser, kind: str, **content: Any) -> None:
    chooser._table._hear(chooser._table, {"kind": kind, "view": "one", **content}, [])


def check(chooser: SourceChooser, name: str, *, is_checked: bool = True) -> None:
    tell(chooser, "check", key=chooser._rows.key_of(name), isChecked=is_checked)


def rows_of(chooser: SourceChooser) -> dict[str, tuple[str, ...]]:
    """What stands in the table, by name."""
    rows = chooser._rows.window(0, 200)
    texts = [tuple(cell.text if isinstance(cell, Cell) else cell for cell in row.cells) for row in rows]
    return {name: rest for name, *rest in texts}  # type: ignore[misc]


def looked_at(chooser: SourceChooser) -> dict[str, tuple[str, ...]]:
    listed(chooser)
    rows_of(chooser)
    wait_until(lambda: all(one.was_looked_at for one in chooser._listing.entries), SECONDS, "a look at each")
    return rows_of(chooser)


# What is listed


def test_folders_come_first_and_files_are_told_by_what_is_in_them(
    folder: Path, choosers: list[SourceChooser]
) -> None:
    chooser = SourceChooser(folder)
    choosers.append(chooser)
    rows = looked_at(chooser)
    assert list(rows) == ["empty", "study", "notes.txt", "old.zip", "without-suffix"]
    kinds = {name: kind for name, (kind, *_) in rows.items()}
    assert kinds == {
        "empty": "folder",
        "study": "folder",
        "notes.txt": "file",
        "old.zip": "zip archive",
        "without-suffix": "DICOM file",
    }
    assert rows["notes.txt"][1] == "9 bytes"
    assert "2 folders and 3 files" in says(chooser)


def test_it_opens_in_the_working_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    chooser = SourceChooser()
    assert chooser.folder == folder and chooser.selected == ()
    chooser.close()


def test_a_file_that_is_called_dicom_and_is_none_is_found_out(folder: Path) -> None:
    (folder / "lies.dcm").write_bytes(b"no preamble")
    chooser = SourceChooser(folder)
    assert looked_at(chooser)["lies.dcm"][0] == "file"
    chooser.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "broken").symlink_to(folder / "nowhere")
    chooser = SourceChooser(folder)
    rows = looked_at(chooser)
    assert rows["pipe"][0] == "neither file nor folder"
    assert rows["broken"][0] == "cannot be read"
    chooser.close()


def test_opening_a_folder_and_going_up_puts_the_cursor_where_one_came_from(
    folder: Path, choosers: list[SourceChooser]
) -> None:
    chooser = listed(SourceChooser(folder))
    choosers.append(chooser)
    tell(chooser, "expand", key=chooser._rows.key_of("study"), isOpen=True)
    assert chooser.folder == folder / "study"
    assert list(rows_of(listed(chooser))) == ["000001.dcm", "000002.dcm"]
    press(chooser, "up")
    assert chooser.folder == folder
    wait_until(lambda: chooser._table.active is not None, SECONDS, "the cursor")
    assert chooser._rows.record(chooser._table.active).name == "study"


def test_a_path_can_be_typed_and_one_that_is_no_folder_is_refused_in_words(folder: Path) -> None:
    chooser = listed(SourceChooser(folder))
    press(chooser, "go", "study")
    assert chooser.folder == folder / "study"
    press(chooser, "go", "..")
    assert chooser.folder == folder
    for typed in ("nowhere", "~nobody-of-this-name", "a\0b"):
        press(chooser, "go", typed)
        assert chooser.folder == folder
        assert "is no folder" in says(chooser)
    press(chooser, "go", "notes.txt")
    wait_until(lambda: chooser._table.active is not None, SECONDS, "the cursor")
    assert chooser._rows.record(chooser._table.active).name == "notes.txt" and "is no folder" not in says(
        chooser
    )
    with pytest.raises(traitlets.TraitError, match=r"notes\.txt is no folder"):
        chooser.folder = folder / "notes.txt"
    chooser.close()


def test_what_is_no_folder_is_refused_and_leaves_no_model(folder: Path) -> None:
    before = len(ipywidgets_widget._instances)
    with pytest.raises(traitlets.TraitError, match="is no folder"):
        SourceChooser(folder / "nowhere")
    assert len(ipywidgets_widget._instances) == before


def test_search_is_for_names_and_opens_nothing(folder: Path, choosers: list[SourceChooser]) -> None:
    chooser = listed(SourceChooser(folder))
    choosers.append(chooser)
    chooser._table.search_text = "NOTES"
    assert list(rows_of(chooser)) == ["notes.txt"]


def test_sorting_by_size_finds_out_all_sizes(tmp_path: Path, choosers: list[SourceChooser]) -> None:
    for size in (30, 10, 20):
        (tmp_path / f"{size}").write_bytes(b"x" * size)
    (tmp_path / "folder").mkdir()
    chooser = listed(SourceChooser(tmp_path))
    choosers.append(chooser)
    chooser._table.order = ("size_bytes", True)
    wait_until(lambda: list(rows_of(chooser)) == ["folder", "30", "20", "10"], SECONDS, "the order by size")


def test_many_entries_are_counted_in_a_thread_and_few_are_looked_at(
    tmp_path: Path, choosers: list[SourceChooser]
) -> None:
    for number in range(20_000):
        (tmp_path / f"im{number:06}").touch()
    chooser = SourceChooser(tmp_path)
    choosers.append(chooser)
    wire = Wire(chooser._bar)
    chooser._bar.comm = wire
    listed(chooser)
    assert len(chooser._rows) == 20_000
    assert "20,000 files" in says(chooser)
    looked_at_few = rows_of(chooser)
    assert len(looked_at_few) == 200
    wait_until(lambda: chooser._listing._looker is None, SECONDS, "the end of the looking")
    assert sum(one.was_looked_at for one in chooser._listing.entries) <= 400
    assert len(wire.take()) < 20


# What cannot be listed


def test_a_folder_that_nobody_may_list_is_a_sentence(open_folder: Path) -> None:
    (open_folder / "secret").mkdir(mode=0)
    (open_folder / "mine.dcm").touch(mode=0)
    with as_nobody():
        chooser = SourceChooser(open_folder)
        rows = looked_at(chooser)
        assert rows["mine.dcm"][0] == "cannot be read"
        note = chooser._rows.window(0, 1)[0].cells[1]
        assert isinstance(note, Cell) and note.note == "permission denied"
        tell(chooser, "expand", key=chooser._rows.key_of("secret"), isOpen=True)
        listed(chooser)
        assert "cannot be listed: permission denied; ask for the right" in says(chooser)
        press(chooser, "up")
        assert chooser.folder == open_folder
        chooser.close()


def test_a_folder_that_vanishes_is_a_sentence_and_up_leads_to_what_is_left(folder: Path) -> None:
    (folder / "empty" / "deep").mkdir()
    chooser = listed(SourceChooser(folder / "empty" / "deep"))
    (folder / "empty" / "deep").rmdir()
    (folder / "empty").rmdir()
    press(chooser, "again")
    listed(chooser)
    assert "there is no such file or folder" in says(chooser)
    press(chooser, "up")
    assert chooser.folder == folder
    listed(chooser)
    (folder / "study" / "000001.dcm").unlink()
    tell(chooser, "expand", key=chooser._rows.key_of("study"), isOpen=True)
    assert list(rows_of(listed(chooser))) == ["000002.dcm"]
    chooser.close()


def test_a_row_of_a_folder_that_is_gone_is_refused_in_words(folder: Path) -> None:
    chooser = listed(SourceChooser(folder))
    (folder / "empty").rmdir()
    tell(chooser, "expand", key=chooser._rows.key_of("empty"), isOpen=True)
    assert chooser.folder == folder and "is no folder, or cannot be seen" in says(chooser)
    chooser.close()


# What is chosen


def test_boxes_choose_paths_which_stay_while_folders_are_opened(folder: Path) -> None:
    chooser = listed(SourceChooser(folder))
    heard: list[Any] = []
    chooser.observe(lambda change: heard.append(change.new), "selected")
    check(chooser, "without-suffix")
    chooser.folder = folder / "study"
    check(listed(chooser), "000002.dcm")
    assert chooser.selected == (folder / "without-suffix", folder / "study" / "000002.dcm")
    assert heard[-1] == chooser.selected
    assert "Chosen: without-suffix, 000002.dcm" in says(chooser)
    press(chooser, "up")
    listed(chooser)
    wait_until(lambda: len(chooser._table.checked) == 1, SECONDS, "the box that is checked")
    check(chooser, "without-suffix", is_checked=False)
    assert chooser.selected == (folder / "study" / "000002.dcm",)
    press(chooser, "none")
    assert chooser.selected == () and "Nothing is chosen" in says(chooser)
    chooser.close()


def test_all_that_is_in_a_folder_is_the_folder_and_one_less_is_the_rest(folder: Path) -> None:
    chooser = listed(SourceChooser(folder))
    tell(chooser, "check", revision=chooser._table._revision, isChecked=True)
    assert chooser.selected == (folder,)
    check(chooser, "empty", is_checked=False)
    assert [path.name for path in chooser.selected] == ["study", "notes.txt", "old.zip", "without-suffix"]
    press(chooser, "all")
    assert chooser.selected == (folder,) and len(chooser._table.checked) == 5
    chooser.folder = folder / "study"
    listed(chooser)
    wait_until(lambda: len(chooser._table.checked) == 2, SECONDS, "boxes of what is in a chosen folder")
    chooser.close()


def test_of_paths_that_lie_in_each_other_the_later_one_stays() -> None:
    a, ab, abc, d = Path("/a"), Path("/a/b"), Path("/a/b/c"), Path("/d")
    assert keep_apart([a, d, ab]) == (d, ab)
    assert keep_apart([ab, abc, d, a]) == (d, a)
    assert keep_apart([d, a, d]) == (a, d)
    assert keep_apart([Path("/a/b1"), Path("/a/b")]) == (Path("/a/b1"), Path("/a/b"))


def test_a_box_of_a_folder_that_was_left_chooses_nothing(folder: Path) -> None:
    chooser = listed(SourceChooser(folder))
    key = chooser._rows.key_of("study")
    chooser.folder = folder / "study"
    listed(chooser)
    tell(chooser, "check", key=key, isChecked=True)
    tell(chooser, "expand", key=key, isOpen=True)
    assert chooser.selected == () and chooser.folder == folder / "study"
    chooser.close()


def test_python_may_choose_one_path_or_several(folder: Path) -> None:
    chooser = SourceChooser(folder)
    chooser.set_trait("selected", str(folder / "study"))
    assert chooser.selected == (folder / "study",)
    chooser.selected = [folder / "notes.txt", folder / "old.zip"]
    listed(chooser)
    wait_until(lambda: len(chooser._table.checked) == 2, SECONDS, "their boxes")
    chooser.close()


def test_a_panel_sends_what_is_chosen_and_looks_again_when_that_changes() -> None:
    with LocalSCP() as scp:
        chooser = listed(SourceChooser(sample_folder()))
        panel = BatchPanel(scp.setting(), chooser)
        check(chooser, "ct-abdomen")
        batch = panel.start().wait(SECONDS)
        assert len(batch) == 12
        # Whoever waits gets the batch just begun, and not the one before.
        for is_checked in [True, False] * 5:
            check(chooser, "cr-hand", is_checked=is_checked)
            assert len(panel.start().wait(SECONDS)) == 12 + is_checked
        panel.close()
        chooser.close()


# What is kept, and freed


def test_nothing_of_names_is_in_what_a_notebook_saves(folder: Path) -> None:
    (folder / NASTY.replace("/", "")).mkdir()
    chooser = listed(SourceChooser(folder))
    check(chooser, "study")
    looked_at(chooser)
    saved = json.dumps([one.get_state() for one in (chooser, *chooser.children)], default=str)
    for name in ("study", "without-suffix", "onerror", str(folder)):
        assert name not in saved.replace(str(type(chooser)), "")
    chooser.close()


def test_closing_leaves_no_model_and_no_thread_behind(folder: Path) -> None:
    before = len(ipywidgets_widget._instances)
    for _ in range(10):
        chooser = SourceChooser(folder)
        chooser.close()
        chooser.close()
        chooser.refresh()
    assert len(ipywidgets_widget._instances) == before
    assert repr(chooser) == "<SourceChooser: 0 chosen>"


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_a_folder_with_a_hostile_name_is_text_in_the_table(chromium: Browser, folder: Path) -> None:
    (folder / NASTY).mkdir()
    chooser = listed(SourceChooser(folder))
    page = ViewerPage(chromium, chooser._table)
    page.serve(until=lambda: NASTY in page.page.inner_text("main"))
    assert page.page.locator("img").count() == 0
    page.close()
    chooser.close()


def test_the_path_field_and_its_errors_in_a_browser(chromium: Browser, folder: Path) -> None:
    (folder / NASTY).mkdir()
    chooser = listed(SourceChooser(folder))
    page = ViewerPage(chromium, chooser._bar)
    field = page.page.get_by_role("textbox", name="Folder")
    assert field.input_value() == str(folder)
    field.fill("nowhere")
    field.press("Enter")
    page.serve(until=lambda: "is no folder" in page.page.get_by_role("status").inner_text())
    assert field.input_value() == "nowhere"
    field.fill(NASTY)
    field.press("Enter")
    page.serve(until=lambda: field.input_value() == str(folder / NASTY))
    for the_same_folder in ("", "."):
        field.fill(the_same_folder)
        field.press("Enter")
        page.serve(until=lambda: field.input_value() == str(folder / NASTY))
    page.page.get_by_role("button", name="Choose this folder").click()
    page.serve(until=lambda: f"Chosen: {NASTY}" in page.page.inner_text("main"))
    assert page.page.locator("img").count() == 0
    assert chooser.selected == (folder / NASTY,)
    page.close()
    chooser.close()
