"""The report of a batch: all that was sent is counted, what failed has its remedy, and nobody is named unasked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from dicomkit import Batch, Ledger, LocalSCP, read_results, send_batch
from dicomkit.analysis import Report, report
from dicomkit.analysis import _audit as audit
from dicomkit.dictionary.statuses import status_remedy
from dicomkit.scp import Status
from tests._support.test_html import IMG, Reader
from tests.support.files import STUDY_UID, write_ct_files

pytestmark = pytest.mark.usefixtures("no_leaks")

OTHER_STUDY = STUDY_UID + ".7"
POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    return folder


def sent(folder: Path, *, status: int = 0xA700) -> Batch:
    """Two studies, of which the first instance meets that status; and something that is no DICOM."""
    files = write_ct_files(folder / "a", 3)
    files += write_ct_files(folder / "b", 2, study_uid=OTHER_STUDY, series_uid=OTHER_STUDY + ".1", first=10)
    fault = Status(status, times=1, error_comment=f"{IMG} says Doe^Jane")
    with LocalSCP(faults=[fault]) as scp:
        return send_batch(scp.setting(), [*files, b"junk"], retries=0, ledger=folder / "l.sqlite")


def text_of(made: Report) -> str:
    return Reader(made.html.removeprefix("<!doctype html>\n")).text.replace("\xa0", " ")


def test_it_says_what_went_where_and_how_it_ended(folder: Path) -> None:
    batch = sent(folder)
    rows = batch.to_frame()
    text = text_of(report(batch))
    assert f"ANY_SCP at 127.0.0.1:{rows.port[0]}" in text
    assert batch.batch_id in text
    assert "4 of 6 instances" in text
    assert f"{rows.started_at.min():%Y-%m-%d %H:%M:%S} UTC" in text


def test_each_cause_has_its_remedy_and_an_example(folder: Path) -> None:
    text = text_of(report(sent(folder)))
    assert "refused, 0xA700" in text
    assert status_remedy(0xA700) in text
    assert "000000.dcm" in text
    assert "not DICOM".lower() in text.lower()


def test_each_study_is_counted(folder: Path) -> None:
    html = report(sent(folder)).html
    lines = [line for line in html.split("<tr>") if STUDY_UID in line]
    cells = [Reader(f"<table><tr>{line.partition('</tr>')[0]}</tr></table>").text for line in lines]
    assert len(cells) == 2
    assert "CT132✖\xa01" in cells[0]  # modality, series, instances, stored, not stored
    assert "CT1220" in cells[1]


def test_nobody_is_named_unless_asked_for(folder: Path) -> None:
    batch = sent(folder)
    for made in (report(batch), report(batch.to_frame()), report(Ledger(folder / "l.sqlite"))):
        for shown in (made.html, made._repr_html_(), repr(made)):
            assert "Doe" not in shown
            assert "Phantom" not in shown
            assert "PHANTOM1" not in shown
            assert "img" not in shown
        assert text_of(made).count("masked") == 3 * 3 + 1  # three columns of three studies, and the sentence


def test_asked_for_it_names_patients_and_folders(folder: Path) -> None:
    text = text_of(report(sent(folder), show_patients=True))
    assert "Test^Phantom" in text
    assert "PHANTOM1" in text
    assert "20260102" in text
    assert str(folder / "a" / "000000.dcm") in text
    assert "masked" not in text


def test_names_of_the_frame_come_before_those_of_the_files(folder: Path) -> None:
    rows = sent(folder).to_frame().assign(patient_name=IMG)
    made = report(rows, show_patients=True)
    assert "img" not in Reader(made.html.removeprefix("<!doctype html>\n")).elements
    assert IMG in text_of(made)
    assert "Test^Phantom" not in text_of(made)
    assert IMG not in text_of(report(rows))


def test_files_that_are_gone_or_damaged_leave_their_study_unnamed(folder: Path) -> None:
    batch = sent(folder)
    for path in (folder / "a").iterdir():
        path.unlink()
    for path in (folder / "b").iterdir():
        path.write_bytes(b"\0" * 200)
    text = text_of(report(batch, show_patients=True))
    assert "Test^Phantom" not in text
    assert STUDY_UID in text


def test_everything_stored_is_said_in_a_sentence(folder: Path) -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), write_ct_files(folder, 2), ledger=folder / "l.sqlite")
        again = send_batch(scp.setting(), folder, ledger=folder / "l.sqlite")
    assert "Everything is stored." in text_of(report(batch))
    text = text_of(report(again))
    assert "Everything is stored." in text
    assert "and 2 before" in text


def test_a_batch_of_nothing_has_a_report() -> None:
    with LocalSCP() as scp:
        text = text_of(report(send_batch(scp.setting(), [])))
    assert "Nothing was sent." in text
    assert "nothing to send" in text.lower()


def test_of_very_many_studies_the_first_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "STUDIES_SHOWN", 1)
    text = text_of(report(sent(folder)))
    assert OTHER_STUDY not in text
    assert "2 more studies are counted above" in text


def test_rows_of_a_file_will_do_and_other_frames_are_refused(folder: Path) -> None:
    sent(folder).to_frame().to_csv(folder / "rows.csv", index=False)
    assert "4 of 6 instances" in text_of(report(read_results(folder / "rows.csv")))
    with pytest.raises(ValueError, match="no column"):
        report(pd.DataFrame({"outcome": []}))


# The file


@POSIX_ONLY
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_file_is_for_its_owner_only(folder: Path, overwrite: bool) -> None:
    path = folder / "report.html"
    if overwrite:
        path.write_text("old")
        path.chmod(0o644)
    made = report(sent(folder))
    assert made.save(path, overwrite=overwrite) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8") == made.html


def test_a_file_is_replaced_only_when_that_is_said(folder: Path) -> None:
    path = folder / "report.html"
    path.write_text("mine")
    made = report(sent(folder))
    with pytest.raises(
        FileExistsError, match=r"^report\.html is there already; save with overwrite=True"
    ) as raised:
        made.save(path)
    assert "Doe" not in str(raised.value)
    assert path.read_text() == "mine"
    made.save(path, overwrite=True)
    assert path.read_text(encoding="utf-8") == made.html
    assert sorted(one.name for one in folder.glob("*report*")) == ["report.html"]


def test_a_place_that_cannot_be_written_is_told_without_its_folder(folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        report(sent(folder)).save(folder / "none" / "report.html")
    assert "Doe" not in str(raised.value)
    assert "report.html" in str(raised.value)


def test_the_document_loads_nothing_and_runs_nothing(folder: Path) -> None:
    html = report(sent(folder), show_patients=True, title=IMG).html
    elements = Reader(html.removeprefix("<!doctype html>\n")).elements
    assert not {"script", "img", "link", "iframe"} & set(elements)
    assert "default-src 'none'" in html
    assert "http://" not in html and "https://" not in html
