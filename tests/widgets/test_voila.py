"""The app as a page of its own, by Voila: no notebook, no code, and the same four steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dicomkit.samples import sample_folder
from tests.support.browser import NARROW, WatchedPage, expect, faults_found_by_axe, write_notebook
from tests.support.viewer_page import browser
from tests.support.voila_server import voila

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ICONS_OF_VOILA = (
    "https://cdn.jsdelivr.net/npm/@fortawesome/**"  # asked for by its page, and used by no widget of ours
)
APP = """
from dicomkit import SenderApp

SenderApp()
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where the app is served; its kernel works in the folder of the notebook, which is empty but for that."""
    folder = tmp_path / "served"
    folder.mkdir()
    write_notebook(folder / "app.ipynb", [APP])
    with voila(folder / "app.ipynb", tmp_path) as url:
        yield url


def test_a_study_is_chosen_looked_at_and_sent(chromium: Browser, address: str) -> None:
    watched = WatchedPage(chromium, width=NARROW)
    watched.context.route(ICONS_OF_VOILA, lambda route: route.fulfill(body="", content_type="text/css"))
    page = watched.page
    page.goto(address)
    expect(page.get_by_role("heading", name="4 Send and see")).to_be_visible()
    expect(page.get_by_text("Nothing is chosen yet. What you choose")).to_be_visible()

    page.get_by_role("button", name="Start a practice receiver").click()
    expect(page.get_by_text("PRACTICE listens at 127.0.0.1:")).to_be_visible()
    page.get_by_role("button", name="Echo").click()
    expect(page.get_by_text(re.compile("PRACTICE .*answer"))).to_be_visible()

    path = page.get_by_role("textbox", name="Folder", exact=True)
    path.fill(str(sample_folder()))
    path.press("Enter")
    folders = page.get_by_role("treegrid", name="Folder")
    abdomen = folders.get_by_role("row").filter(has_text="ct-abdomen")
    abdomen.dblclick()
    expect(folders.get_by_role("row").filter(has_text="slice-05.dcm")).to_be_visible()
    page.get_by_role("button", name="Up").click()
    page.get_by_role("button", name="Choose this folder").click()

    expect(page.get_by_role("treegrid", name="Tags")).to_be_visible()
    page.get_by_role("combobox", name="Series").select_option(index=2)
    expect(page.get_by_text(re.compile(r"^slice-\d+\.dcm, CT Image"))).to_be_visible()

    page.get_by_role("button", name="Send 27 instances to PRACTICE at").click()
    expect(page.get_by_text("27 of 27 stored at PRACTICE")).to_be_visible()
    results = page.get_by_role("grid", name="What became of it")
    expect(results.get_by_role("row").filter(has_text="the peer stored it").first).to_be_visible()
    assert results.get_attribute("aria-rowcount") == "28"  # with its head
    assert page.locator(".dk-app").evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    assert faults_found_by_axe(watched, ".dk-app") == []
    watched.close()
