"""TagBrowser: what it takes, what it lists, what Python hears of it, and how it looks in a browser."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import traitlets
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from dicomkit.errors import UnreadableError
from dicomkit.messages import DicomMessage
from dicomkit.samples import sample_folder
from dicomkit.widgets import TagBrowser
from dicomkit.widgets.table import Cell, Row
from tests.support.viewer_page import browser
from tests.widgets.test_table import Kernel, Table, faults_found_by_axe

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SAMPLES = sample_folder() / "sample-study" if (sample_folder() / "sample-study").is_dir() else sample_folder()
SPINE = SAMPLES / "mr-spine-utf8" / "sagittal-private-tags.dcm"
REPORT = SAMPLES / "sr-report" / "ct-report.dcm"
PATIENT_NAME = 0x00100010
NASTY = "<img src=x onerror=alert(1)>"


def listed(browser: TagBrowser) -> list[Row]:
    return list(browser.source.window(0, len(browser.source)))


def cells(row: Row) -> list[str]:
    return [cell.text if isinstance(cell, Cell) else cell for cell in row.cells]


def row_of(browser: TagBrowser, key: str) -> Row:
    return next(row for row in listed(browser) if row.key == key)


def two_reports() -> tuple[Dataset, Dataset]:
    sent, received = dcmread(REPORT), dcmread(REPORT)
    received.PatientName = NASTY
    received.ContentSequence[1].ConceptNameCodeSequence[0].CodeMeaning = "Changed"
    del received.StudyTime
    received.StudyComments = "new"
    return sent, received


@pytest.fixture
def spine() -> Iterator[TagBrowser]:
    """The sample with a name in three scripts and private tags."""
    one = TagBrowser(SPINE)
    yield one
    one.close()


@pytest.fixture
def report() -> Iterator[TagBrowser]:
    """The sample with sequences in sequences."""
    one = TagBrowser(REPORT)
    yield one
    one.close()


# What it takes


@pytest.mark.parametrize(
    "source",
    [
        SPINE,
        str(SPINE),
        dcmread(SPINE),
        SPINE.read_bytes(),
        DicomMessage.from_file(SPINE),
        DicomMessage.from_bytes(SPINE.read_bytes()),
        SPINE.parent,
        [SPINE],
    ],
    ids=[
        "path",
        "text",
        "dataset",
        "bytes",
        "message of a file",
        "message of bytes",
        "folder of one",
        "list",
    ],
)
def test_anything_that_names_one_object_is_shown(source: object) -> None:
    one = TagBrowser(source)
    assert "Yamada" in cells(row_of(one, "data/00100010"))[3]
    one.close()


def test_what_names_several_objects_is_refused_with_their_count() -> None:
    with pytest.raises(UnreadableError, match=r"12 objects .* name one of them"):
        TagBrowser(SAMPLES / "ct-abdomen")


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_text("hello")
    with pytest.raises(UnreadableError, match=r"note\.dcm"):
        TagBrowser(tmp_path / "note.dcm")


def test_the_caption_says_what_is_shown(spine: TagBrowser) -> None:
    assert spine.caption == "sagittal-private-tags.dcm, MR Image Storage, Explicit VR Little Endian"


# What it lists


def test_file_meta_and_data_set_are_open_groups_and_sequences_are_shut(report: TagBrowser) -> None:
    rows = listed(report)
    assert [row.key for row in rows if row.is_heading] == ["meta", "data"]
    sequence = row_of(report, "data/0040a730")
    assert (sequence.is_open, cells(sequence)[3]) == (False, "5 items")
    assert not [row for row in rows if row.level > 2]


def test_a_sequence_is_fetched_when_it_is_opened(report: TagBrowser) -> None:
    kernel = Kernel(report)
    kernel.hello()
    before = len(listed(report))
    kernel.say("expand", key="data/0040a730", isOpen=True)
    assert len(listed(report)) == before + 5
    assert cells(row_of(report, "data/0040a730/0"))[0] == "Item 1"
    kernel.say("expand", key="data/0040a730/0", isOpen=True)
    assert row_of(report, "data/0040a730/0").is_open
    kernel.say("expand", key="data/0040a730", isOpen=False)
    assert len(listed(report)) == before


def test_a_single_item_opens_with_its_sequence(report: TagBrowser) -> None:
    report.source.set_open("data/0040a043", True)
    assert row_of(report, "data/0040a043/0/00080104").level == 4


def test_what_identifies_the_patient_is_marked_with_what_is_done_about_it(spine: TagBrowser) -> None:
    said = {row.key: cells(row)[-1] for row in listed(spine)}
    assert said["data/00100010"] == "empty"
    assert said["data/00080018"] == "new UID"
    assert said["data/00280010"] == ""
    spine.only_identifying = True
    rows = [row for row in listed(spine) if cells(row)[0].startswith("(")]
    assert rows and all(cells(row)[-1] for row in rows)


def test_binary_values_are_summarised_and_open_to_their_first_bytes(spine: TagBrowser) -> None:
    assert cells(row_of(spine, "data/7fe00010"))[3] == "<131072 bytes>"
    facts = {fact.label: fact.text for fact in spine.source.detail("data/7fe00010")}
    assert facts["Value"] == "<131072 bytes>"
    assert facts["First bytes"].startswith("000000  ")


def test_a_long_value_is_whole_when_it_is_opened() -> None:
    dataset = Dataset()
    dataset.PatientComments = "word " * 1000 + "end"
    one = TagBrowser(dataset)
    assert cells(row_of(one, "data/00104000"))[3].endswith("…")
    facts = {fact.label: fact.text for fact in one.source.detail("data/00104000")}
    assert facts["Value"].endswith("end")
    assert facts["In Python"] == "dataset.PatientComments"
    assert one.source.copy_text("data/00104000") == dataset.PatientComments
    one.close()


# Search


@pytest.mark.parametrize(
    "text", ["0010,0010", "00100010", "PatientName", "patient's name", "YAMADA", "山田", "yamada pn"]
)
def test_a_search_finds_by_tag_name_and_value(spine: TagBrowser, text: str) -> None:
    spine.search_text = text
    assert "data/00100010" in spine.source.shown_keys()
    assert len(spine.source) < 8


def test_a_search_opens_what_leads_to_a_hit_and_counts_hits_only(report: TagBrowser) -> None:
    report.search_text = "round lesion"
    rows = listed(report)
    assert any(row.level > 4 for row in rows)
    assert 0 < report.source.hits < len(rows)
    assert report.source.hits < report.source.total
    report.search_text = ""
    assert not [row for row in listed(report) if row.level > 2]


def test_a_branch_that_was_found_can_be_shut_and_opened(report: TagBrowser) -> None:
    report.search_text = "round lesion"
    before = report.source.shown_keys()
    report.source.set_open("data/0040a730", False)
    assert len(report.source) < len(before)
    report.source.set_open("data/0040a730", True)
    assert report.source.shown_keys() == before


def test_siblings_sort_by_keyword(spine: TagBrowser) -> None:
    spine.order = ("keyword", False)
    keywords = [cells(row)[1] for row in listed(spine) if row.key.startswith("data/")]
    assert keywords == sorted(keywords, key=str.casefold)


# Python


def test_the_selected_tag_is_observable(spine: TagBrowser) -> None:
    kernel = Kernel(spine)
    kernel.hello()
    seen: list[object] = []
    spine.observe(lambda change: seen.append(change.new), "selected_tag")
    kernel.say("activate", key="data/00100010", index=0, revision=kernel.revision, move=1)
    assert seen == [PATIENT_NAME]
    assert spine.selected_element.keyword == "PatientName"
    kernel.say("activate", key="data", index=0, revision=kernel.revision, move=2)
    assert seen == [PATIENT_NAME, None]
    assert spine.selected_element is None


def test_selecting_a_tag_moves_the_cursor_and_opens_its_group(spine: TagBrowser) -> None:
    spine.source.set_open("data", False)
    spine.selected_tag = "PatientName"
    assert spine.active == "data/00100010"
    assert "data/00100010" in spine.source.shown_keys()


def test_selecting_a_tag_that_is_not_there_is_refused(spine: TagBrowser) -> None:
    with pytest.raises(traitlets.TraitError, match="not at the outermost level"):
        spine.selected_tag = 0x00109999


def test_nothing_of_the_data_set_is_in_what_a_notebook_saves(spine: TagBrowser) -> None:
    spine.search_text = "yamada"
    spine.selected_tag = PATIENT_NAME
    saved = json.dumps(spine.get_state(), default=str, ensure_ascii=False)
    assert "Yamada" not in saved and "yamada" not in saved and "DK-0002" not in saved
    assert repr(spine) == f"<TagBrowser: {spine.source.hits} of {spine.source.total} tags>"


def test_what_is_open_under_a_sequence_is_not_counted_with_the_tags_of_the_outermost_level() -> None:
    browser = TagBrowser(REPORT)
    total = browser.source.total
    assert repr(browser) == f"<TagBrowser: {total} of {total} tags>"
    browser.selected_tag = "ContentSequence"
    assert browser.active is not None
    browser.source.set_open(browser.active, True)
    assert len(browser.source) > total  # there are more to scroll through
    assert repr(browser) == f"<TagBrowser: {total} of {total} tags>"
    browser.search_text = "Content"
    assert browser.source.hits < browser.source.total
    assert repr(browser) == f"<TagBrowser: {browser.source.hits} of {browser.source.total} tags>"
    browser.close()


def test_closing_frees_the_data_set() -> None:
    dataset = dcmread(SPINE)
    kept = weakref.ref(dataset)
    one = TagBrowser(dataset)
    Kernel(one).hello()
    one.close()
    del dataset
    gc.collect()
    assert kept() is None
    assert one.dataset is None


# Two side by side


def test_two_data_sets_are_compared_with_differences_marked() -> None:
    one = TagBrowser(*two_reports())
    said = {row.key: (cells(row)[3:6], row.tone) for row in listed(one)}
    assert [column.label for column in one.source.columns][3:6] == ["Sent", "Received", "Difference"]
    assert said["data/00100010"] == (["Phantom^Ada", NASTY, "changed"], "changed")
    assert said["data/00080030"] == (["080000", "", "only sent"], "removed")
    assert said["data/00324000"] == (["", "new", "only received"], "added")
    assert said["data/00080050"][0][2] == "" and said["data/00080050"][1] == ""
    one.close()


def test_only_differences_lists_what_differs_down_to_the_element() -> None:
    one = TagBrowser(*two_reports())
    one.only_differences = True
    assert one.source.shown_keys() == [
        "data",
        "data/00080030",
        "data/00100010",
        "data/00324000",
        "data/0040a730",
        "data/0040a730/1",
        "data/0040a730/1/0040a043",
        "data/0040a730/1/0040a043/0",
        "data/0040a730/1/0040a043/0/00080104",
    ]
    assert (one.source.hits, one.chosen) == (6, {"differences": {"only"}})
    one.close()


def test_two_that_are_the_same_have_nothing_to_list() -> None:
    one = TagBrowser(SPINE, dcmread(SPINE))
    one.only_differences = True
    assert len(one.source) == 0
    one.close()


def test_a_sequence_on_one_side_only_opens_all_the_same() -> None:
    left, right = Dataset(), Dataset()
    left.PatientID = right.PatientID = "1"
    item = Dataset()
    item.CodeMeaning = "Liver"
    right.AnatomicRegionSequence = Sequence([item])
    one = TagBrowser(left, right, labels=("before", "after"))
    one.source.set_open("data/00082218", True)
    assert cells(row_of(one, "data/00082218/0/00080104"))[3:6] == ["", "Liver", "only after"]
    one.close()


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all of them."""
    with browser() as running:
        yield running


def test_branches_open_and_shut_by_arrow_keys(chromium: Browser) -> None:
    table = Table(chromium, TagBrowser(REPORT))
    table.rows.selected_tag = "ContentSequence"
    table.shown.serve()
    active: list[Any] = []
    for key in (
        "ArrowRight",
        "ArrowRight",
        "ArrowRight",
        "ArrowRight",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowLeft",
        "ArrowLeft",
    ):
        table.press(key)
        active.append(table.rows.active)
    sequence, item = "data/0040a730", "data/0040a730/0"
    first = active[3]
    assert active == [sequence, item, item, first, item, item, sequence, sequence]
    assert first.startswith(f"{item}/")
    row = table.page.locator(f"#{table.grid.get_attribute('aria-activedescendant')}")
    assert (row.get_attribute("aria-expanded"), row.get_attribute("aria-level")) == ("false", "2")
    table.close()


def test_a_click_on_the_sign_opens_a_sequence_and_one_on_the_row_selects_it(chromium: Browser) -> None:
    table = Table(chromium, TagBrowser(REPORT))
    table.rows.selected_tag = "ContentSequence"
    table.shown.serve()
    row = table.page.get_by_role("row").filter(has_text="ContentSequence")
    row.locator(".dk-rows-twisty").click()
    table.shown.serve()
    assert row.get_attribute("aria-expanded") == "true"
    table.page.get_by_role("row").filter(has_text="Item 1").first.click()
    table.shown.serve()
    assert table.rows.active == "data/0040a730/0"
    table.close()


def test_hostile_values_are_shown_as_text(chromium: Browser) -> None:
    dataset = Dataset()
    dataset.PatientName = NASTY
    dataset.private_block(0x0029, NASTY, create=True).add_new(1, "LO", NASTY)
    table = Table(chromium, TagBrowser(dataset))
    table.rows.selected_tag = PATIENT_NAME
    table.rows.opened = table.rows.active
    table.rows.search_text = "img"
    table.shown.serve()
    assert table.page.locator("img").count() == 0
    assert table.page.get_by_role("gridcell", name=NASTY).count() >= 4
    table.close()


def test_a_value_is_copied_from_its_details(chromium: Browser) -> None:
    table = Table(chromium, TagBrowser(SPINE))
    table.shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    table.rows.selected_tag = PATIENT_NAME
    table.rows.opened = table.rows.active
    table.shown.serve()
    table.page.get_by_role("button", name="Copy Value").click()
    assert table.page.evaluate("navigator.clipboard.readText()") == str(dcmread(SPINE).PatientName)
    table.close()


def test_only_differences_is_a_switch_in_the_page(chromium: Browser) -> None:
    table = Table(chromium, TagBrowser(*two_reports()))
    table.page.get_by_role("button", name="Only differences").click()
    table.shown.serve()
    assert table.rows.only_differences
    assert table.page.get_by_role("gridcell", name="only received").is_visible()
    assert table.page.get_by_role("button", name="Only differences").get_attribute("aria-pressed") == "true"
    table.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_fault(chromium: Browser, dark: bool) -> None:
    table = Table(chromium, TagBrowser(*two_reports()), dark=dark)
    table.rows.only_differences = True
    table.rows.selected_tag = PATIENT_NAME
    table.rows.opened = table.rows.active
    table.shown.serve()
    assert faults_found_by_axe(table) == []
    table.close()


def test_it_works_when_a_thousand_pixels_are_all_there_is(chromium: Browser) -> None:
    table = Table(chromium, TagBrowser(*two_reports()))
    assert table.grid.evaluate("grid => grid.scrollWidth <= grid.clientWidth")
    table.close()
