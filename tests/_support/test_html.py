"""What values show of themselves in a notebook: short tables of text, of nobody, without markup from outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dicomkit import DicomMessage, DicomSenderSetting, LocalSCP, echo, send, send_batch
from dicomkit._support.html import as_text, facts_table, marked, rows_table, shown
from dicomkit.scp import Status
from tests.support.files import ct_instance, write_ct_files

pytestmark = pytest.mark.usefixtures("no_leaks")

IMG = "<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """The elements and the text of some HTML; fails on what is not closed in its order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") for name, _ in attrs)
        self.elements.append(tag)
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_all_that_goes_in_comes_out_as_text() -> None:
    html = shown(
        facts_table(IMG, {IMG: IMG, "mark": marked("bad", IMG)}),
        rows_table(IMG, (IMG, "n"), [(IMG, IMG)], numbers=(1,)),
    )
    read = Reader(html)
    assert "img" not in read.elements
    assert read.text.count(IMG) == 8


def test_what_is_no_text_is_shown_all_the_same() -> None:
    assert as_text("\udc80") == "\\udc80"
    assert as_text("\"&'") == "&quot;&amp;&#x27;"


def test_a_fact_without_a_value_is_left_out() -> None:
    assert "Note" not in facts_table("", {"Note": "", "Size": "1"})


def test_a_table_has_no_colour_of_its_own_and_no_formulas() -> None:
    """Black on black, in a dark theme, and `$` eaten by MathJax are what it must not have."""
    html = shown(facts_table("$x$", {"a": marked("good", "b")}), rows_table("t", ("a",), [("b",)]))
    assert "mathjax_ignore" in html and "tex2jax_ignore" in html
    colours = re.findall(r"(?:color|background[a-z-]*): ([^;\"]+)", html)
    assert colours and all(colour.startswith("var(--jp-") for colour in colours)


def of_setting(folder: Path) -> str:
    return DicomSenderSetting(name=IMG, remote_host="pacs")._repr_html_()


def of_message(folder: Path) -> str:
    return DicomMessage.from_file(write_ct_files(folder, 1)[0])._repr_html_()


def of_unreadable_message(folder: Path) -> str:
    return DicomMessage.from_file(folder / IMG)._repr_html_()


def refusing() -> LocalSCP:
    return LocalSCP(faults=[Status(0xA700, error_comment=f"{IMG} is Doe^Jane")])


def of_result(folder: Path) -> str:
    with refusing() as scp:
        return send(scp.setting(), DicomMessage.from_file(write_ct_files(folder, 1)[0]))._repr_html_()


def of_batch(folder: Path) -> str:
    with refusing() as scp:
        return send_batch(scp.setting(), write_ct_files(folder, 2), retries=0)._repr_html_()


SHOWS: list[Callable[[Path], str]] = [of_setting, of_message, of_unreadable_message, of_result, of_batch]


@pytest.mark.parametrize("show", SHOWS)
def test_what_is_shown_is_well_formed_and_of_nobody(show: Callable[[Path], str], tmp_path: Path) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    html = show(folder)
    read = Reader(html)
    assert "img" not in read.elements
    assert "Doe" not in html
    assert "Test^Phantom" not in html
    assert "PHANTOM1" not in html
    assert len(html) < 6_000


def test_a_setting_shows_its_peer_and_what_is_wrong_with_it() -> None:
    text = Reader(DicomSenderSetting(remote_host="::1", remote_port=104, disabled=True)._repr_html_()).text
    assert "at [::1]:104" in text
    assert "disabled" in text
    assert "RemoteAET" in text


def test_a_result_shows_its_outcome_and_where_the_comment_is(tmp_path: Path) -> None:
    text = Reader(of_result(tmp_path)).text
    assert "refused" in text
    assert "0xA700 Failure" in text
    assert "the peer's comment is in detail" in text
    assert "000000.dcm" in text


def test_an_echo_that_is_answered_says_so() -> None:
    with LocalSCP() as scp:
        text = Reader(echo(scp.setting())._repr_html_()).text
    assert "EchoResult" in text
    assert "answered" in text
    assert "stored" not in text


def test_a_batch_shows_what_became_of_how_many(tmp_path: Path) -> None:
    with LocalSCP(faults=[Status(0xB000, times=1)]) as scp:
        batch = send_batch(scp.setting(), [write_ct_files(tmp_path, 3), b"junk"])
    text = Reader(batch._repr_html_()).text
    assert "Batch: 3 of 4 instances stored" in text
    assert "stored with warning" in text.replace("\xa0", " ")
    assert "not DICOM" in text


def test_a_batch_of_nothing_says_so_without_a_table() -> None:
    with LocalSCP() as scp:
        html = send_batch(scp.setting(), [])._repr_html_()
    assert "Batch: nothing to send" in Reader(html).text
    assert "<table" not in html


def test_the_repr_of_a_message_has_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(ct_instance())
    assert repr(DicomMessage.from_file(path)) == "DicomMessage('a.dcm')"
