"""Rows, their frame, and the files that hold them."""

from __future__ import annotations

import csv
import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import dicomkit
from dicomkit import Outcome, ResultsFile, SendError, SendResult, read_results
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    Interrupted,
    PeerTimedOut,
    ProtocolError,
    WireError,
)
from dicomkit.results import COLUMN_OF, COLUMNS, dtypes, read_in_file_order, to_frame
from tests.support.design import DTYPE_OF_COLUMN

FORMATS = ["csv", "json", "parquet"]
CT = "1.2.840.10008.5.1.4.1.1.2"

STORED = SendResult(
    batch_id="7b3e3c1e-8d0f-4f7e-9f0a-0d4a6f1f2c11",
    instance=0,
    attempt=1,
    outcome=Outcome.STORED,
    status=0x0000,
    detail="",
    source="study/DOE^JANE/0001.dcm",
    sop_class_uid=CT,
    sop_instance_uid="1.2.3.4",
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    modality="CT",
    size_bytes=526_336,
    transfer_syntax="1.2.840.10008.1.2.1",
    sent_transfer_syntax="1.2.840.10008.1.2.1",
    calling_aet="DICOMKIT",
    called_aet="ANY_SCP",
    host="127.0.0.1",
    port=11112,
    association=0,
    started_at=datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC),
    duration_ms=12.345678,
    response_ms=0.1 + 0.2,
)

NEVER_TRIED = replace(
    STORED,
    instance=1,
    outcome=Outcome.UNREADABLE,
    status=None,
    detail="not DICOM; leave it out",
    sop_class_uid=None,
    sop_instance_uid=None,
    study_instance_uid=None,
    series_instance_uid=None,
    modality=None,
    size_bytes=None,
    transfer_syntax=None,
    sent_transfer_syntax=None,
    association=None,
    started_at=None,
    duration_ms=None,
    response_ms=None,
)


def write(path: Path, results: list[SendResult]) -> Path:
    with ResultsFile(path) as file:
        for result in results:
            file.write(result)
    return path


def in_a_new_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Outcomes


def test_the_outcomes_are_in_the_order_of_the_design() -> None:
    assert [outcome.value for outcome in Outcome] == [
        "stored",
        "stored_with_warning",
        "refused",
        "failed",
        "not_accepted",
        "rejected",
        "connection_failed",
        "aborted",
        "timed_out",
        "unreadable",
        "invalid_message",
        "skipped",
        "cancelled",
    ]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.STORED),
        (0x0001, Outcome.STORED_WITH_WARNING),
        (0x0107, Outcome.STORED_WITH_WARNING),
        (0x0116, Outcome.STORED_WITH_WARNING),
        (0xB000, Outcome.STORED_WITH_WARNING),
        (0xBFFF, Outcome.STORED_WITH_WARNING),
        (0xA700, Outcome.REFUSED),
        (0xA7FF, Outcome.REFUSED),
        (0xA6FF, Outcome.FAILED),
        (0xA800, Outcome.FAILED),
        (0xA900, Outcome.FAILED),
        (0xC000, Outcome.FAILED),
        (0x0110, Outcome.FAILED),
        (0x0122, Outcome.FAILED),
        (0xFE00, Outcome.FAILED),
        (0xFF00, Outcome.FAILED),
        (0x1234, Outcome.FAILED),
    ],
)
def test_a_status_stands_for_an_outcome(status: int, outcome: Outcome) -> None:
    assert Outcome.of_status(status) is outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConnectionFailed("x"), Outcome.CONNECTION_FAILED),
        (AssociationRejected("x", result=1, source=1, reason=7), Outcome.REJECTED),
        (AssociationAborted("x"), Outcome.ABORTED),
        (ProtocolError("x"), Outcome.ABORTED),
        (PeerTimedOut("x", phase="connect"), Outcome.TIMED_OUT),
        (Interrupted("x"), Outcome.CANCELLED),
        (WireError("x"), Outcome.ABORTED),
    ],
)
def test_an_error_of_the_wire_stands_for_an_outcome(error: WireError, outcome: Outcome) -> None:
    assert Outcome.of_error(error) is outcome


def test_only_the_stored_outcomes_are_stored() -> None:
    assert [outcome for outcome in Outcome if outcome.is_stored] == [
        Outcome.STORED,
        Outcome.STORED_WITH_WARNING,
    ]


# One result


def test_the_fields_of_a_result_are_the_columns_without_the_derived_ones() -> None:
    derived = {"status_category", "status_meaning", "sop_class_name"}
    assert [field.name for field in fields(SendResult)] == [name for name in COLUMNS if name not in derived]


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        STORED.port = 104  # type: ignore[misc]


def test_a_result_derives_what_its_status_and_sop_class_are_called() -> None:
    refused = replace(STORED, outcome=Outcome.REFUSED, status=0xA700)
    assert refused.status_category == "Failure"
    assert refused.status_meaning == "Refused: Out of Resources"
    assert refused.sop_class_name == "CT Image Storage"
    assert replace(STORED, sop_class_uid="1.2.3").sop_class_name == "1.2.3"
    assert NEVER_TRIED.status_category is NEVER_TRIED.status_meaning is NEVER_TRIED.sop_class_name is None


def test_the_row_has_the_value_of_every_column() -> None:
    row = dict(zip(COLUMNS, STORED.as_row(), strict=True))
    assert row == {name: getattr(STORED, name) for name in COLUMNS}
    assert type(row["outcome"]) is str


def test_a_file_name_that_is_no_text_is_shown_with_escapes() -> None:
    result = replace(STORED, source="caf\udce9/\u00e9.dcm")
    assert result.as_row()[COLUMNS.index("source")] == "caf\\udce9/\u00e9.dcm"


def test_raise_for_outcome_raises_unless_stored_or_skipped() -> None:
    for outcome in Outcome:
        result = replace(STORED, outcome=outcome)
        if outcome in (Outcome.STORED, Outcome.STORED_WITH_WARNING, Outcome.SKIPPED):
            result.raise_for_outcome()
        else:
            with pytest.raises(SendError, match=outcome.value) as caught:
                result.raise_for_outcome()
            assert caught.value.result is result


def test_the_response_names_instance_peer_and_status() -> None:
    response = STORED.response
    assert response is not None
    assert response.text == "C-STORE of 1.2.3.4 to ANY_SCP at 127.0.0.1:11112: 0x0000 Success"


def test_the_response_of_a_warning_says_which() -> None:
    response = replace(STORED, outcome=Outcome.STORED_WITH_WARNING, status=0xB000).response
    assert response is not None
    assert response.text.endswith(": 0xB000 Warning (Coercion of Data Elements)")


def test_there_is_no_response_unless_stored() -> None:
    assert NEVER_TRIED.response is None
    assert replace(STORED, outcome=Outcome.FAILED, status=0xC000).response is None


def test_the_repr_is_one_line_and_keeps_paths_and_comments_to_itself() -> None:
    result = replace(
        STORED, outcome=Outcome.REFUSED, status=0xA700, detail="the peer said: no room for DOE^JANE"
    )
    assert repr(result) == (
        "<SendResult refused: 0xA700 Failure (Refused: Out of Resources), CT Image Storage, 1.2.3.4, "
        "to ANY_SCP at 127.0.0.1:11112, 12.3 ms>"
    )
    assert repr(NEVER_TRIED) == "<SendResult unreadable: to ANY_SCP at 127.0.0.1:11112>"


def test_the_html_is_escaped() -> None:
    html = replace(STORED, detail="<script>alert(1)</script>", source="a&b.dcm")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "a&amp;b.dcm" in html


# The frame


def test_the_columns_and_dtypes_are_those_of_the_design() -> None:
    for frame in (to_frame([]), to_frame([STORED]), to_frame([NEVER_TRIED]), to_frame([STORED, NEVER_TRIED])):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPE_OF_COLUMN
        assert tuple(frame.columns) == COLUMNS == tuple(DTYPE_OF_COLUMN)
        assert frame.dtypes.to_dict() == dtypes()


def test_text_columns_hold_na_and_not_nan() -> None:
    assert to_frame([NEVER_TRIED]).loc[0, "modality"] is pd.NA


def test_the_categories_are_all_there_in_order_whatever_the_rows() -> None:
    frame = to_frame([NEVER_TRIED])
    assert list(frame["outcome"].cat.categories) == [outcome.value for outcome in Outcome]
    assert list(frame["status_category"].cat.categories) == ["Success", "Warning", "Failure"]


def test_a_frame_holds_the_values_of_its_results() -> None:
    frame = to_frame([STORED, NEVER_TRIED])
    first = frame.iloc[0]
    assert first["status"] == 0
    assert first["status_category"] == first["status_meaning"] == "Success"
    assert first["size_bytes"] == 526_336
    assert first["started_at"] == pd.Timestamp("2026-11-25 09:30:00.123456", tz="UTC")
    assert first["response_ms"] == 0.1 + 0.2
    assert set(frame.columns[frame.iloc[1].isna()]) == {name for name in COLUMNS if COLUMN_OF[name].is_null}


def test_a_time_of_another_zone_is_turned_into_utc() -> None:
    local = replace(STORED, started_at=datetime(2026, 11, 25, 10, 30, tzinfo=timezone(timedelta(hours=1))))
    assert to_frame([local]).loc[0, "started_at"] == pd.Timestamp("2026-11-25 09:30", tz="UTC")


def test_a_frame_of_many_rows_is_joined_from_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [replace(STORED, instance=number) for number in range(7)]
    whole = to_frame(results)
    monkeypatch.setattr("dicomkit.results._frame._CHUNK_ROWS", 3)
    assert_frame_equal(to_frame(iter(results)), whole)


# Files, and back

# What tends to be taken for something else on its way through a text file.
AWKWARD = [
    *("", "123", "1.2", "1e5", "NA", "null", "None", "nan", "TRUE", "=1+1", "-", "#", "'"),
    *("a,b", 'a"b', "a\nb", "a\r\nb", "\r", " x ", "\t", "\x00", "\ufeffx"),
    *("Müller^Jürgen", "山田^太郎", "\U0001f600", "caf\udce9"),
]

texts = st.text(st.characters(), max_size=8) | st.sampled_from(AWKWARD)
maybe_text = st.none() | texts
counts = st.integers(0, 2**63 - 1)
milliseconds = st.none() | st.floats(0, allow_infinity=False)
results = st.builds(
    SendResult,
    batch_id=texts,
    instance=counts,
    attempt=counts,
    outcome=st.sampled_from(Outcome),
    status=st.none() | st.integers(0, 0xFFFF),
    detail=texts,
    source=texts,
    sop_class_uid=maybe_text | st.just(CT),
    sop_instance_uid=maybe_text,
    study_instance_uid=maybe_text,
    series_instance_uid=maybe_text,
    modality=maybe_text,
    size_bytes=st.none() | counts,
    transfer_syntax=maybe_text,
    sent_transfer_syntax=maybe_text,
    calling_aet=texts,
    called_aet=texts,
    host=texts,
    port=st.integers(0, 0xFFFF),
    association=st.none() | counts,
    started_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    duration_ms=milliseconds,
    response_ms=milliseconds,
)


@pytest.mark.parametrize("suffix", FORMATS)
@given(rows=st.lists(results, max_size=5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back_to_the_last_dtype(
    tmp_path: Path, suffix: str, rows: list[SendResult]
) -> None:
    assert_frame_equal(read_in_file_order(write(tmp_path / f"rows.{suffix}", rows)), to_frame(rows))


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_read_back_by_instance_and_attempt_whenever_they_came_about(
    tmp_path: Path, suffix: str
) -> None:
    first = [
        replace(STORED, instance=instance, attempt=attempt) for instance, attempt in [(0, 1), (1, 1), (1, 2)]
    ]
    second = [replace(row, batch_id="another") for row in first]
    written = [first[2], second[1], first[0], second[2], first[1], second[0]]
    path = write(tmp_path / f"rows.{suffix}", written)
    assert_frame_equal(read_results(path), to_frame(first + second))
    assert_frame_equal(read_in_file_order(path), to_frame(written))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_awkward_text_comes_back(tmp_path: Path, suffix: str) -> None:
    rows = [
        replace(STORED, detail=text, source=text, batch_id=text, modality=text, sop_instance_uid=text)
        for text in AWKWARD
    ]
    assert_frame_equal(read_results(write(tmp_path / f"rows.{suffix}", rows)), to_frame(rows))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("rows", [[], [NEVER_TRIED], [NEVER_TRIED, NEVER_TRIED]], ids=["no", "one", "two"])
def test_columns_without_a_value_keep_their_dtypes(
    tmp_path: Path, suffix: str, rows: list[SendResult]
) -> None:
    assert_frame_equal(read_results(write(tmp_path / f"rows.{suffix}", rows)), to_frame(rows))


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_uid_or_modality_is_null_and_an_empty_detail_is_not(tmp_path: Path, suffix: str) -> None:
    frame = read_results(write(tmp_path / f"rows.{suffix}", [replace(STORED, modality="", detail="")]))
    assert frame.loc[0, "modality"] is pd.NA
    assert frame.loc[0, "detail"] == ""


def test_parquet_has_our_dtypes_for_pandas_too(tmp_path: Path) -> None:
    rows = [STORED, NEVER_TRIED]
    assert_frame_equal(pd.read_parquet(write(tmp_path / "rows.parquet", rows)), to_frame(rows))


def test_csv_is_plain_enough_for_any_reader(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [STORED, NEVER_TRIED])
    with open(path, newline="", encoding="utf-8") as file:
        header, stored, never_tried = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert stored[COLUMNS.index("started_at")] == "2026-11-25T09:30:00.123456+00:00"
    assert stored[COLUMNS.index("response_ms")] == "0.30000000000000004"
    assert never_tried[COLUMNS.index("status")] == ""


def test_a_suffix_in_capitals_is_as_good(tmp_path: Path) -> None:
    assert_frame_equal(read_results(write(tmp_path / "ROWS.CSV", [STORED])), to_frame([STORED]))


def test_a_long_csv_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [replace(STORED, instance=number) for number in range(7)]
    path = write(tmp_path / "rows.csv", rows)
    monkeypatch.setattr("dicomkit.results._read._READ_ROWS", 3)
    assert_frame_equal(read_results(path), to_frame(rows))


# Files of other origin


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_frame_that_pandas_wrote_is_read_back(tmp_path: Path, suffix: str) -> None:
    frame, path = to_frame([STORED, NEVER_TRIED]), tmp_path / f"pandas.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "json":
        frame.to_json(path, orient="records", date_format="iso", date_unit="us", double_precision=15)
    else:
        frame.to_parquet(path)
    assert_frame_equal(read_results(path), frame)


def test_a_part_of_a_frame_is_numbered_anew_when_read(tmp_path: Path) -> None:
    frame = to_frame([STORED, NEVER_TRIED]).assign(note=["a", "b"])
    frame.iloc[1:].to_parquet(tmp_path / "part.parquet")
    read = read_results(tmp_path / "part.parquet")
    assert_frame_equal(read[list(COLUMNS)], to_frame([NEVER_TRIED]))
    assert list(read["note"]) == ["b"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_of_others_follow_ours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"more.{suffix}"
    frame = to_frame([STORED, NEVER_TRIED])
    frame.insert(0, "fingerprint", ["a,b", ""])
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "json":
        frame.to_json(path, orient="records", date_format="iso", date_unit="us", double_precision=15)
    else:
        frame.to_parquet(path)
    read = read_results(path)
    assert tuple(read.columns) == (*COLUMNS, "fingerprint")
    assert read["fingerprint"].fillna("").tolist() == ["a,b", ""]


def test_columns_of_others_are_kept_where_there_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text(",".join([*COLUMNS, "fingerprint"]) + "\n")
    assert tuple(read_results(tmp_path / "none.csv").columns) == (*COLUMNS, "fingerprint")


def test_a_byte_order_mark_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [STORED])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")
    assert_frame_equal(read_results(path), to_frame([STORED]))


def test_a_whole_number_that_came_as_a_float_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.json", [STORED])
    record = json.loads(path.read_text())[0] | {"size_bytes": 5.0, "started_at": "2026-11-25T09:30:00"}
    path.write_text(json.dumps([record]))
    frame = read_results(path)
    assert frame.loc[0, "size_bytes"] == 5
    assert frame.loc[0, "started_at"] == pd.Timestamp("2026-11-25 09:30", tz="UTC")


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    for use in (read_results, ResultsFile):
        with pytest.raises(
            ValueError, match=r"rows\.xlsx: .*'\.xlsx' is not one of \.csv, \.json, \.parquet"
        ):
            use(tmp_path / "rows.xlsx")
    assert not (tmp_path / "rows.xlsx").exists()


def test_a_file_without_our_columns_names_those_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text(",".join(name for name in COLUMNS if name not in ("port", "host")) + "\n")
    with pytest.raises(
        ValueError, match=r"other\.csv lacks the columns host, port, .* give one that send_batch"
    ):
        read_results(path)


def test_an_empty_file_is_told_from_one_without_rows(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="lacks the columns"):
        read_results(tmp_path / "empty.csv")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text(",".join([*COLUMNS, "port"]) + "\n")
    with pytest.raises(ValueError, match="has the columns port twice"):
        read_results(tmp_path / "twice.csv")


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        ("port", "dicom", "not a whole number"),
        ("port", 1.5, "not a whole number"),
        ("port", None, "not a whole number"),
        ("size_bytes", 2**70, "not a whole number"),
        ("status", 65536, "not a status from 0 to 65535"),
        ("outcome", "lost", "not one of stored, stored_with_warning"),
        ("outcome", None, "not one of stored, stored_with_warning"),
        ("started_at", "yesterday", "not a date and time in ISO 8601"),
        ("duration_ms", "long", "not a number"),
        ("modality", 5, "not a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_row_and_column(
    tmp_path: Path, column: str, value: Any, wanted: str
) -> None:
    path = write(tmp_path / "rows.json", [STORED, STORED])
    records = json.loads(path.read_text())
    records[1][column] = value
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=rf"rows\.json, row 2: {column} is .*, {wanted}"):
        read_results(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"rows.{suffix}", [STORED, NEVER_TRIED])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=rf"rows\.{suffix}.*(cut off|never closed)"):
        read_results(path)


@pytest.mark.parametrize("text", ["{}", "[1]", "3"])
def test_json_that_is_no_array_of_objects_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(ValueError, match="not an array of objects"):
        read_results(tmp_path / "rows.json")


def test_json_that_nests_without_end_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"^rows\.json is not JSON"):
        read_results(path)


@pytest.mark.parametrize("at", [4, -30, 400])
def test_parquet_that_was_damaged_is_refused_by_name(tmp_path: Path, at: int) -> None:
    path = write(tmp_path / "rows.parquet", [STORED])
    content = bytearray(path.read_bytes())
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^rows\.parquet is not a Parquet file"):
        read_results(path)


def test_text_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    for suffix in ("csv", "json"):
        path = tmp_path / f"latin.{suffix}"
        path.write_bytes(b"caf\xe9")
        with pytest.raises(ValueError, match=rf"latin\.{suffix} is not .* in UTF-8"):
            read_results(path)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    for suffix in FORMATS:
        with pytest.raises(FileNotFoundError, match=f"none.{suffix}"):
            read_results(tmp_path / f"none.{suffix}")


# Streaming


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_the_file_is_whole_after_every_flush(tmp_path: Path, suffix: str) -> None:
    rows = [replace(STORED, instance=number) for number in range(4)]
    with ResultsFile(tmp_path / f"rows.{suffix}") as file:
        assert_frame_equal(read_results(file.path), to_frame([]))
        for number, row in enumerate(rows, 1):
            file.write(row)
            file.flush()
            file.flush()
            assert file.rows_written == number
            assert_frame_equal(read_results(file.path), to_frame(rows[:number]))


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_two_hundred_rows_are_flushed_together(tmp_path: Path, suffix: str) -> None:
    with ResultsFile(tmp_path / f"rows.{suffix}") as file:
        for _ in range(200):
            file.write(STORED)
        assert file.rows_written == len(read_results(file.path)) == 200


def test_a_row_that_comes_after_a_quiet_half_second_is_flushed_at_once(tmp_path: Path) -> None:
    deadline = time.monotonic() + 10
    with ResultsFile(tmp_path / "rows.csv") as file:
        rows = 0
        while not file.rows_written and time.monotonic() < deadline:
            threading.Event().wait(0.1)
            file.write(STORED)
            rows += 1
        assert 0 < file.rows_written == rows < 100


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_long_batch_keeps_a_bounded_number_of_rows_in_memory(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"first.{suffix}", [STORED])  # what this imports is not counted below
    tracemalloc.start()
    try:
        with ResultsFile(tmp_path / f"rows.{suffix}") as file:
            for number in range(25_000):
                file.write(replace(STORED, instance=number))
            assert file.rows_written >= 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (12 if suffix == "parquet" else 2) * 1024 * 1024
    assert list(read_results(file.path)["instance"]) == list(range(25_000))


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_new_file_is_for_its_owner_only_and_an_old_one_keeps_its_permissions(
    tmp_path: Path, suffix: str
) -> None:
    path = write(tmp_path / f"rows.{suffix}", [STORED])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write(path, [NEVER_TRIED])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_frame_equal(read_results(path), to_frame([NEVER_TRIED]))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_sent(
    tmp_path: Path, suffix: str
) -> None:
    with pytest.raises(FileNotFoundError, match=rf"choose another path.*rows\.{suffix}"):
        ResultsFile(tmp_path / "no" / f"rows.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    with pytest.raises(OSError, match=rf"folder\.{suffix}"):
        ResultsFile(tmp_path / f"folder.{suffix}")


def test_a_closed_file_takes_no_row(tmp_path: Path) -> None:
    file = ResultsFile(tmp_path / "rows.csv")
    file.close()
    file.close()
    with pytest.raises(ValueError, match=r"rows\.csv is closed"):
        file.write(STORED)
    assert repr(file) == "<ResultsFile rows.csv: 0 rows written, closed>"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"full.{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=rf"No space left on device.*full\.{suffix}"):
        write(path, [STORED])


def one_of_many(number: int) -> SendResult:
    """A row that does not compress beside the others."""
    return replace(STORED, instance=number, detail=f"{random.Random(number).getrandbits(2000):x}")


# Runs where files may not grow beyond so many bytes, which fails a write in its middle as a full disk does.
ON_A_SMALL_DISK = """
import resource, sys
from tests.results.test_results import ResultsFile, one_of_many
path, limit, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
file = ResultsFile(path)
try:
    for number in range(most):
        file.write(one_of_many(number))
except OSError as error:
    print(file.rows_written, error.filename == file.path.name, error, sep="|")
file.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
@pytest.mark.parametrize(
    ("suffix", "limit", "most"),
    [
        ("csv", 500_000, 10_000),
        ("json", 500_000, 10_000),
        ("parquet", 15_000_000, 60_000),
        ("parquet", 22_000_000, 60_000),
    ],
)
def test_a_disk_that_fills_up_leaves_the_whole_rows_before(
    tmp_path: Path, suffix: str, limit: int, most: int
) -> None:
    path = tmp_path / f"rows.{suffix}"
    rows, named, message = in_a_new_python(ON_A_SMALL_DISK, str(path), str(limit), str(most)).split("|")
    assert named == "True"
    assert f"{rows} rows were written before" in message
    assert 0 < int(rows) < most
    assert_frame_equal(read_results(path), to_frame(map(one_of_many, range(int(rows)))))


# What is loaded

HEAVY = {"pandas", "numpy", "pydicom", "pynetdicom", "pyarrow"}


def test_results_and_their_text_files_need_no_pandas(tmp_path: Path) -> None:
    loaded = in_a_new_python(
        "import sys, dicomkit.results._read, dicomkit.dictionary.uids, dicomkit.dictionary.statuses\n"
        "from dicomkit import Outcome, ResultsFile, SendResult\n"
        "from datetime import UTC, datetime\n"
        f"result = SendResult(**{ {name.name: None for name in fields(SendResult)} } | dict(\n"
        "    outcome=Outcome.STORED, status=0, detail='', source='', batch_id='', host='', calling_aet='',\n"
        "    called_aet='', started_at=datetime.now(UTC)))\n"
        "for path in sys.argv[1:]:\n"
        "    with ResultsFile(path) as file:\n"
        "        file.write(result)\n"
        "print(*sys.modules)",
        str(tmp_path / "rows.csv"),
        str(tmp_path / "rows.json"),
    )
    assert not HEAVY & set(loaded.split())


def test_parquet_without_pyarrow_names_the_extra_and_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    said = in_a_new_python(
        "import sys\n"
        "sys.modules['pyarrow'] = None  # as if it were not installed\n"
        "from dicomkit import MissingExtraError, ResultsFile, read_results\n"
        "for use in ResultsFile, read_results:\n"
        "    try:\n"
        "        use(sys.argv[1])\n"
        "    except MissingExtraError as error:\n"
        "        print(error)\n",
        str(path),
    )
    install = "rows.parquet needs pyarrow; install it with: pip install 'dicomkit[parquet]'"
    assert said.splitlines() == [f"writing {install}", f"reading {install}"]
    assert not path.exists()


def test_the_names_are_to_be_had_from_the_package() -> None:
    for name in ("Outcome", "SendResult", "ResultsFile", "read_results"):
        assert name in dicomkit.__all__
        assert getattr(dicomkit, name) is not None
