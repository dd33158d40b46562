"""People give folders the names of patients: no exception and no log has a folder, and each names its file."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomkit import (
    DicomMessage,
    DicomSenderSetting,
    Instance,
    Ledger,
    LocalSCP,
    TlsOptions,
    find_instances,
    look_at,
    read_results,
    send,
    send_batch,
)
from dicomkit.analysis import report
from dicomkit.errors import DicomkitError
from dicomkit.results import ResultsFile, SendError
from dicomkit.scp import Status
from dicomkit.widgets import ImageViewer, SettingForm, TagBrowser
from tests.sources.test_sources import DICOMDIRS
from tests.support.files import ct_instance, write_ct_files

pytestmark = pytest.mark.usefixtures("no_leaks")

PATIENT = "Doe^Jane"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / PATIENT / "inner"
    folder.mkdir(parents=True)
    return folder


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def made_a_folder(path: Path) -> Path:
    path.mkdir()
    return path


def someone_elses_database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (one)")
    connection.commit()
    connection.close()
    return path


def ledger_without_batches(path: Path) -> Ledger:
    with LocalSCP() as scp:
        send_batch(scp.setting(), [], ledger=path)
    return Ledger(path)


def removed(path: Path) -> DicomMessage:
    message = DicomMessage.from_file(written(path, ct_instance()))
    path.unlink()
    return message


def opened_after_it_was_cut(path: Path) -> None:
    instance = look_at(written(path, ct_instance()))
    written(path, ct_instance()[:-100])
    instance.open()


def opened_after_it_was_removed(path: Path) -> None:
    instance = look_at(written(path, ct_instance()))
    path.unlink()
    instance.open()


def archived(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{PATIENT}/one.dcm", ct_instance())
    return path


def opened_out_of_an_archive_since_removed(path: Path) -> None:
    (found,) = find_instances(archived(path))
    path.unlink()
    assert isinstance(found, Instance)
    found.open()


def refused(path: Path) -> None:
    with LocalSCP(faults=[Status(0xA700, error_comment=f"{PATIENT} is unknown")]) as scp:
        send(scp.setting(), DicomMessage.from_file(written(path, ct_instance()))).raise_for_outcome()


def written_after_closing(path: Path) -> None:
    file = ResultsFile(path)
    file.close()
    with LocalSCP() as scp:
        file.write(send(scp.setting(), DicomMessage.from_bytes(ct_instance())))


def saved_where_a_folder_is(path: Path) -> None:
    DicomSenderSetting().save(made_a_folder(path))


def saved_twice(path: Path) -> None:
    form = SettingForm()
    try:
        form.save(path)
        form.save(path)
    finally:
        form.close()


def loaded_by_a_form(path: Path) -> None:
    form = SettingForm()
    try:
        form.load(path)
    finally:
        form.close()


# What goes wrong with a file of this name.
FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "look: missing": ("a.dcm", look_at),
    "look: empty": ("a.dcm", lambda path: look_at(written(path, b""))),
    "look: truncated": ("a.dcm", lambda path: look_at(written(path, ct_instance()[:-100]))),
    "look: a folder": ("a.dcm", lambda path: look_at(made_a_folder(path))),
    "look: an archive": ("a.zip", lambda path: look_at(archived(path))),
    "open: archive gone": ("one.dcm", opened_out_of_an_archive_since_removed),
    "look: NUL in its path": ("a.dcm\0", look_at),
    "open: cut since": ("a.dcm", opened_after_it_was_cut),
    "open: removed since": ("a.dcm", opened_after_it_was_removed),
    "message: removed": ("a.dcm", lambda path: removed(path).data),
    "message: no instance": ("a.dcm", lambda path: removed(path).instance),
    "message: no data set": ("a.dcm", lambda path: DicomMessage.from_file(written(path, b"")).dataset),
    "send: refused": ("a.dcm", refused),
    "setting: missing": ("s.json", DicomSenderSetting.load),
    "setting: no JSON": ("s.json", lambda path: DicomSenderSetting.load(written(path, "{"))),
    "setting: wrong port": (
        "s.json",
        lambda path: DicomSenderSetting.load(written(path, '{"RemotePort": 0}')),
    ),
    "setting: no file": ("s.json", saved_where_a_folder_is),
    "ledger: no folder": ("none/l.sqlite", lambda path: Ledger(path).batches()),
    "ledger: missing": ("l.sqlite", lambda path: Ledger(path).batches()),
    "ledger: a folder": ("l.sqlite", lambda path: Ledger(made_a_folder(path)).batches()),
    "ledger: no database": ("l.sqlite", lambda path: Ledger(written(path, "no" * 999)).batches()),
    "ledger: another's": ("l.sqlite", lambda path: Ledger(someone_elses_database(path)).batches()),
    "ledger: no such batch": ("l.sqlite", lambda path: ledger_without_batches(path).to_frame(batch_id="x")),
    "ledger: not made": (
        "none/l.sqlite",
        lambda path: send_batch(DicomSenderSetting(), path.parent.parent, ledger=path),
    ),
    "results: unknown suffix": ("rows.xls", read_results),
    "results: missing": ("rows.csv", read_results),
    "results: no rows": ("rows.csv", lambda path: read_results(written(path, "a,b\n1,2\n"))),
    "results: no UTF-8": ("rows.csv", lambda path: read_results(written(path, b"\xff"))),
    "results: no JSON": ("rows.json", lambda path: read_results(written(path, "{"))),
    "results: no array": ("rows.json", lambda path: read_results(written(path, "{}"))),
    "results: no Parquet": ("rows.parquet", lambda path: read_results(written(path, "PAR1"))),
    "results: no folder": ("none/rows.csv", ResultsFile),
    "results: unknown format": ("rows.xls", ResultsFile),
    "results: closed": ("rows.csv", written_after_closing),
    "TLS: missing": ("ca.pem", lambda path: TlsOptions(ca_file=path).for_client("127.0.0.1")),
    "TLS: no PEM": ("ca.pem", lambda path: TlsOptions(ca_file=written(path, "x")).for_client("127.0.0.1")),
    "TLS: key alone": ("key.pem", lambda path: TlsOptions(key_file=path)),
    "form: saved twice": ("s.json", saved_twice),
    "form: missing": ("s.json", loaded_by_a_form),
    "viewer: missing": ("a.dcm", ImageViewer),
    "viewer: no DICOM": ("a.dcm", lambda path: ImageViewer(written(path, ""))),
    "browser: missing": ("a.dcm", TagBrowser),
    "browser: no DICOM": ("a.dcm", lambda path: TagBrowser(written(path, ""))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_exception_names_the_file_and_never_its_folder(
    fault: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, provoke = FAULTS[fault]
    with pytest.raises((DicomkitError, OSError, ValueError)) as raised, caplog.at_level(logging.DEBUG):
        provoke(folder / name)
    logged_by_someone = "".join(traceback.format_exception(raised.value))  # with its causes
    for text in (str(raised.value), repr(raised.value), logged_by_someone, caplog.text):
        assert PATIENT not in text
        assert "inner" not in text
    assert Path(name.rstrip("\0")).name in str(raised.value)


@pytest.mark.parametrize("wrong", ["truncated", "gone"])
def test_what_stops_a_batch_is_told_without_the_folder(
    folder: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    paths = write_ct_files(folder, 2)
    if wrong == "gone":
        paths[0].unlink()
    else:
        written(paths[0], paths[0].read_bytes()[:-10])
    with caplog.at_level(logging.DEBUG), LocalSCP() as scp:
        batch = send_batch(scp.setting(), paths, results=folder / "rows.csv", ledger=folder / "l.sqlite")
    details = batch.to_frame()["detail"]
    assert not details.str.contains(PATIENT, regex=False).any()
    assert PATIENT not in repr(batch) + batch.note + caplog.text


def test_what_a_dicomdir_lacks_is_told_without_the_folder(folder: Path) -> None:
    medium = shutil.copytree(DICOMDIRS, folder / "medium")
    shutil.rmtree(medium / "77654033")
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), medium / "DICOMDIR")
    rows = batch.to_frame()
    assert rows["detail"].str.contains("DICOMDIR refers to it, and it is not there").any()
    for text in (*rows["detail"], batch._repr_html_(), report(batch).html):
        assert PATIENT not in text


def test_an_error_of_a_send_still_leads_to_its_file(folder: Path) -> None:
    with pytest.raises(SendError) as raised:
        refused(folder / "a.dcm")
    assert raised.value.result.source == str(folder / "a.dcm")
