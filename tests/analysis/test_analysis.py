"""The tables and pictures of a batch: what they count, what they leave out, and that they take any rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from pandas.testing import assert_frame_equal

from dicomkit import Ledger, LocalSCP, Outcome, SendResult, read_results, send_batch
from dicomkit.analysis import (
    CHANGES,
    by_study,
    compare,
    failures,
    plot_latency,
    plot_outcomes,
    plot_throughput,
    summary,
)
from dicomkit.dictionary.statuses import status_remedy
from dicomkit.errors import MissingExtraError
from dicomkit.ledger import HELD
from dicomkit.results import to_frame
from dicomkit.scp import Status

BEGAN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
STORED = SendResult(
    batch_id="7b3e3c1e-8d0f-4f7e-9f0a-0d4a6f1f2c11",
    instance=0,
    attempt=1,
    outcome=Outcome.STORED,
    status=0,
    detail="stored",
    source="ct/0.dcm",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="1.2.3.0",
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    modality="CT",
    size_bytes=1_000_000,
    transfer_syntax="1.2.840.10008.1.2.1",
    sent_transfer_syntax="1.2.840.10008.1.2.1",
    calling_aet="US",
    called_aet="THEM",
    host="127.0.0.1",
    port=104,
    association=1,
    started_at=BEGAN,
    duration_ms=500.0,
    response_ms=4.0,
)
PLOTS: list[Callable[..., Any]] = [plot_outcomes, plot_throughput, plot_latency]


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    before = mpl.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


def row(instance: int, **changes: Any) -> SendResult:
    """A stored instance of its own, a second after the one before, with these changes."""
    own = {
        "instance": instance,
        "source": f"ct/{instance}.dcm",
        "sop_instance_uid": f"1.2.3.{instance}",
        "started_at": BEGAN + timedelta(seconds=instance),
    }
    return replace(STORED, **(own | changes))


def untried(instance: int, outcome: Outcome, detail: str) -> SendResult:
    never = dict.fromkeys(("status", "size_bytes", "association", "started_at", "duration_ms", "response_ms"))
    return row(instance, outcome=outcome, detail=detail, **never)


def refused(instance: int, **changes: Any) -> SendResult:
    return row(instance, outcome=Outcome.REFUSED, status=0xA700, **changes)


def unreadable(instance: int, detail: str) -> SendResult:
    unknown = dict.fromkeys(("sop_instance_uid", "study_instance_uid", "series_instance_uid", "modality"))
    return replace(untried(instance, Outcome.UNREADABLE, detail), **unknown)


MIXED = [
    row(0),
    refused(1),
    row(1, attempt=2, started_at=BEGAN + timedelta(seconds=5)),
    row(2, outcome=Outcome.STORED_WITH_WARNING, status=0xB000),
    refused(3, detail='Refused; the peer says: "no room for DOE^JANE"'),
    refused(4, detail='Refused; the peer says: "no room for ROE^RICHARD"'),
    unreadable(5, "truncated: 2 bytes are missing; get a complete copy of it, and send that"),
    unreadable(6, "truncated: 60 bytes are missing; get a complete copy of it, and send that"),
    untried(7, Outcome.SKIPPED, f"{HELD}, on 2026-02-01"),
    untried(8, Outcome.SKIPPED, "the setting is disabled, so nothing was sent; set Disabled to false"),
]
ODD_FRAMES = {
    "no row": [],
    "one row": [row(0)],
    "one row that took no time": [row(0, duration_ms=0.0, response_ms=0.0)],
    "only failures": [refused(0), refused(1, response_ms=None)],
    "only rows without times": [untried(0, Outcome.SKIPPED, HELD), unreadable(1, "not DICOM")],
    "everything": MIXED,
}


def texts_of(ax: Any) -> list[str]:
    labels = [*ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts, ax.title]
    return [label.get_text() for label in [*labels, ax.xaxis.label]] + [ax.get_title(loc="left")]


# Summary


def test_a_summary_counts_the_last_attempts_in_the_order_of_the_outcomes() -> None:
    table = summary(to_frame(MIXED))
    assert list(table.index) == ["stored", "stored_with_warning", "refused", "unreadable", "skipped"]
    assert list(table["instances"]) == [2, 1, 2, 2, 2]
    assert list(table["attempts"]) == [3, 1, 2, 2, 2]
    assert table["share"].sum() == pytest.approx(1)
    assert table.loc["stored", "size_bytes"] == 2_000_000
    assert table.loc["stored", "last"] == BEGAN + timedelta(seconds=5)
    assert pd.isna(table.loc["skipped", "first"])


def test_a_summary_counts_an_instance_once_for_each_peer_over_all_batches() -> None:
    other = "0e1f2a3b-0000-4000-8000-000000000000"
    counts = summary(to_frame([row(0), refused(0, batch_id=other)])).loc["stored"]
    assert (counts["instances"], counts["attempts"]) == (1, 2)
    assert summary(to_frame([row(0), row(0, batch_id=other, port=105)])).loc["stored", "instances"] == 2


def test_rows_need_no_order_and_no_index_of_their_own() -> None:
    frame = to_frame(MIXED)
    shuffled = frame.sample(frac=1, random_state=3)
    shuffled.index = pd.Index([0] * len(frame))
    assert_frame_equal(summary(shuffled), summary(frame))


# Studies


def test_by_study_adds_up_and_gives_rates_over_the_time_that_the_series_took() -> None:
    frame = to_frame([row(0), row(1), refused(3), untried(7, Outcome.SKIPPED, HELD), unreadable(9, "no")])
    series, unknown = by_study(frame).to_dict("records")
    assert (series["study_instance_uid"], series["series_instance_uid"], series["modality"]) == (
        "1.2.3",
        "1.2.3.1",
        "CT",
    )
    counts = ("instances", "stored", "stored_before", "not_stored", "size_bytes")
    assert [series[name] for name in counts] == [4, 2, 1, 1, 2_000_000]
    assert series["seconds"] == pytest.approx(3.5)
    assert series["instances_per_second"] == pytest.approx(2 / 3.5)
    assert series["mb_per_second"] == pytest.approx(2 / 3.5)
    assert pd.isna(unknown["study_instance_uid"])
    assert unknown["not_stored"] == 1
    assert pd.isna(unknown["seconds"])
    assert pd.isna(unknown["instances_per_second"])


def test_what_took_no_time_has_no_rate() -> None:
    assert by_study(to_frame([row(0, duration_ms=0.0)]))["instances_per_second"].isna().all()


# Failures


def test_failures_of_one_status_are_one_cause_with_its_remedy_and_not_the_peers_comments() -> None:
    table = failures(to_frame(MIXED))
    cause = table.iloc[0]
    assert (cause["outcome"], cause["status"], cause["instances"]) == ("refused", 0xA700, 2)
    assert cause["meaning"] == "Refused: Out of Resources"
    assert cause["remedy"] == status_remedy(0xA700)
    assert cause["examples"] == ("ct/3.dcm", "ct/4.dcm")
    assert "DOE" not in table.to_csv()


def test_failures_without_a_status_tell_what_happened_and_what_to_do() -> None:
    cause = failures(to_frame(MIXED)).set_index("outcome").loc["unreadable"]
    assert cause["instances"] == 2
    assert pd.isna(cause["status"])
    assert cause["meaning"] == "Truncated: 2 bytes are missing"
    assert cause["remedy"] == "Get a complete copy of it, and send that"


def test_failures_leave_out_what_is_stored_now_or_was_before() -> None:
    table = failures(to_frame(MIXED))
    assert list(table["outcome"]) == ["refused", "unreadable", "skipped"]
    assert table.iloc[2]["examples"] == ("ct/8.dcm",)


def test_a_cause_is_the_same_for_what_was_not_tried_again_and_whatever_its_file() -> None:
    cause = "the peer does not answer to 'NO'; set RemoteAET"
    rejected = [
        untried(0, Outcome.REJECTED, cause),
        untried(1, Outcome.REJECTED, f"not tried again: {cause}"),
        *(unreadable(place, f"ct/{place}.dcm is not DICOM; leave it out") for place in (2, 3, 4, 5)),
    ]
    table = failures(to_frame(rejected))
    assert list(table["instances"]) == [2, 4]
    assert len(table.iloc[1]["examples"]) == 3


def test_causes_come_by_outcome_and_the_most_frequent_first() -> None:
    rows = [unreadable(0, "gone"), refused(1), unreadable(2, "empty"), unreadable(3, "empty")]
    assert list(failures(to_frame(rows))["meaning"]) == ["Refused: Out of Resources", "Empty", "Gone"]


# Comparison


def test_compare_says_what_changed_when_the_failed_were_sent_again() -> None:
    first = [row(0), refused(1), refused(2), refused(3), row(4), row(5), refused(6)]
    second = [
        refused(0, source="ct/2.dcm", sop_instance_uid="1.2.3.2"),
        row(1),
        row(2, source="ct/3.dcm", sop_instance_uid="1.2.3.3", outcome=Outcome.FAILED, status=0x0110),
        untried(4, Outcome.SKIPPED, HELD),
        refused(5),
        row(9),
    ]
    table = compare(to_frame(first), to_frame(second))
    assert list(table["change"]) == [
        "not sent again",
        "now stored",
        "same failure",
        "another failure",
        "stays stored",
        "failed this time",
        "not sent again",
        "new",
    ]
    assert list(table["source"][-2:]) == ["ct/6.dcm", "ct/9.dcm"]
    assert table.loc[3, "status_after"] == 0x0110
    assert pd.isna(table.loc[0, "after"])
    assert list(table["change"].cat.categories) == list(CHANGES)


def test_compare_knows_an_instance_that_moved_and_a_file_that_could_not_be_read_before() -> None:
    first = [refused(0), unreadable(1, "truncated"), unreadable(2, "gone")]
    second = [
        row(0, source="ct/1.dcm", sop_instance_uid="1.2.3.1"),
        row(1, source="new/0.dcm", sop_instance_uid="1.2.3.0"),
    ]
    table = compare(to_frame(first), to_frame(second))
    assert list(table["change"]) == ["now stored", "now stored", "not sent again"]
    assert table.loc[1, "sop_instance_uid"] == "1.2.3.1"


def test_compare_keeps_two_files_of_one_uid_apart() -> None:
    first = [row(0), refused(1, sop_instance_uid="1.2.3.0")]
    second = [row(0, source="ct/1.dcm")]
    assert list(compare(to_frame(first), to_frame(second))["change"]) == ["not sent again", "now stored"]


def test_compare_takes_a_file_of_another_uid_for_another_instance() -> None:
    table = compare(to_frame([refused(0)]), to_frame([row(0, sop_instance_uid="1.2.9")]))
    assert list(table["change"]) == ["not sent again", "new"]


def test_compare_does_not_take_two_things_in_memory_for_one() -> None:
    rows = to_frame([replace(unreadable(0, "no DICOM"), source="<bytes>")])
    assert list(compare(rows, rows)["change"]) == ["same failure"]
    other = to_frame([row(0, source="<bytes>")])
    assert list(compare(rows, other)["change"]) == ["not sent again", "new"]


# Pictures


def test_outcomes_are_told_in_words_and_numbers_beside_the_colours() -> None:
    ax = plot_outcomes(to_frame(MIXED))
    texts = texts_of(ax)
    assert {"stored with warning", "refused", "unreadable", "skipped", "9 instances"} <= set(texts)
    assert "2  (22.2 %, 1 after a retry)" in texts
    assert len({bar.get_hatch() for bar in ax.patches}) == 4


def test_a_share_is_never_rounded_to_nothing_or_to_everything() -> None:
    texts = texts_of(plot_outcomes(to_frame([row(n) for n in range(2500)] + [refused(2500)])))
    assert "2,500  (99.9 %)" in texts
    assert "1  (< 0.1 %)" in texts


def test_throughput_counts_what_was_stored_and_marks_what_failed() -> None:
    ax = plot_throughput(to_frame(MIXED))
    assert ax.get_title(loc="left") == "3 stored, 3 MB, in 5.5 seconds: 0.545 per second"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][-1] == "failed attempt (3)"
    assert ax.get_xlabel() == "seconds since 2026-03-01 08:00:00 UTC"
    assert ax.figure.axes[-1].get_ylabel() == "MB per second"


def test_throughput_of_failures_alone_says_that_nothing_was_stored() -> None:
    ax = plot_throughput(to_frame([refused(n) for n in range(1000)]))
    assert ax.get_title(loc="left") == "nothing stored in 16.7 minutes"
    assert len(ax.lines[0].get_xdata()) <= 121


def test_the_area_of_the_throughput_is_what_was_stored() -> None:
    ax = plot_throughput(to_frame([row(n) for n in range(200)]))
    for axes, total in ((ax, 200), (ax.figure.axes[-1], 200)):
        values, edges, _ = axes.patches[-1].get_data()
        seconds = (edges[1] - edges[0]) * 60
        assert values.sum() * seconds == pytest.approx(total)
    assert ax.get_xlabel().startswith("minutes since")


def test_latency_is_of_every_attempt_with_a_response() -> None:
    texts = texts_of(plot_latency(to_frame(MIXED)))
    assert {"stored (2)", "stored with warning (1)", "refused (3)", "6 responses"} <= set(texts)


def test_latency_by_association_shows_the_slowest_of_many_and_says_so() -> None:
    rows = [row(n, association=n, response_ms=float(n + 1)) for n in range(40)]
    texts = texts_of(plot_latency(to_frame(rows), by="association"))
    assert "association 39 (1)" in texts
    assert "association 24 (1)" not in texts
    assert "40 responses; the 15 slowest of 40 associations" in texts


def test_associations_of_two_batches_are_told_apart() -> None:
    other = "0e1f2a3b-0000-4000-8000-000000000000"
    texts = texts_of(plot_latency(to_frame([row(0), row(0, batch_id=other)]), by="association"))
    assert {"association 1 of 7b3e3c1e (1)", "association 1 of 0e1f2a3b (1)"} <= set(texts)


def test_latency_by_something_else_names_what_there_is() -> None:
    with pytest.raises(ValueError, match="'outcome' or 'association'"):
        plot_latency(to_frame(MIXED), by="modality")  # type: ignore[arg-type]


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_draws_on_the_axes_that_it_is_given(plot: Callable[..., Any]) -> None:
    _, ax = pyplot.subplots()
    assert plot(to_frame(MIXED), ax) is ax
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("plot", PLOTS)
def test_no_plot_tells_a_source_or_a_comment(plot: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):
        plot(to_frame(MIXED)).figure.savefig(path)
    drawn = path.read_text(encoding="utf-8")
    assert "DOE" not in drawn
    assert ".dcm" not in drawn


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_without_matplotlib_names_the_extra(
    plot: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = to_frame(MIXED)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=rf"{plot.__name__} needs matplotlib.*dicomkit\[notebook\]"):
        plot(frame)


def luminance(colour: Any) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in to_rgb(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Any, other: Any) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_stand_out_from_light_and_dark_grounds() -> None:
    ax = plot_outcomes(to_frame(MIXED))
    throughput = plot_throughput(to_frame(MIXED))
    colours = [bar.get_facecolor() for bar in ax.patches]
    colours += [one.get_edgecolor() for axes in throughput.figure.axes for one in axes.patches[-1:]]
    colours += [line.get_color() for line in throughput.lines]
    for colour in colours:
        assert min(contrast(colour, ground) for ground in ("#ffffff", "#111111", "#1e1e1e")) >= 3, colour


# Any rows


@pytest.mark.parametrize("name", ODD_FRAMES)
def test_every_function_takes_any_rows_and_keeps_its_columns(name: str) -> None:
    frame = to_frame(ODD_FRAMES[name])
    before = frame.copy(deep=True)
    for table in (summary, by_study, failures, lambda rows: compare(rows, rows)):
        usual, odd = table(to_frame(MIXED)), table(frame)
        assert dict(odd.dtypes) == dict(usual.dtypes), name
        assert odd.index.dtype == usual.index.dtype or isinstance(odd.index, pd.RangeIndex)
    for plot in PLOTS:
        plot(frame).figure.canvas.draw()
    plot_latency(frame, by="association").figure.canvas.draw()
    assert_frame_equal(frame, before)


@pytest.mark.parametrize("function", [summary, by_study, failures, *PLOTS])
def test_what_holds_no_rows_is_told(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="list holds no rows; give a Batch"):
        function([1])
    with pytest.raises(ValueError, match="no column detail, source"):
        function(to_frame(MIXED).drop(columns=["detail", "source"]))


def test_a_batch_its_ledger_and_its_file_tell_the_same(ct_files: list[Path], tmp_path: Path) -> None:
    ledger = tmp_path / "batch.ledger"
    with LocalSCP(faults=[Status(0xA700, every=4, times=2), Status(0xC123, after=7, times=1)]) as scp:
        first = send_batch(scp.setting(), ct_files, ledger=ledger)
        frame = first.to_frame()
        frame.to_csv(tmp_path / "batch.csv", index=False)
        for function in (summary, by_study, failures):
            expected = function(first)
            assert_frame_equal(function(frame), expected)
            assert_frame_equal(function(Ledger(ledger)), expected)
            assert_frame_equal(function(read_results(tmp_path / "batch.csv")), expected)
        second = send_batch(scp.setting(), ct_files, ledger=ledger)
    assert summary(first)["attempts"].sum() > len(ct_files)
    assert list(failures(first)["status"]) == [0xC123]
    assert failures(second).empty
    change = compare(first, second)["change"].value_counts()
    assert (change["now stored"], change["stays stored"]) == (1, len(ct_files) - 1)
    assert by_study(second)["stored_before"].sum() == len(ct_files) - 1
