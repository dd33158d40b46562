"""The windowed table: what the kernel answers, and what a browser makes of a hundred thousand rows."""

from __future__ import annotations

import gc
import json
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import traitlets
from ipywidgets.widgets import widget as ipywidgets_widget
from pandas.api.types import is_numeric_dtype

from dicomkit.widgets.table import UPDATE_SECONDS, Cell, Column, Fact, RecordSource, Rows, cell_text
from dicomkit.widgets.table._table import WINDOW_ROWS
from tests.support.peers import wait_until
from tests.support.viewer_page import ViewerPage, Wire, browser, receive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

NASTY = "<img src=x onerror=alert(1)>"
MANY = 100_000
MOST_ROW_ELEMENTS = 300
SECONDS = 10.0
COLUMNS = (
    Column("number", "Number", 80, align="right"),
    Column("outcome", "Outcome", 120),
    Column("source", "Source", 200, stretch=1),
    Column("size", "Size", 80, align="right"),
)
TONES = {"stored": "good", "failed": "bad"}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Record:
    number: int
    outcome: str = "stored"
    source: str = ""
    size: float | None = None


def records(count: int, first: int = 0) -> list[Record]:
    return [
        Record(number, "failed" if number % 10 == 3 else "stored", f"slice-{number:06}.dcm", number * 0.5)
        for number in range(first, first + count)
    ]


@cache
def many_records() -> tuple[Record, ...]:
    return tuple(records(MANY))


def source_of(given: Sequence[Record]) -> RecordSource[Record]:
    return RecordSource(
        COLUMNS,
        given,
        show={"outcome": lambda outcome: Cell(outcome, TONES[outcome])},
        filters={"outcome": ("stored", "failed")},
        detail=lambda record: [
            Fact("Title", record.source),
            Fact("Why", f"because {record.number}", can_copy=True),
        ],
        noun=("result", "results"),
    )


def frame_source(frame: pd.DataFrame, **options: Any) -> RecordSource[int]:
    """The rows of a frame, whose records are positions."""
    columns = [
        Column(str(name), str(name), align="right" if is_numeric_dtype(dtype) else "left", stretch=1)
        for name, dtype in frame.dtypes.items()
    ]
    values = {str(name): frame[name].tolist() for name in frame.columns}
    return RecordSource(
        columns,
        range(len(frame)),
        value=lambda position, name: values[name][position],
        detail=lambda position: [
            Fact(name, cell_text(column[position]))
            for name, column in values.items()
            if cell_text(column[position])
        ],
        **options,
    )


def numbers_of(source: RecordSource[Record], start: int = 0, stop: int = WINDOW_ROWS) -> list[int]:
    return [source.record(row.key).number for row in source.window(start, stop)]


class Kernel:
    """A table with the kernel's end of its connection, spoken to as a browser does."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.wire = Wire(rows)
        rows.comm = self.wire

    def say(self, kind: str, view: str = "one", **content: Any) -> list[dict[str, Any]]:
        self.sent()
        receive(self.rows, {"method": "custom", "content": {"kind": kind, "view": view, **content}})
        return self.sent()

    def sent(self) -> list[dict[str, Any]]:
        messages = [data["content"] for data, _ in self.wire.take() if data["method"] == "custom"]
        json.dumps(messages)
        return messages

    def hello(self, view: str = "one") -> dict[str, Any]:
        return self.say("hello", view)[0]

    @property
    def revision(self) -> int:
        return int(self.rows._revision)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A table of a thousand records with check boxes."""
    rows = Rows(source_of(records(1000)), label="Results", can_check=True)
    yield Kernel(rows)
    rows.close()


# Sources


def test_a_source_sorts_both_ways_with_what_is_missing_last() -> None:
    source = source_of([Record(0, size=2.0), Record(1), Record(2, size=10.0), Record(3, size=2.0)])
    source.sort(("size", False))
    assert numbers_of(source) == [0, 3, 2, 1]
    source.sort(("size", True))
    assert numbers_of(source) == [2, 0, 3, 1]
    source.sort(None)
    assert numbers_of(source) == [0, 1, 2, 3]


def test_text_sorts_without_regard_to_case() -> None:
    source = source_of([Record(0, source="b"), Record(1, source="A"), Record(2, source="a")])
    source.sort(("source", False))
    assert numbers_of(source) == [1, 2, 0]


def test_a_search_wants_every_word_in_any_column() -> None:
    source = source_of(records(1000))
    source.search("FAILED 0123")
    assert numbers_of(source) == [123]


def test_new_records_join_what_is_filtered_searched_and_sorted() -> None:
    source = source_of(records(20))
    source.choose("outcome", frozenset({"failed"}))
    source.sort(("number", True))
    source.extend(records(20, first=20))
    assert numbers_of(source) == [33, 23, 13, 3]
    source.choose("outcome", frozenset())
    assert len(source) == source.total == 40


def test_a_replaced_record_leaves_where_it_is_no_longer_wanted() -> None:
    source = source_of(records(20))
    source.choose("outcome", frozenset({"failed"}))
    source.replace(3, Record(3, "stored"))
    assert numbers_of(source) == [13]
    assert [(one.value, one.count) for one in source.filters()[0].choices] == [("stored", 19), ("failed", 1)]


def test_a_replaced_record_moves_to_its_new_place_in_a_sort() -> None:
    source = source_of(records(4))
    source.sort(("size", True))
    assert numbers_of(source) == [3, 2, 1, 0]
    source.replace(0, Record(0, size=100.0))
    assert numbers_of(source) == [0, 3, 2, 1]


def test_a_choice_that_was_made_stays_on_offer_when_nothing_has_it() -> None:
    source = source_of([Record(0, "failed")])
    source.choose("outcome", frozenset({"failed"}))
    source.replace(0, Record(0, "stored"))
    assert [(one.value, one.count) for one in source.filters()[0].choices] == [("stored", 1), ("failed", 0)]


def test_records_may_come_from_many_threads_while_it_is_read() -> None:
    source = source_of([])
    source.sort(("number", True))
    threads = [
        threading.Thread(target=lambda: [source.append(one) for one in records(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        window = numbers_of(source)
        assert window == sorted(window, reverse=True)
    assert len(source) == source.total == 2000


def test_a_frame_is_shown_with_its_numbers_on_the_right_and_nothing_for_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "size": pd.array([3, None, 1], dtype="Int64"),
            "when": pd.to_datetime(["2025-03-14T08:00:00Z", None, "2025-03-13T08:00:00Z"]),
            "outcome": pd.Categorical(["stored", "failed", None]),
            "ms": [1.25, float("nan"), 3.0],
        }
    )
    source = frame_source(frame, filters={"outcome": ()})
    assert [column.align for column in source.columns] == ["right", "left", "left", "right"]
    assert source.window(0, 2)[0].cells == ("3", "2025-03-14 08:00:00", "stored", "1.2")
    assert source.window(1, 2)[0].cells == ("", "", "failed", "")
    source.sort(("when", False))
    assert [row.key for row in source.window(0, 3)] == [2, 0, 1]
    assert [fact.label for fact in source.detail(1)] == ["outcome"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (1234.56, "1,234.6"),
        (7, "7"),
        ("a\nb", "a⏎b"),
        ("a" * 400, "a" * 300 + "…"),
        (NASTY, NASTY),
    ],
)
def test_values_stand_in_their_cells_on_one_line(value: object, text: str) -> None:
    assert cell_text(value) == text


# The kernel's side


def test_hello_is_answered_with_the_look_the_state_and_the_first_rows(kernel: Kernel) -> None:
    answer = kernel.hello()
    assert [column["label"] for column in answer["look"]["columns"]] == [
        "Number",
        "Outcome",
        "Source",
        "Size",
    ]
    assert (answer["state"]["count"], answer["state"]["total"]) == (1000, 1000)
    window = answer["windows"]["one"]
    assert window["start"] == 0 and [row["key"] for row in window["rows"]] == list(range(60))
    assert window["rows"][3]["cells"][1] == {"text": "failed", "tone": "bad", "note": ""}


def test_no_window_is_larger_than_two_hundred_rows(kernel: Kernel) -> None:
    kernel.hello()
    (answer,) = kernel.say("window", start=100, stop=1000, revision=kernel.revision)
    assert [row["key"] for row in answer["rows"]] == list(range(100, 100 + WINDOW_ROWS))


def test_a_question_about_an_order_that_is_no_more_is_not_answered(kernel: Kernel) -> None:
    kernel.hello()
    before = kernel.revision
    kernel.rows.order = ("number", True)
    assert kernel.say("window", start=0, stop=50, revision=before) == []


def test_a_new_order_is_told_with_its_rows_to_every_view(kernel: Kernel) -> None:
    kernel.hello("one")
    kernel.hello("two")
    kernel.say("window", "two", start=500, stop=600, revision=kernel.revision)
    (sent,) = kernel.say("order", column="number", isDescending=True)
    assert sent["state"]["order"] == ["number", True] and sent["toTop"]
    assert [window["rows"][0]["key"] for window in sent["windows"].values()] == [999, 999]


def test_rows_that_stayed_the_same_are_not_sent_again(kernel: Kernel) -> None:
    kernel.hello()
    kernel.rows.source.append(Record(1000))
    kernel.sent()
    kernel.rows.changed()
    (sent,) = kernel.sent()
    assert (sent["same"], sent["windows"], sent["state"]["count"]) == (["one"], {}, 1001)


def test_without_a_view_that_asked_the_look_and_first_rows_are_told_to_any(kernel: Kernel) -> None:
    kernel.rows.changed()
    (sent,) = kernel.sent()
    assert "look" in sent and len(sent["windows"]["*"]["rows"]) == 60


def test_updates_come_at_most_five_times_a_second_and_the_last_one_comes(kernel: Kernel) -> None:
    kernel.hello()
    for number in range(100):
        kernel.rows.source.append(Record(1000 + number))
        kernel.rows.changed()
    sent: list[dict[str, Any]] = []

    def is_complete() -> bool:
        sent.extend(kernel.sent())
        return bool(sent) and sent[-1]["state"]["count"] == 1100

    wait_until(is_complete, SECONDS, "the last update")
    assert len(sent) <= 2 + 1 / UPDATE_SECONDS


def test_search_and_filters_run_in_the_kernel_and_can_be_set_from_python(kernel: Kernel) -> None:
    kernel.hello()
    (sent,) = kernel.say("search", text="failed")
    assert (sent["state"]["count"], kernel.rows.search_text) == (100, "failed")
    kernel.rows.search_text = ""
    kernel.rows.chosen = {"outcome": {"failed"}}
    state = kernel.sent()[-1]["state"]
    assert state["count"] == 100
    assert [choice["isChosen"] for choice in state["filters"][0]["choices"]] == [False, True]
    kernel.say("choose", name="outcome", value="stored")
    assert kernel.rows.chosen == {"outcome": {"stored", "failed"}}
    kernel.rows.chosen = {}
    assert kernel.sent()[-1]["state"]["count"] == 1000


def test_the_cursor_is_observable_and_follows_its_row_through_a_sort(kernel: Kernel) -> None:
    kernel.hello()
    seen: list[object] = []
    kernel.rows.observe(lambda change: seen.append(change.new), "active")
    kernel.say("activate", key=7, index=7, revision=kernel.revision, move=1)
    (sent,) = kernel.say("order", column="number", isDescending=True)
    assert (seen, sent["state"]["active"], sent["state"]["activeIndex"]) == ([7], 7, 992)


def test_a_row_that_the_browser_does_not_hold_is_reached_by_its_place(kernel: Kernel) -> None:
    kernel.hello()
    kernel.rows.order = ("number", True)
    kernel.say("activate", key=None, index=0, revision=kernel.revision, move=1)
    assert kernel.rows.active == 999
    (sent,) = kernel.say("activate", key=None, index=5, revision=kernel.revision - 1, move=2)
    assert (kernel.rows.active, sent["kind"], sent["active"]) == (999, "active", 999)


def test_boxes_are_checked_by_row_range_and_all_that_is_shown(kernel: Kernel) -> None:
    kernel.hello()
    kernel.say("check", key=7, isChecked=True, revision=kernel.revision)
    kernel.say("check", start=10, stop=13, isChecked=True, revision=kernel.revision)
    assert kernel.rows.checked == {7, 10, 11, 12}
    kernel.rows.search_text = "failed"
    (sent,) = kernel.say("check", isChecked=True, revision=kernel.revision)
    assert len(kernel.rows.checked) == 104
    assert (sent["state"]["checkedShown"], sent["state"]["checked"]) == (100, 104)
    kernel.say("check", isChecked=False, revision=kernel.revision)
    assert kernel.rows.checked == {7, 10, 11, 12}


def test_a_range_of_an_order_that_is_no_more_checks_nothing(kernel: Kernel) -> None:
    kernel.hello()
    kernel.say("check", start=0, stop=3, isChecked=True, revision=kernel.revision - 1)
    assert kernel.rows.checked == frozenset()


def test_details_follow_the_cursor_while_they_are_open(kernel: Kernel) -> None:
    kernel.hello()
    (sent,) = kernel.say("detail", key=3)
    assert [fact["text"] for fact in sent["facts"]] == ["slice-000003.dcm", "because 3"]
    sent = kernel.say("activate", key=4, index=4, revision=kernel.revision, move=1)[-1]
    assert (sent["kind"], sent["key"], kernel.rows.opened) == ("detail", 4, 4)
    (sent,) = kernel.say("detail", key=None)
    assert sent["facts"] == []


def test_a_row_is_copied_with_its_columns_apart(kernel: Kernel) -> None:
    kernel.hello()
    (sent,) = kernel.say("copy", key=3)
    assert sent["text"] == "3\tfailed\tslice-000003.dcm\t1.5"


def test_views_that_never_said_goodbye_are_forgotten(kernel: Kernel) -> None:
    for number in range(50):
        kernel.hello(f"view {number}")
    assert len(kernel.rows._views) < 10
    kernel.say("bye", "view 49")
    assert "view 49" not in kernel.rows._views


@pytest.mark.parametrize(
    "content",
    [
        None,
        "text",
        {},
        {"kind": "window"},
        {"kind": "window", "view": "one", "start": "x", "stop": 1, "revision": 0},
        {"kind": "order", "column": "no such", "isDescending": True},
        {"kind": "search", "text": 5},
        {"kind": "detail", "key": 5000},
        {"kind": "copy", "view": "one", "key": "nobody"},
        {"kind": ["list"]},
    ],
)
def test_what_makes_no_sense_is_passed_over(kernel: Kernel, content: Any) -> None:
    kernel.hello()
    receive(kernel.rows, {"method": "custom", "content": content})
    assert kernel.hello()["state"]["count"] == 1000


def test_sorting_by_what_is_no_column_is_refused(kernel: Kernel) -> None:
    with pytest.raises(traitlets.TraitError, match="sort by one of number, outcome, source, size"):
        kernel.rows.order = ("nothing", False)


def test_choosing_in_a_filter_that_is_not_there_is_refused(kernel: Kernel) -> None:
    with pytest.raises(traitlets.TraitError, match="choose from outcome"):
        kernel.rows.chosen = {"weather": {"fine"}}


def test_nothing_of_a_row_is_in_what_a_notebook_saves() -> None:
    rows = Rows(source_of([Record(0, source="Phantom^Ada")]), caption="Phantom^Ada")
    kernel = Kernel(rows)
    kernel.hello()
    rows.search_text = "phantom"
    rows.active = rows.opened = 0
    assert "phantom" not in json.dumps(rows.get_state(), default=str).lower().replace(
        str(rows._esm).lower(), ""
    )
    assert repr(rows) == "<Rows: 1 of 1 results>"
    rows.close()


def test_closing_leaves_no_model_no_record_and_no_timer_behind() -> None:
    before = len(ipywidgets_widget._instances)
    given = records(10)
    kept = weakref.ref(given[0])
    gone = []
    for _ in range(50):
        rows = Rows(source_of(given), can_check=True)
        kernel = Kernel(rows)
        kernel.hello()
        rows.changed()
        rows.changed()
        rows.close()
        gone.append(weakref.ref(rows))
    del rows, kernel, given
    gc.collect()
    assert len(ipywidgets_widget._instances) == before
    assert kept() is None
    assert [one() for one in gone] == [None] * 50
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


# In a browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for all of them."""
    with browser() as running:
        yield running


class Table:
    """A page with a table on it."""

    def __init__(self, chromium: Browser, rows: Rows, *, dark: bool = False) -> None:
        self.rows = rows
        self.shown = ViewerPage(chromium, rows, dark=dark)
        self.page = self.shown.page

    @property
    def grid(self) -> Locator:
        return self.page.locator("[role=grid], [role=treegrid]").first

    @property
    def active(self) -> str:
        """The text of the row that a screen reader reads."""
        place = self.grid.get_attribute("aria-activedescendant")
        return self.page.locator(f"#{place}").inner_text() if place else ""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.grid.press(key)
        self.shown.serve()

    def texts(self, column: int = 0) -> list[str]:
        """The cells of a column that can be seen, from top to bottom."""
        return self.page.evaluate(
            """([column]) => {
                const grid = document.querySelector("[role=grid], [role=treegrid]");
                const box = grid.getBoundingClientRect();
                const top = box.top + grid.querySelector(".dk-rows-top").offsetHeight;
                return [...grid.querySelectorAll(".dk-rows-body > [role=row]")]
                    .map((row) => [row, row.getBoundingClientRect()])
                    .filter(([, at]) => at.top >= top - 1 && at.bottom <= box.bottom + 1)
                    .map(([row]) => row.children[column]?.textContent ?? "");
            }""",
            [column],
        )

    def scroll(self, share: float) -> None:
        self.grid.evaluate("(grid, share) => { grid.scrollTop = share * grid.scrollHeight; }", share)
        self.shown.serve()

    def row_elements(self) -> int:
        return self.page.locator("[role=row]").count()

    def close(self) -> None:
        self.shown.close()
        self.rows.close()


def faults_found_by_axe(table: Table) -> list[str]:
    """What axe-core has against the widget, where its Python package is installed."""
    if find_spec("axe_playwright_python") is None:
        reason = "axe-core is missing: pip install axe-playwright-python"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    table.page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = table.page.evaluate("axe.run('.dk-rows')")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


@pytest.fixture
def table(chromium: Browser) -> Iterator[Table]:
    """A hundred thousand rows with check boxes."""
    one = Table(chromium, Rows(source_of(many_records()), label="Results", can_check=True))
    yield one
    one.close()


def test_a_hundred_thousand_rows_scroll_with_few_elements_and_few_messages(table: Table) -> None:
    for share in (0.0, 0.1, 0.100001, 0.33, 0.5, 0.77, 1.0):
        table.grid.evaluate("(grid, share) => { grid.scrollTop = share * grid.scrollHeight; }", share)
        asked = [one["content"] for one in table.shown.serve() if one["content"]["kind"] == "window"]
        assert len(asked) <= 2
        assert all(one["stop"] - one["start"] <= WINDOW_ROWS for one in asked)
        assert table.row_elements() < MOST_ROW_ELEMENTS
        seen = [int(text) for text in table.texts(column=1)]
        assert len(seen) > 5 and seen == list(range(seen[0], seen[0] + len(seen)))
    assert seen[-1] == MANY - 1


def test_scrolling_within_what_is_held_asks_for_nothing(table: Table) -> None:
    table.shown.serve()
    sent = []
    for top in range(0, 1000, 50):
        table.grid.evaluate("(grid, top) => { grid.scrollTop = top; }", top)
        sent += table.shown.serve()
    assert len(sent) <= 1


def test_an_answer_from_an_order_that_is_no_more_is_dropped(table: Table) -> None:
    before = table.texts(column=1)
    stale = {"revision": table.rows._revision - 1, "start": 0, "rows": []}
    view = next(iter(table.rows._views))
    table.page.evaluate("([view, stale]) => deliver({ kind: 'window', view, ...stale }, [])", [view, stale])
    table.shown.serve()
    assert table.texts(column=1) == before


def test_an_answer_overtaken_by_a_sort_is_dropped(table: Table) -> None:
    table.scroll(0.5)
    table.grid.evaluate("grid => { grid.scrollTop = 0.7 * grid.scrollHeight; }")
    table.shown.drawn()
    table.rows.order = ("number", True)  # tells a newer revision before the question is heard
    table.shown.serve()
    assert table.texts(column=1)[0] == str(MANY - 1)


def test_a_million_rows_can_be_scrolled_to_their_end(chromium: Browser) -> None:
    source = frame_source(pd.DataFrame({"number": range(1_000_000)}))
    table = Table(chromium, Rows(source, label="Numbers"))
    table.press("End")
    assert table.texts()[-1] == "999999"
    assert table.active == "999999"
    table.scroll(0.5)
    assert 490_000 < int(table.texts()[0]) < 510_000
    table.press("Home")
    assert table.texts()[0] == "0"
    table.close()


def test_the_cursor_goes_everywhere_by_keyboard(table: Table) -> None:
    table.grid.focus()
    for keys, number in (
        (("ArrowDown",), 0),
        (("ArrowDown", "ArrowDown", "ArrowUp"), 1),
        (("End",), MANY - 1),
        (("PageUp",), None),
        (("Control+Home",), 0),
        (("PageDown",), None),
        (("Home",), 0),
        (("ArrowUp",), 0),
    ):
        table.press(*keys)
        at = int(table.active.split()[0])
        assert number is None or at == number
        assert table.rows.active == at
        assert str(at) in table.texts(column=1)


def test_enter_opens_details_which_follow_and_escape_closes_them(table: Table) -> None:
    details = table.page.get_by_role("region", name="Details")
    table.press("ArrowDown", "Enter")
    assert "because 0" in details.inner_text()
    table.press("ArrowDown")
    assert "because 1" in details.inner_text()
    table.press("Escape")
    assert not details.is_visible() and table.rows.opened is None


def test_space_checks_and_shift_space_checks_up_to_there(table: Table) -> None:
    table.press("ArrowDown", " ")
    table.press("ArrowDown", "ArrowDown", "Shift+ ")
    assert table.rows.checked == {0, 1, 2}
    assert table.page.locator("[aria-selected=true]").count() == 3
    table.press("Control+a")
    assert len(table.rows.checked) == MANY
    assert table.page.get_by_role("checkbox", name="Check all").is_checked()


def test_a_click_on_a_box_checks_its_row(table: Table) -> None:
    table.page.get_by_role("checkbox", name="Check row 3", exact=True).click()
    table.shown.serve()
    assert table.rows.checked == {2}
    assert table.page.get_by_role("checkbox", name="Check row 3", exact=True).is_checked()


def test_a_search_is_typed_and_waits_for_quiet(table: Table) -> None:
    table.press("/")
    table.page.keyboard.type("0123")
    sent = table.shown.serve(lambda: table.rows.search_text == "0123")
    assert [one["content"]["text"] for one in sent if one["content"]["kind"] == "search"] == ["0123"]
    assert table.page.locator("mark").first.inner_text() == "0123"
    assert table.page.get_by_text("120 of 100,000 results").first.is_visible()


def test_a_search_that_finds_nothing_says_so(table: Table) -> None:
    table.rows.search_text = "nowhere"
    table.shown.serve()
    assert table.page.get_by_text("No results match.").is_visible()


def test_filters_are_buttons_that_say_whether_they_are_on(table: Table) -> None:
    failed = table.page.get_by_role("group", name="Outcome").get_by_role("button", name="failed")
    failed.focus()
    failed.press("Enter")
    table.shown.serve()
    assert failed.get_attribute("aria-pressed") == "true"
    assert failed.evaluate("button => button === document.activeElement")
    assert table.texts(column=1)[:2] == ["3", "13"]


def test_heads_sort_up_down_and_not_at_all(table: Table) -> None:
    head = table.page.get_by_role("columnheader", name="Size")
    for order, first in (("ascending", "0"), ("descending", str(MANY - 1)), ("none", "0")):
        head.get_by_role("button").click()
        table.shown.serve()
        assert head.get_attribute("aria-sort") == order
        assert table.texts(column=1)[0] == first


def test_columns_are_widened_by_keyboard(table: Table) -> None:
    head = table.page.get_by_role("columnheader", name="Number")
    before = head.bounding_box()
    head.get_by_role("button").press("Alt+ArrowRight")
    assert head.bounding_box()["width"] == before["width"] + 16


def test_the_grid_tells_its_size_and_names_to_those_who_hear_it(table: Table) -> None:
    assert table.grid.get_attribute("aria-rowcount") == str(MANY + 1)
    assert table.grid.get_attribute("aria-label") == "Results"
    assert table.grid.get_attribute("aria-multiselectable") == "true"
    table.press("End")
    row = table.page.locator(f"#{table.grid.get_attribute('aria-activedescendant')}")
    assert row.get_attribute("aria-rowindex") == str(MANY + 1)
    unlabelled = table.page.evaluate(
        """() => [...document.querySelectorAll("button, input, [role=grid], section")]
            .filter((one) => !(one.getAttribute("aria-label") || one.textContent.trim()))
            .map((one) => one.outerHTML)"""
    )
    assert unlabelled == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_fault(chromium: Browser, dark: bool) -> None:
    table = Table(chromium, Rows(source_of(records(100)), label="Results", can_check=True), dark=dark)
    table.press("ArrowDown", " ", "Enter")
    table.rows.search_text = "failed"
    table.rows.order = ("size", True)
    table.shown.serve()
    assert faults_found_by_axe(table) == []
    table.close()


def test_rows_that_come_while_it_runs_are_followed_at_the_end_only(chromium: Browser) -> None:
    source = source_of(records(100))
    table = Table(chromium, Rows(source, label="Results"))
    source.extend(records(100, first=100))
    table.rows.changed()
    table.shown.serve(lambda: table.grid.get_attribute("aria-rowcount") == "201")
    assert table.texts()[0] == "0"
    table.scroll(1.0)
    source.extend(records(100, first=200))
    table.rows.changed()
    table.shown.serve(lambda: table.grid.get_attribute("aria-rowcount") == "301")
    table.shown.serve()
    assert table.texts()[-1] == "299"
    table.close()


def test_two_views_of_one_table_agree(table: Table) -> None:
    table.page.evaluate("show()")
    table.shown.serve()
    table.grid.focus()
    table.press("End")
    table.rows.search_text = "failed"
    table.shown.serve()
    table.press("ArrowDown", " ")
    grids = table.page.get_by_role("grid")
    assert [grids.nth(one).get_attribute("aria-rowcount") for one in (0, 1)] == ["10001", "10001"]
    checked = [grids.nth(one).locator("[aria-selected=true]").inner_text() for one in (0, 1)]
    assert checked[0] == checked[1]
    active = [grids.nth(one).locator(".dk-rows-active").inner_text() for one in (0, 1)]
    assert active[0] == active[1]


def test_hostile_values_are_text_everywhere(chromium: Browser) -> None:
    source = RecordSource(
        (Column("source", NASTY), Column("outcome", "Outcome")),
        [Record(0, NASTY, NASTY)],
        filters={"outcome": ()},
        detail=lambda record: [Fact(NASTY, NASTY), Fact(NASTY, NASTY, can_copy=True)],
        noun=(NASTY, NASTY),
    )
    table = Table(chromium, Rows(source, label=NASTY, caption=NASTY))
    table.rows.active = table.rows.opened = 0
    table.rows.search_text = "img src"
    table.shown.serve()
    assert table.page.locator("img").count() == 0
    assert table.page.get_by_text(NASTY).count() >= 5
    table.close()


def test_a_row_is_copied_to_the_clipboard(table: Table) -> None:
    table.shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    table.press("ArrowDown", "Control+c")
    table.shown.serve()
    assert table.page.evaluate("navigator.clipboard.readText()") == "0\tstored\tslice-000000.dcm\t0.0"


def test_a_view_without_its_kernel_says_what_to_do(table: Table) -> None:
    table.page.evaluate("show()")
    assert table.page.get_by_text("Waiting for the kernel").is_visible()
    table.shown.serve()
    assert not table.page.get_by_text("Waiting for the kernel").is_visible()


def test_a_table_moved_about_in_the_page_keeps_its_place(table: Table) -> None:
    table.scroll(0.5)
    before = table.texts(column=1)[0]
    table.page.evaluate(
        "() => { const one = document.querySelector('main').firstChild; one.remove(); window.one = one; }"
    )
    table.shown.drawn()
    table.page.evaluate("() => document.querySelector('main').append(window.one)")
    table.shown.serve()
    table.shown.serve(lambda: table.texts(column=1)[:1] == [before])
