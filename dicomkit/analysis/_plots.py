"""Three plots of a batch: what became of it, how fast it went, and how long the peer took to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dicomkit._support.quantities import counted
from dicomkit.analysis._attempts import BYTES_IN_MB, STORED, Rows, attempts_of, ends_of
from dicomkit.analysis._current import current
from dicomkit.analysis._tables import summary
from dicomkit.errors import MissingExtraError
from dicomkit.results import Outcome, in_words, tone_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

By = Literal["outcome", "association"]

# Each stands out from white and from the near-black of dark themes at 3:1 or better (WCAG 2.2, 1.4.11).
_GREEN, _AMBER, _RED, _GREY, _BLUE = "#2f9e6e", "#c07a12", "#d9534f", "#7d8590", "#3a86d0"
# A hatch says the same as the colour, for whom colours look alike, and in print.
_LOOK_OF_TONE = {
    "good": (_GREEN, ""),
    "warning": (_AMBER, "..."),
    "bad": (_RED, "///"),
    "none": (_GREY, "---"),
}

_BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
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
    attempts = attempts_of(rows)
    table = summary(attempts)
    retried = current(attempts).query("attempt > 1")["outcome"].value_counts()
    ax = _axes(ax, "plot_outcomes", height=1.3 + 0.42 * max(len(table), 1))
    from matplotlib.ticker import MaxNLocator

    if table.empty:
        return _nothing(ax, "no instances")
    total = int(table["instances"].sum())
    for place, (name, instances) in enumerate(zip(table.index, table["instances"], strict=True)):
        colour, hatch = _LOOK_OF_TONE[tone_of(Outcome(name))]
        ax.barh(place, instances, 0.68, color=colour, hatch=hatch, edgecolor="#ffffff90", linewidth=0)
        again = f", {retried[name]:,} after a retry" if retried.get(name) else ""
        label = f"{instances:,}  ({_percent(instances, total)}{again})"
        ax.annotate(label, (instances, place), xytext=(6, 0), **_BESIDE)
    ax.set_yticks(range(len(table)), [in_words(name) for name in table.index])
    ax.invert_yaxis()
    ax.margins(x=0.32)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("instances")
    ax.set_title(counted(total, "instance"), loc="left")
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
    attempts = attempts_of(rows)
    ends = ends_of(attempts)
    attempts, ends = attempts[ends.notna()], ends[ends.notna()]
    ax = _axes(ax, "plot_throughput", height=3.4)
    if attempts.empty:
        return _nothing(ax, "nothing was sent")
    began = attempts["started_at"].min()
    seconds = (ends - began).dt.total_seconds()
    span = max(float(seconds.max()), 1e-3)
    unit, unit_seconds = _time_unit(span)
    is_stored = attempts["outcome"].isin(STORED)
    bins = int(np.clip(is_stored.sum() // _PER_BIN, 1, _BINS))
    edges = np.linspace(0, span, bins + 1)
    width = span / bins
    instances = np.histogram(seconds[is_stored], edges)[0] / width
    sizes = attempts.loc[is_stored, "size_bytes"].fillna(0).astype("float64")
    megabytes = np.histogram(seconds[is_stored], edges, weights=sizes)[0] / BYTES_IN_MB / width

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
        look: dict[str, Any] = {"color": _RED, "markersize": 6, "markeredgewidth": 1.6, "zorder": 5}
        along = ax.get_xaxis_transform()
        shown += ax.plot(places, np.zeros(len(places)), "x", clip_on=False, transform=along, **look)
        names.append(f"failed attempt ({len(failed):,})")
    ax.set_xlim(0, at[-1])
    ax.set_ylim(0, max(float(instances.max()) * 1.12, 1e-9) if instances.any() else 1)
    right.set_ylim(0, max(float(megabytes.max()) * 1.3, 1e-9) if megabytes.any() else 1)
    ax.set_xlabel(f"{unit} since {began:%Y-%m-%d %H:%M:%S} UTC")
    ax.set_ylabel("instances per second")
    right.set_ylabel("MB per second")
    stored, took = int(is_stored.sum()), f"in {_number(span / unit_seconds)} {unit}"
    size, rate = f"{_number(sizes.sum() / BYTES_IN_MB)} MB", f"{_number(stored / span)} per second"
    ax.set_title(
        f"{stored:,} stored, {size}, {took}: {rate}" if stored else f"nothing stored {took}", loc="left"
    )
    under: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3}
    ax.legend(shown, names, frameon=False, fontsize="small", **under)
    _tidy(ax, grid="y")
    _tidy(right, grid="none")
    right.spines["right"].set_visible(True)
    return ax


def plot_latency(rows: Rows, ax: Axes | None = None, *, by: By = "outcome") -> Axes:
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
    if by not in ("outcome", "association"):
        raise ValueError(f"by is {by!r}; use 'outcome' or 'association'")
    attempts = attempts_of(rows)
    answered = attempts[attempts["response_ms"].notna()]
    groups, left_out = _latencies(answered, by)
    ax = _axes(ax, "plot_latency", height=1.3 + 0.45 * max(len(groups), 1))
    if not groups:
        return _nothing(ax, "no responses")
    # Drawn from the same seed, so that the same rows make the same plot.
    scatter = np.random.default_rng(0)
    for place, (_, outcome, values) in enumerate(groups):
        colour = _BLUE if outcome is None else _LOOK_OF_TONE[tone_of(outcome)][0]
        points = scatter.choice(values, min(len(values), _POINTS_SHOWN), replace=False)
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
        right = ax.get_yaxis_transform()
        ax.annotate(words, (1, place), xycoords=right, xytext=(8, 0), annotation_clip=False, **_BESIDE)
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
    ax.set_title(f"{counted(len(answered), 'response')}{shown}", loc="left")
    _tidy(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    return ax


def _latencies(answered: pd.DataFrame, by: By) -> tuple[list[tuple[str, Outcome | None, Any]], int]:
    """For each group its name, its outcome if that is what it is, and its milliseconds; and how many are left out."""
    least = answered["response_ms"].clip(lower=_LEAST_MS)
    if by == "outcome":
        grouped = least.groupby(answered["outcome"], observed=True)
        return [(in_words(name), Outcome(name), values.to_numpy()) for name, values in grouped], 0
    several = answered["batch_id"].nunique() > 1
    found: list[tuple[str, Outcome | None, Any]] = []
    for batch_id, of_batch in least.groupby(answered["batch_id"], sort=False):
        of_which = f" of {str(batch_id)[:8]}" if several else ""
        for number, values in of_batch.groupby(answered["association"]):
            found.append((f"association {number}{of_which}", None, values.to_numpy()))
    by_median = sorted(range(len(found)), key=lambda place: float(np.median(found[place][2])), reverse=True)
    shown = sorted(by_median[:_GROUPS_SHOWN])
    return [found[place] for place in shown], len(found) - len(shown)


def _axes(ax: Axes | None, purpose: str, *, height: float) -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise MissingExtraError(purpose, "matplotlib", "notebook") from error
    return ax or pyplot.subplots(figsize=(8.0, height), layout="constrained")[1]


def _nothing(ax: Axes, words: str) -> Axes:
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes)
    ax.set_axis_off()
    return ax


def _tidy(ax: Axes, *, grid: Literal["x", "y", "none"]) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    if grid != "none":
        ax.grid(axis=grid, color=_GREY, alpha=0.3, linewidth=0.8)


def _percent(part: int, whole: int) -> str:
    """A share, in which 100 % is all of them, and what occurs is never 0 %."""
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
