"""What the rows of a batch tell: tables of outcomes, studies and causes, two batches side by side, and three pictures.

Every function takes the rows as they come (a batch, a ledger, a frame of results) and returns a frame, or the Axes it
drew on, so that its result can be filtered, joined, saved and drawn upon further.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal

from dicomkit.batch import Batch
from dicomkit.errors import MissingExtraError
from dicomkit.ledger import Ledger
from dicomkit.ledger_resume import HELD
from dicomkit.results import Outcome, column_array, dtypes
from dicomkit.statuses import status_meaning, status_remedy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Rows = pd.DataFrame | Batch | Ledger

__all__ = [
    "summary",
    "by_study",
    "failures",
    "compare",
    "plot_outcomes",
    "plot_throughput",
    "plot_latency",
    "CHANGES",
]

EXAMPLES_SHOWN = 3
"""How many sources stand for a cause in `failures`."""

CHANGES = (
    "now stored",
    "same failure",
    "another failure",
    "failed this time",
    "stays stored",
    "not sent again",
    "new",
)
"""What `compare` may say of an instance, the most telling first."""

_NEEDED = (
    *("batch_id", "instance", "attempt", "outcome", "status", "detail", "source", "sop_instance_uid"),
    *("study_instance_uid", "series_instance_uid", "modality", "size_bytes", "association", "started_at"),
    *("duration_ms", "response_ms"),
)
_ONE = ["batch_id", "instance"]
_SERIES = ["study_instance_uid", "series_instance_uid"]
_STORED = [outcome.value for outcome in Outcome if outcome.is_stored]
_BYTES_IN_MB = 1e6

_NOT_TRIED_AGAIN = "not tried again: "
_COUNT_OF_BYTES = re.compile(r"\bbyte \d+|\d+ bytes?\b")


# Tables


def summary(rows: Rows) -> pd.DataFrame:
    """Return one row for each outcome that occurs, in the order of the outcomes.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        Results, as `Batch.to_frame`, `Ledger.to_frame` and `read_results` give them. The last attempt of an instance
        is what became of it; each batch's instances are counted by themselves.

    Returns
    -------
    pandas.DataFrame
        By ``outcome``: ``instances``; the ``attempts`` behind them, of which what was never tried has one;
        ``size_bytes`` handed to the socket in the last attempts; the ``share`` of all instances, from 0 to 1;
        ``first`` and ``last``, when the earliest and the latest of the last attempts began, null when none did.

    Raises
    ------
    TypeError
        These are no rows.
    ValueError
        The frame lacks columns; they are named.
    """
    grouped = _final(_attempts(rows)).groupby("outcome", observed=True)
    table = grouped.agg(
        instances=("instance", "size"),
        attempts=("attempt", "sum"),
        size_bytes=("size_bytes", "sum"),
        first=("started_at", "min"),
        last=("started_at", "max"),
    )
    table.insert(3, "share", table["instances"] / table["instances"].sum())
    return table.astype({"instances": "int64", "attempts": "int64", "share": "float64"})


def by_study(rows: Rows) -> pd.DataFrame:
    """Return one row for each series, in the order in which they were met.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        ``study_instance_uid`` and ``series_instance_uid``, null where a data set has none or could not be read;
        ``modality``; ``instances``, which are the sum of ``stored``, ``stored_before`` (skipped, since the ledger
        holds them as stored) and ``not_stored``; ``size_bytes`` stored; ``seconds`` from the beginning of the series'
        first attempt to the end of its last; ``instances_per_second`` and ``mb_per_second`` (10^6 bytes) stored in
        that time. What has no times has null seconds and rates.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    attempts = _attempts(rows)
    attempts["ended_at"] = _ends(attempts)
    times = attempts.groupby(_ONE).agg(began=("started_at", "min"), ended=("ended_at", "max"))
    final = _final(attempts).join(times, on=_ONE)
    final["is_stored"], final["is_held"] = final["outcome"].isin(_STORED), _is_held(final)
    final["stored_bytes"] = final["size_bytes"].where(final["is_stored"])
    table = (
        final.groupby(_SERIES, dropna=False, sort=False)
        .agg(
            modality=("modality", "first"),
            instances=("instance", "size"),
            stored=("is_stored", "sum"),
            stored_before=("is_held", "sum"),
            size_bytes=("stored_bytes", "sum"),
            began=("began", "min"),
            ended=("ended", "max"),
        )
        .reset_index()
        .astype(dict.fromkeys(("instances", "stored", "stored_before"), "int64"))
    )
    table.insert(6, "not_stored", table["instances"] - table["stored"] - table["stored_before"])
    seconds = (table.pop("ended") - table.pop("began")).dt.total_seconds()
    table["seconds"] = seconds
    # What took no measurable time has no rate, rather than an infinite one.
    table["instances_per_second"] = table["stored"] / seconds.where(seconds > 0)
    table["mb_per_second"] = table["size_bytes"].astype("float64") / _BYTES_IN_MB / seconds.where(seconds > 0)
    return table


def failures(rows: Rows) -> pd.DataFrame:
    """Return one row for each cause for which instances are not stored, and what to do about it.

    Instances count by their last attempt: what a retry mended is not here, nor is what was skipped because the ledger
    holds it as stored. Details that differ only in their own file, instance or number of bytes are one cause.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        ``outcome``; ``status``, null when no response came; ``meaning``, of the status (PS3.4 B.2.3, PS3.7 C) or what
        happened instead of one; ``instances`` and the ``attempts`` behind them; ``remedy``, what to do next, empty
        when sending again is all there is to do; ``examples``, a tuple of the first few sources. By outcome, the most
        frequent first; empty when everything is stored.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    import pandas as pd

    final = _final(_attempts(rows))
    final = final[~(final["outcome"].isin(_STORED) | _is_held(final))]
    causes: dict[Hashable, dict[str, Any]] = {}
    columns = ["outcome", "status", "detail", "source", "sop_instance_uid", "attempt"]
    for outcome, status, detail, source, uid, attempt in _plain_rows(final, columns):
        if status is None:
            told = detail.removeprefix(_NOT_TRIED_AGAIN)
            meaning, remedy = (_sentence(part) for part in told.partition("; ")[::2])
            gist = told.replace(source, "").replace(uid or source, "")
            key: Hashable = (outcome, _COUNT_OF_BYTES.sub("", gist))
        else:
            # The peer's comment may differ for each instance, and may name a patient: the code is the cause.
            meaning, remedy = status_meaning(status), status_remedy(status)
            key = (outcome, status)
        cause = causes.setdefault(
            key,
            {
                "outcome": outcome,
                "status": status,
                "meaning": meaning,
                "instances": 0,
                "attempts": 0,
                "remedy": remedy,
                "examples": (),
            },
        )
        cause["instances"] += 1
        cause["attempts"] += attempt
        if len(cause["examples"]) < EXAMPLES_SHOWN:
            cause["examples"] += (source,)
    names = ("outcome", "status", "meaning", "instances", "attempts", "remedy", "examples")
    table = pd.DataFrame({name: [cause[name] for cause in causes.values()] for name in names}, dtype=object)
    kinds = {"outcome": dtypes()["outcome"], "status": "UInt16", "instances": "int64", "attempts": "int64"}
    table = table.astype(kinds | dict.fromkeys(("meaning", "remedy"), pd.StringDtype()))
    return table.sort_values(
        ["outcome", "instances"], ascending=[True, False], kind="stable", ignore_index=True
    )


def compare(first: Rows, second: Rows) -> pd.DataFrame:
    """Return what became of each instance the first time and the second, for sending the failed again.

    Instances are the same when both SOP Instance UID and source are, or else the UID; one that could not be read
    the one time is known by its source.

    Parameters
    ----------
    first, second : DataFrame, Batch or Ledger
        As for `summary`.

    Returns
    -------
    pandas.DataFrame
        One row for each instance, in the order of the first, then what only the second has: ``source``,
        ``sop_instance_uid``, ``before`` and ``after`` (outcomes), ``status_before`` and ``status_after``, and the
        ``change``, one of `CHANGES`. "failed this time" was stored the first time, and most likely still is.

    Raises
    ------
    TypeError, ValueError
        As for `summary`.
    """
    import pandas as pd

    old, new = (_final(_attempts(rows)) for rows in (first, second))
    columns = ["source", "sop_instance_uid", "outcome", "status", "is_there"]
    olds, news = (
        _plain_rows(final.assign(is_there=final["outcome"].isin(_STORED) | _is_held(final)), columns)
        for final in (old, new)
    )
    partner = _partners([row[:2] for row in olds], [row[:2] for row in news])
    nothing = (None,) * len(columns)
    pairs = [(row, news[partner[place]] if place in partner else nothing) for place, row in enumerate(olds)]
    matched = set(partner.values())
    pairs += [(nothing, row) for place, row in enumerate(news) if place not in matched]
    befores, afters = zip(*pairs, strict=True) if pairs else ((), ())
    either = [(before[0] or after[0], before[1] or after[1]) for before, after in pairs]
    changes = [_change(before[2:], after[2:]) for before, after in pairs]
    return pd.DataFrame(
        {
            "source": column_array("source", [source for source, _ in either]),
            "sop_instance_uid": column_array("sop_instance_uid", [uid for _, uid in either]),
            "before": column_array("outcome", [row[2] for row in befores]),
            "after": column_array("outcome", [row[2] for row in afters]),
            "status_before": column_array("status", [row[3] for row in befores]),
            "status_after": column_array("status", [row[3] for row in afters]),
            "change": pd.Categorical(changes, categories=list(CHANGES)),
        }
    )


def _change(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    """One of `CHANGES`, from outcome, status and whether the peer has it, of both times; all None for never."""
    if after[0] is None:
        return "not sent again"
    if before[0] is None:
        return "new"
    if after[2]:
        return "stays stored" if before[2] else "now stored"
    if before[2]:
        return "failed this time"
    return "same failure" if before[:2] == after[:2] else "another failure"


def _partners(olds: list[tuple[Any, ...]], news: list[tuple[Any, ...]]) -> dict[int, int]:
    """Which place of `news` is the instance at which place of `olds`, from source and SOP Instance UID of each."""

    def both(source: str, uid: str | None) -> Hashable:
        return (source, uid)

    def uid_alone(source: str, uid: str | None) -> Hashable:
        return uid

    def source_alone(source: str, uid: str | None) -> Hashable:
        # "<bytes>" and its like are no names.
        return None if source.startswith("<") else source

    partner: dict[int, int] = {}
    taken: set[int] = set()
    for key_of in (both, uid_alone, source_alone):
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for place in range(len(news) - 1, -1, -1):
            if place not in taken:
                waiting[key_of(*news[place])].append(place)
        for place, old in enumerate(olds):
            key = key_of(*old)
            if place in partner or key is None or not waiting.get(key):
                continue
            candidate = waiting[key][-1]
            if key_of is source_alone and old[1] and news[candidate][1]:
                continue  # the file was replaced by another instance
            taken.add(waiting[key].pop())
            partner[place] = candidate
    return partner


def _attempts(rows: Rows) -> pd.DataFrame:
    """The rows as a frame of our own, with an index of our own, outcomes as categories in their order."""
    import pandas as pd

    frame = rows.to_frame(latest=False) if isinstance(rows, Batch | Ledger) else rows
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"{type(rows).__name__} holds no rows; give a Batch, a Ledger, or a frame of results as to_frame() and "
            "read_results() return it"
        )
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise ValueError(
            f"the frame has no column {', '.join(missing)}; give a frame of results as to_frame() and "
            "read_results() return it"
        )
    frame = frame[list(_NEEDED)].reset_index(drop=True)
    return frame.astype({"outcome": dtypes()["outcome"]})


def _final(attempts: pd.DataFrame) -> pd.DataFrame:
    """The last attempt of each instance of each batch, in the order of the frame."""
    last = attempts.sort_values("attempt", kind="stable").drop_duplicates(_ONE, keep="last")
    return last.sort_index()


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _is_held(final: pd.DataFrame) -> pd.Series[bool]:
    return (final["outcome"] == Outcome.SKIPPED.value) & final["detail"].str.startswith(HELD).fillna(False)


def _ends(attempts: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return attempts["started_at"] + pd.to_timedelta(attempts["duration_ms"], unit="ms")


def _plain_rows(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """The values as Python's own, None where there is none."""
    plain = (frame[name].astype(object).where(frame[name].notna(), None) for name in columns)
    return list(zip(*plain, strict=True))


# Pictures


# Each stands out from white and from the near-black of dark themes at 3:1 or better (WCAG 2.2, 1.4.11).
_GREEN, _AMBER, _RED, _GREY, _BLUE = "#2f9e6e", "#c07a12", "#d9534f", "#7d8590", "#3a86d0"
# A hatch says the same as the colour, for whom colours look alike, and in print.
_LOOK_OF_TONE = {
    "good": (_GREEN, ""),
    "warning": (_AMBER, "..."),
    "bad": (_RED, "///"),
    "none": (_GREY, "---"),
}

_HATCH_COLOUR = "#ffffff90"
_WIDTH_INCHES = 8.0
_BINS, _PER_BIN = 40, 6  # at most so many spans of time, of so many instances or more on average
_CROSSES = 120
_GROUPS_SHOWN = 15
_POINTS_SHOWN = 400
_ENOUGH_FOR_A_BOX, _ENOUGH_FOR_PERCENTS = 5, 20
_LEAST_MS = 1e-3  # what a clock cannot tell from nothing has a place on a logarithmic axis, too
_LOG_FROM = 10  # longest by shortest answer, from where a linear axis hides the short ones


def plot_outcomes(rows: Rows, ax: Axes | None = None) -> Axes:
    """Draw how many instances ended in which outcome, as bars with their numbers.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    TypeError, ValueError
        As for `summary`.
    """
    table = summary(rows)
    retried = _final(_attempts(rows)).query("attempt > 1")["outcome"].value_counts()
    ax = _axes(ax, "plot_outcomes", height=1.3 + 0.42 * max(len(table), 1))
    from matplotlib.ticker import MaxNLocator

    if table.empty:
        return _nothing(ax, "no instances")
    total = int(table["instances"].sum())
    for place, (name, counted) in enumerate(zip(table.index, table["instances"], strict=True)):
        colour, hatch = _LOOK_OF_TONE[_tone(Outcome(name))]
        ax.barh(place, counted, height=0.68, color=colour, hatch=hatch, edgecolor=_HATCH_COLOUR, linewidth=0)
        again = f", {retried[name]:,} after a retry" if retried.get(name) else ""
        label = f"{counted:,}  ({_percent(counted, total)}{again})"
        ax.annotate(
            label, (counted, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize="small"
        )
    ax.set_yticks(range(len(table)), [_in_words(name) for name in table.index])
    ax.invert_yaxis()
    ax.margins(x=0.32)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("instances")
    ax.set_title(f"{total:,} {'instance' if total == 1 else 'instances'}", loc="left")
    _tidy(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    return ax


def plot_throughput(rows: Rows, ax: Axes | None = None) -> Axes:
    """Draw how many instances, and how many MB (10^6 bytes), were stored a second, over time.

    An instance counts where its attempt ended; attempts that failed are crosses along the bottom.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`; rows without times are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        That of the instances; that of the MB shares its time axis, and is the figure's last.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    TypeError, ValueError
        As for `summary`.
    """
    import numpy as np

    attempts = _attempts(rows)
    ends = _ends(attempts)
    attempts, ends = attempts[ends.notna()], ends[ends.notna()]
    ax = _axes(ax, "plot_throughput", height=3.4)
    if attempts.empty:
        return _nothing(ax, "nothing was sent")
    began = attempts["started_at"].min()
    seconds = (ends - began).dt.total_seconds()
    span = max(float(seconds.max()), 1e-3)
    unit, unit_seconds = _time_unit(span)
    is_stored = attempts["outcome"].isin(_STORED)
    bins = int(np.clip(is_stored.sum() // _PER_BIN, 1, _BINS))
    edges = np.linspace(0, span, bins + 1)
    width = span / bins
    instances = np.histogram(seconds[is_stored], edges)[0] / width
    sizes = attempts.loc[is_stored, "size_bytes"].fillna(0).astype("float64")
    megabytes = np.histogram(seconds[is_stored], edges, weights=sizes)[0] / _BYTES_IN_MB / width

    at = edges / unit_seconds
    area = ax.stairs(instances, at, fill=True, color=_BLUE, alpha=0.35, linewidth=0)
    outline = ax.stairs(instances, at, color=_BLUE, linewidth=1.4)
    right = ax.twinx()
    line = right.stairs(megabytes, at, baseline=None, color=_AMBER, linewidth=1.8, linestyle=(0, (4, 1.5)))
    shown: list[Any] = [(area, outline), line]
    names = ["instances per second", "MB per second"]
    failed = seconds[~is_stored]
    if len(failed):
        # One cross where many would cover each other.
        places = np.unique(np.round(failed / span * _CROSSES)) / _CROSSES * at[-1]
        crosses = ax.plot(
            places,
            np.zeros(len(places)),
            "x",
            color=_RED,
            markersize=6,
            markeredgewidth=1.6,
            clip_on=False,
            transform=ax.get_xaxis_transform(),
            zorder=5,
        )
        shown.append(crosses[0])
        names.append(f"failed attempt ({len(failed):,})")
    ax.set_xlim(0, at[-1])
    ax.set_ylim(0, max(float(instances.max()) * 1.12, 1e-9) if instances.any() else 1)
    right.set_ylim(0, max(float(megabytes.max()) * 1.3, 1e-9) if megabytes.any() else 1)
    ax.set_xlabel(f"{unit} since {began:%Y-%m-%d %H:%M:%S} UTC")
    ax.set_ylabel("instances per second")
    right.set_ylabel("MB per second")
    stored, took = int(is_stored.sum()), f"in {_number(span / unit_seconds)} {unit}"
    title = f"nothing stored {took}"
    if stored:
        size = f"{_number(sizes.sum() / _BYTES_IN_MB)} MB"
        title = f"{stored:,} stored, {size}, {took}: {_number(stored / span)} per second"
    ax.set_title(title, loc="left")
    ax.legend(
        shown, names, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False, fontsize="small"
    )
    _tidy(ax, grid="y")
    _tidy(right, grid="none")
    right.spines["right"].set_visible(True)
    return ax


def plot_latency(
    rows: Rows, ax: Axes | None = None, *, by: Literal["outcome", "association"] = "outcome"
) -> Axes:
    """Draw how long the peer took to answer, from the last byte sent to the response, in milliseconds.

    A box spans the middle half of the answers, its whiskers 5 to 95 %, the bar across is the median; each point is an
    answer, of many a few hundred. Where there are less than five there is no box.

    Parameters
    ----------
    rows : DataFrame, Batch or Ledger
        As for `summary`; every attempt with a response counts.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    by : {"outcome", "association"}
        What the answers are sorted by. Of many associations those with the longest median are shown.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    TypeError
        As for `summary`.
    ValueError
        As for `summary`; or `by` is something else.
    """
    import numpy as np

    if by not in ("outcome", "association"):
        raise ValueError(f"by is {by!r}; use 'outcome' or 'association'")
    attempts = _attempts(rows)
    answered = attempts[attempts["response_ms"].notna()]
    groups, left_out = _latencies(answered, by)
    ax = _axes(ax, "plot_latency", height=1.3 + 0.45 * max(len(groups), 1))
    if not groups:
        return _nothing(ax, "no responses")
    # Drawn from the same seed, so that the same rows make the same picture.
    scatter = np.random.default_rng(0)
    for place, (_, outcome, values) in enumerate(groups):
        colour = _BLUE if outcome is None else _LOOK_OF_TONE[_tone(outcome)][0]
        points = (
            values if len(values) <= _POINTS_SHOWN else scatter.choice(values, _POINTS_SHOWN, replace=False)
        )
        heights = place + scatter.uniform(-0.2, 0.2, len(points))
        ax.scatter(points, heights, s=12, color=colour, alpha=0.55, linewidths=0)
        low, lower, median, upper, high = np.percentile(values, (5, 25, 50, 75, 95))
        if len(values) >= _ENOUGH_FOR_A_BOX:
            ax.hlines([place, place], [low, upper], [lower, high], color=colour, linewidth=1.6)
            ax.vlines([low, high], place - 0.12, place + 0.12, color=colour, linewidth=1.6)
            ax.barh(place, upper - lower, left=lower, height=0.5, fill=False, edgecolor=colour, linewidth=1.6)
        ax.vlines(median, place - 0.25, place + 0.25, color=ax.xaxis.label.get_color(), linewidth=2.4)
        words = _duration(median) if len(values) == 1 else f"median {_duration(median)}"
        if len(values) >= _ENOUGH_FOR_PERCENTS:
            words += f"\n95 % within {_duration(high)}"
        elif len(values) > 1:
            words += f"\nlongest {_duration(values.max())}"
        ax.annotate(
            words,
            (1, place),
            xycoords=ax.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    everything = np.concatenate([values for _, _, values in groups])
    if everything.max() > _LOG_FROM * everything.min():
        ax.set_xscale("log")
    else:
        ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    ax.set_yticks(range(len(groups)), [f"{label} ({len(values):,})" for label, _, values in groups])
    ax.set_ylim(len(groups) - 0.45, -0.55)
    ax.set_xlabel("ms from the last byte sent to the response")
    shown = f"; the {len(groups)} slowest of {len(groups) + left_out:,} associations" if left_out else ""
    ax.set_title(f"{len(answered):,} {'response' if len(answered) == 1 else 'responses'}{shown}", loc="left")
    _tidy(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    return ax


def _latencies(
    answered: pd.DataFrame, by: Literal["outcome", "association"]
) -> tuple[list[tuple[str, Outcome | None, Any]], int]:
    """For each group its name, its outcome if that is what it is, and its milliseconds; and how many are left out."""
    import numpy as np

    least = answered["response_ms"].clip(lower=_LEAST_MS)
    if by == "outcome":
        grouped = least.groupby(answered["outcome"], observed=True)
        return [(_in_words(name), Outcome(name), values.to_numpy()) for name, values in grouped], 0
    several = answered["batch_id"].nunique() > 1
    found: list[tuple[str, Outcome | None, Any]] = []
    for batch_id, of_batch in least.groupby(answered["batch_id"], sort=False):
        for which, values in of_batch.groupby(answered["association"]):
            label = f"association {which}{f' of {str(batch_id)[:8]}' if several else ''}"
            found.append((label, None, values.to_numpy()))
    by_median = sorted(range(len(found)), key=lambda place: float(np.median(found[place][2])), reverse=True)
    shown = set(by_median[:_GROUPS_SHOWN])
    return [one for place, one in enumerate(found) if place in shown], len(found) - len(shown)


def _axes(ax: Axes | None, purpose: str, *, height: float) -> Axes:
    """The caller's Axes, or one on a new figure of that height in inches."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError(purpose, "matplotlib", "notebook") from error
    if ax is not None:
        return ax
    return pyplot.subplots(figsize=(_WIDTH_INCHES, height), layout="constrained")[1]


def _nothing(ax: Axes, words: str) -> Axes:
    """Say that there is nothing to draw."""
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
    return ax


def _tidy(ax: Axes, *, grid: Literal["x", "y", "none"]) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_axisbelow(True)
    if grid != "none":
        ax.grid(axis=grid, color=_GREY, alpha=0.3, linewidth=0.8)


def _tone(outcome: Outcome) -> str:
    if outcome is Outcome.STORED:
        return "good"
    if outcome is Outcome.STORED_WITH_WARNING:
        return "warning"
    return "none" if outcome in (Outcome.SKIPPED, Outcome.CANCELLED) else "bad"


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _percent(part: int, whole: int) -> str:
    """A share as it can be said without a lie: 100 % is all of them, and what occurs is never 0 %."""
    share = 100 * part / whole
    if part == whole:
        return "100 %"
    return "< 0.1 %" if share < 0.1 else f"{min(share, 99.9):.1f} %"


def _duration(milliseconds: float) -> str:
    return f"{_number(milliseconds / 1000)} s" if milliseconds >= 1000 else f"{_number(milliseconds)} ms"


def _number(value: float) -> str:
    """Three digits of it, and never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-4 else f"{value:.6f}"


def _time_unit(seconds: float) -> tuple[str, float]:
    """The unit that such a span is read best in, and how many seconds it has."""
    if seconds < 180:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 7200 else ("hours", 3600.0)
