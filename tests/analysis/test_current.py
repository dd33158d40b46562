"""What became of an instance at a peer, over all batches: one function says it, and everything else follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from matplotlib import pyplot
from pandas.testing import assert_frame_equal
from pydicom.uid import EncapsulatedPDFStorage

from dicomkit import Ledger, LocalSCP, Outcome, SendResult, read_results, send_batch
from dicomkit.analysis import by_study, compare, current, failures, plot_outcomes, report, summary
from dicomkit.ledger import HELD
from dicomkit.results import COLUMNS, to_frame
from dicomkit.samples import sample_folder
from dicomkit.scp import RefuseClass
from tests.analysis.test_analysis import BEGAN
from tests.analysis.test_analysis import STORED as STORED_ONCE

pytestmark = pytest.mark.usefixtures("no_leaks")

NEVER = dict.fromkeys(("started_at", "status", "size_bytes", "association", "duration_ms", "response_ms"))
STORED = replace(STORED_ONCE, batch_id="day 1", detail="the peer stored it")


def row(day: int, outcome: Outcome = Outcome.STORED, **changes: Any) -> SendResult:
    """An attempt at the same instance in the batch of that day."""
    own = {"batch_id": f"day {day}", "started_at": BEGAN + timedelta(days=day), "outcome": outcome}
    return replace(STORED, **(own | changes))


def untried(day: int, outcome: Outcome, detail: str = "", **changes: Any) -> SendResult:
    return row(day, outcome, detail=detail, **(NEVER | changes))


def unreadable(day: int, **changes: Any) -> SendResult:
    unknown = dict.fromkeys(
        ("sop_instance_uid", "study_instance_uid", "series_instance_uid", "modality", "sop_class_uid")
    )
    return untried(day, Outcome.UNREADABLE, "truncated", **(unknown | changes))


def became(rows: Sequence[SendResult]) -> list[tuple[str, str]]:
    """The batch and the outcome of the row that counts for each instance."""
    table = current(to_frame(rows))
    return list(zip(table["batch_id"], table["outcome"], strict=True))


LATER = {
    "failed": row(3, Outcome.FAILED, status=0x0110),
    "lost the connection": row(3, Outcome.CONNECTION_FAILED, status=None),
    "cancelled": untried(3, Outcome.CANCELLED),
    "not tried": untried(3, Outcome.TIMED_OUT, "not tried: the peer is silent"),
    "disabled": untried(3, Outcome.SKIPPED, "the setting is disabled"),
    "held": untried(3, Outcome.SKIPPED, f"{HELD}, on 2026-03-02"),
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.STORED_WITH_WARNING])
def test_what_was_stored_stays_stored(later: SendResult, outcome: Outcome) -> None:
    refused, stored = row(1, Outcome.REFUSED), row(2, outcome)
    for rows in ([refused, stored, later], [later, stored, refused]):
        assert became(rows) == [("day 2", outcome)]


def test_of_what_was_never_stored_the_latest_counts_whatever_the_order_of_the_rows() -> None:
    rows = [row(2, Outcome.FAILED), row(3, Outcome.ABORTED, status=None), row(1, Outcome.REFUSED)]
    assert became(rows) == [("day 3", "aborted")]
    assert became(rows[::-1]) == [("day 3", "aborted")]


def test_skipped_since_the_ledger_holds_it_is_stored_and_skipped_since_disabled_is_not() -> None:
    held = untried(1, Outcome.SKIPPED, f"{HELD}, on 2026-02-01")
    disabled = untried(1, Outcome.SKIPPED, "the setting is disabled", sop_instance_uid="1.2.3.1")
    rows = to_frame([held, disabled, row(2, Outcome.REFUSED)])
    assert list(current(rows)["detail"].str.startswith(HELD)) == [True, False]
    [series] = by_study(rows).to_dict("records")
    assert [series[name] for name in ("instances", "stored", "stored_before", "not_stored")] == [2, 0, 1, 1]
    assert list(failures(rows)["meaning"]) == ["The setting is disabled"]


def test_each_peer_counts_by_itself() -> None:
    rows = [row(1), row(2, Outcome.REFUSED, port=105), row(3, Outcome.FAILED, host="other")]
    rows += [row(4, Outcome.ABORTED, called_aet="OTHER")]
    assert became(rows) == [
        ("day 1", "stored"),
        ("day 2", "refused"),
        ("day 3", "failed"),
        ("day 4", "aborted"),
    ]
    assert became([row(1, Outcome.REFUSED), row(2, calling_aet="SOMEBODY")]) == [("day 2", "stored")]


def test_one_uid_twice_in_a_batch_is_one_instance() -> None:
    first, second = row(1), row(1, Outcome.REFUSED, instance=1, source="ct/1.dcm")
    assert became([first, second]) == [("day 1", "stored")]
    text = report(to_frame([first, second])).html.replace("\xa0", " ")
    assert "2 sources hold 1 instance" in text


def test_what_could_not_be_read_is_known_by_its_source_until_that_can_be_read() -> None:
    damaged = [unreadable(1), unreadable(2), unreadable(2, instance=1, source="ct/1.dcm")]
    assert became(damaged) == [("day 2", "unreadable"), ("day 2", "unreadable")]
    assert became([*damaged, row(3)]) == [("day 3", "stored"), ("day 2", "unreadable")]
    assert became([*damaged, row(3, Outcome.REFUSED)]) == [("day 3", "refused"), ("day 2", "unreadable")]
    assert became([*damaged, row(3, port=105)]) == [
        ("day 2", "unreadable"),
        ("day 2", "unreadable"),
        ("day 3", "stored"),
    ]


def test_a_source_that_was_damaged_after_it_was_stored_is_told() -> None:
    """What it holds by now nobody knows."""
    assert became([row(1), unreadable(2)]) == [("day 1", "stored"), ("day 2", "unreadable")]


def test_things_in_memory_are_not_taken_for_one() -> None:
    rows = [unreadable(1, source="<bytes>"), unreadable(1, source="<bytes>", instance=1)]
    assert len(became([*rows, row(2, source="<bytes>", sop_instance_uid="1.2.9")])) == 3


def test_rows_without_a_time_come_at_the_end_of_their_batch_and_batches_without_one_where_they_stand() -> (
    None
):
    cancelled = untried(1, Outcome.CANCELLED)
    other = row(1, Outcome.REFUSED, instance=1, sop_instance_uid="1.2.3.1")
    assert became([row(2, Outcome.FAILED), cancelled, other])[0] == ("day 2", "failed")
    assert became([cancelled, untried(2, Outcome.CONNECTION_FAILED, "not tried")]) == [
        ("day 2", "connection_failed")
    ]
    assert became([row(1, Outcome.FAILED), untried(2, Outcome.CANCELLED), row(3, Outcome.REFUSED)]) == [
        ("day 3", "refused")
    ]
    assert became([row(1, Outcome.FAILED), untried(2, Outcome.CANCELLED)]) == [("day 2", "cancelled")]
    assert became([untried(2, Outcome.CANCELLED), row(3, Outcome.FAILED)]) == [("day 3", "failed")]


def test_attempts_have_their_order_even_where_the_clock_was_set_back() -> None:
    rows = [row(1, Outcome.REFUSED), row(1, Outcome.FAILED, attempt=2, started_at=BEGAN)]
    assert became(rows[::-1]) == [("day 1", "failed")]
    assert current(to_frame(rows))["attempt"].tolist() == [2]


def verified(rows: Sequence[SendResult], verdicts: dict[int, tuple[str, int]]) -> pd.DataFrame:
    """With what a verification found of these rows, on which day."""
    frame = to_frame(rows)
    found = [verdicts.get(place, (None, None)) for place in range(len(rows))]
    frame["verified"] = pd.Categorical([said for said, _ in found], ["yes", "no", "unknown"])
    frame["verified_at"] = pd.to_datetime(
        pd.Series([None if day is None else BEGAN + timedelta(days=day) for _, day in found]), utc=True
    )
    return frame


@pytest.mark.parametrize(
    ("verdicts", "counts"),
    [
        ({}, "stored"),
        ({0: ("no", 2)}, "failed"),
        ({0: ("unknown", 2)}, "stored"),
        ({0: ("yes", 2)}, "stored"),
        ({0: ("no", 2), 1: ("yes", 4)}, "stored"),
        ({0: ("yes", 2), 1: ("no", 4)}, "failed"),
    ],
)
def test_what_a_verification_did_not_find_is_stored_no_more(
    verdicts: dict[int, tuple[str, int]], counts: str, tmp_path: Path
) -> None:
    frame = verified([row(1), row(3, Outcome.FAILED)], verdicts)
    assert list(current(frame)["outcome"]) == [counts]
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert list(current(read_results(tmp_path / "rows.csv"))["outcome"]) == [counts]


def test_what_was_stored_again_after_a_verification_did_not_find_it_is_stored() -> None:
    frame = verified([row(1), row(3), row(4, Outcome.FAILED)], {0: ("no", 2)})
    assert list(current(frame)["batch_id"]) == ["day 3"]


def test_the_rows_that_count_have_all_their_columns_and_the_frame_is_left_as_it_is() -> None:
    frame = to_frame([row(1, Outcome.REFUSED), row(2), row(2, instance=1, sop_instance_uid="1.2.3.1")])
    frame = frame.assign(key=["a", "b", "c"], tries=7, moment="then")
    frame.index = pd.Index([0, 0, 0])
    before = frame.copy(deep=True)
    table = current(frame)
    assert_frame_equal(table, frame.iloc[1:].reset_index(drop=True))
    assert_frame_equal(frame, before)
    assert_frame_equal(current(table), table)
    assert_frame_equal(current(frame[:0]), frame[:0].reset_index(drop=True))


def test_what_holds_no_rows_is_told() -> None:
    with pytest.raises(TypeError, match="give a Batch, a Ledger"):
        current("rows.csv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no column host, port"):
        current(to_frame([STORED]).drop(columns=["host", "port"]))


def test_a_series_takes_the_time_of_its_batches_and_not_that_between_them() -> None:
    second = {"instance": 1, "sop_instance_uid": "1.2.3.1"}
    rows = [row(1), row(1, Outcome.REFUSED, **second), row(5, **second), untried(9, Outcome.CANCELLED)]
    [series] = by_study(to_frame(rows)).to_dict("records")
    assert (series["instances"], series["stored"], series["seconds"]) == (2, 2, 1.0)
    assert series["instances_per_second"] == 2.0


# Against a plain model

UIDS = st.sampled_from(["1.2.3.0", "1.2.3.1", None])
OUTCOMES = st.sampled_from(
    [Outcome.STORED, Outcome.STORED_WITH_WARNING, Outcome.REFUSED, Outcome.SKIPPED, Outcome.CANCELLED]
)


@st.composite
def histories(draw: st.DrawFn) -> list[SendResult]:
    """Batches one after the other, each with its time; at two peers, of three sources."""
    rows = []
    for day in range(1, draw(st.integers(1, 4)) + 1):
        port = draw(st.sampled_from([104, 105]))
        for instance in range(draw(st.integers(1, 4))):
            source = draw(st.sampled_from(["a.dcm", "b.dcm", "<bytes>"]))
            for attempt in range(1, draw(st.integers(1, 2)) + 1):
                uid = draw(UIDS)  # another one where the file was replaced meanwhile
                outcome = Outcome.UNREADABLE if uid is None else draw(OUTCOMES)
                detail = draw(st.sampled_from([HELD, "disabled"])) if outcome is Outcome.SKIPPED else "said"
                rows.append(
                    row(
                        day,
                        outcome,
                        detail=detail,
                        port=port,
                        instance=instance,
                        attempt=attempt,
                        source=source,
                        sop_instance_uid=uid,
                        started_at=BEGAN + timedelta(days=day, minutes=instance, seconds=attempt),
                    )
                )
    return rows


def says_stored(one: SendResult) -> bool:
    return one.outcome.is_stored or (one.outcome is Outcome.SKIPPED and one.detail.startswith(HELD))


def names_of(one: SendResult) -> tuple[object, ...]:
    return one.source, one.port, one.batch_id, one.instance


def model(rows: list[SendResult]) -> dict[object, tuple[SendResult, int]]:
    """By instance and peer the row that counts, and the attempts behind it; of rows in order of time."""
    all_of: dict[object, list[SendResult]] = {}
    for place, one in enumerate(rows):
        name = names_of(one) if one.source.startswith("<") else names_of(one)[:2]
        later = (two for two in rows[place:] if names_of(two)[: len(name)] == name and two.sop_instance_uid)
        key = one.sop_instance_uid or next((two.sop_instance_uid for two in later), name)
        all_of.setdefault((key, one.port), []).append(one)
    found: dict[object, tuple[SendResult, int]] = {}
    for key, ones in all_of.items():
        stored = [one for one in ones if one.outcome.is_stored]
        chosen = (stored or [one for one in ones if says_stored(one)] or ones)[-1]
        lasts = {(one.batch_id, one.instance): one for one in ones}.values()
        tried = [one.attempt for one in lasts if one.outcome.is_stored or not says_stored(one)]
        found[key] = chosen, max(sum(tried), 1)
    return found


# The phase "explain" traces every line that pandas runs.
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(histories(), st.randoms(use_true_random=False))
def test_it_agrees_with_a_plain_model_in_any_order_of_rows(rows: list[SendResult], random: Any) -> None:
    expected = model(rows)
    frame = to_frame(random.sample(rows, len(rows)))
    order = ["batch_id", "instance", "attempt"]
    wanted = to_frame([chosen for chosen, _ in expected.values()])
    assert_frame_equal(
        current(frame).sort_values(order, ignore_index=True), wanted.sort_values(order, ignore_index=True)
    )
    is_stored = [says_stored(chosen) for chosen, _ in expected.values()]
    counts = summary(frame)
    assert counts["instances"].sum() == len(expected)
    assert counts["attempts"].sum() == sum(tries for _, tries in expected.values())
    assert failures(frame)["instances"].sum() == is_stored.count(False)
    studies = by_study(frame)
    assert studies["instances"].sum() == len(expected)
    assert studies["not_stored"].sum() == is_stored.count(False)


# A PDF that is refused on the first day, and taken on the second


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger and the rows of both days."""
    folder = tmp_path_factory.mktemp("two days")
    with LocalSCP(faults=[RefuseClass(EncapsulatedPDFStorage)]) as scp:
        port = scp.port
        first = send_batch(scp.setting(), sample_folder(), ledger=folder / "sent.sqlite", retries=0)
    with LocalSCP(port=port) as scp:
        second = send_batch(scp.setting(), sample_folder(), ledger=folder / "sent.sqlite", retries=0)
    assert not first.ok
    assert second.ok
    both = pd.concat([first.to_frame(), second.to_frame()], ignore_index=True)
    both.to_csv(folder / "rows.csv", index=False)
    return folder


@pytest.mark.parametrize("kind", ["ledger", "latest", "file"])
def test_what_the_second_day_stored_is_nowhere_called_not_stored(kind: str, two_days: Path) -> None:
    ledger = Ledger(two_days / "sent.sqlite")
    rows: Any = {
        "ledger": ledger,
        "latest": ledger.to_frame(),
        "file": read_results(two_days / "rows.csv"),
    }[kind]
    total = len(list(sample_folder().rglob("*.dcm")))
    table = current(rows)
    assert len(table) == total == table["sop_instance_uid"].nunique()
    assert list(table.columns) == list(COLUMNS)
    assert failures(rows).empty

    counts = summary(rows)
    assert list(counts.index) == ["stored"]
    assert counts.loc["stored", "instances"] == total
    assert counts.loc["stored", "attempts"] == total + 1  # the PDF had two
    studies = by_study(rows)
    assert studies["instances"].sum() == studies["stored"].sum() == total
    assert not studies["not_stored"].any()

    text = report(rows).html.replace("\xa0", " ")
    assert "Everything is stored." in text
    assert "Over all 2 batches" in text
    assert "not accepted" not in text
    assert f"{total - 1:,} of {total:,} instances" in text  # the first day, as it was
    ax = plot_outcomes(rows)
    assert ax.get_title(loc="left") == f"{total} instances"
    pyplot.close(ax.figure)


def test_a_ledger_and_a_later_batch_are_compared_by_what_became_of_each(two_days: Path) -> None:
    ledger = Ledger(two_days / "sent.sqlite")
    last = ledger.to_frame(ledger.batches()["batch_id"].iloc[-1])
    assert set(compare(ledger, last)["change"]) == {"stays stored"}
    assert len(compare(ledger, ledger)) == len(last)
