"""From runs to figures: senders take turns, each round gives one ratio, and the median of those is the result."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tests.support.peers import MissingProgram, program

START = "<!-- benchmark:start -->"
END = "<!-- benchmark:end -->"


@dataclass(frozen=True, slots=True)
class Run:
    """One sender, once: how long it took for how many instances."""

    seconds: float
    instances: int

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.instances / self.seconds


@dataclass(frozen=True, slots=True)
class Table:
    """A result to be read by people: cells are text already."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())

    def as_text(self) -> str:
        """For a terminal: columns lined up, the first to the left, the others to the right."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]

        def lined_up(line: Sequence[str]) -> str:
            first, *others = (
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            return "  ".join([first, *others]).rstrip()

        rule = "  ".join("-" * width for width in widths)
        body = [lined_up(self.columns), rule, *(lined_up(row) for row in self.rows)]
        return "\n".join([self.title, "", *(f"  {line}" for line in body), *self._remarks("  ")])

    @property
    def heading(self) -> str:
        """Its first line in Markdown, by which it is found again."""
        return f"**{self.title}**"

    def as_markdown(self) -> str:
        header = f"| {' | '.join(self.columns)} |"
        rule = "|" + "|".join("---" if n == 0 else "---:" for n in range(len(self.columns))) + "|"
        body = [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([self.heading, "", header, rule, *body, *self._remarks("")])

    def _remarks(self, indent: str) -> list[str]:
        return ["", *(f"{indent}{note}" for note in self.notes)] if self.notes else []


@dataclass(frozen=True, slots=True)
class Goal:
    """What a sender is to reach, as a ratio of its rate to the baseline's."""

    sender: str
    at_least: float
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs of several senders that took turns; the n-th run of each belongs to the n-th round."""

    title: str
    runs: dict[str, list[Run]]
    baseline: str
    notes: tuple[str, ...] = ()

    def ratios(self, sender: str) -> list[float]:
        """Rate over the baseline's rate, round by round."""
        pairs = zip(self.runs[sender], self.runs[self.baseline], strict=True)
        return [run.rate / base.rate for run, base in pairs]

    def ratio(self, sender: str) -> float:
        """The median of `ratios`."""
        return median_of(self.ratios(sender))

    def as_table(self, goals: Sequence[Goal] = ()) -> Table:
        rows = []
        for sender, runs in self.runs.items():
            rates = [run.rate for run in runs]
            rows.append(
                [
                    sender,
                    f"{figure(self.ratio(sender))}x",
                    spread(self.ratios(sender)),
                    figure(median_of(rates)),
                    spread(rates),
                    str(runs[0].instances),
                ]
            )
        columns = ["sender", f"rate / {self.baseline}", "min-max", "instances/s", "min-max", "instances"]
        return Table(self.title, columns, rows, (*self.notes, *(self._verdict(goal) for goal in goals)))

    def _verdict(self, goal: Goal) -> str:
        reached = self.ratio(goal.sender)
        verdict = "met" if reached >= goal.at_least else "MISSED"
        aim = ""
        if goal.aim is not None:
            aim = f", aim {goal.aim:g}x {'reached' if reached >= goal.aim else 'not reached'}"
        return f"Goal: {goal.sender} at least {goal.at_least:g}x {self.baseline}: {verdict}{aim}."


def take_turns(
    title: str,
    senders: dict[str, Callable[[], Run]],
    *,
    repeat: int,
    baseline: str = "dcmsend",
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Run each sender `repeat` times, A B C A B C."""
    runs: dict[str, list[Run]] = {name: [] for name in senders}
    for _ in range(repeat):
        for name, send in senders.items():
            runs[name].append(send())
    return Comparison(title, runs, baseline, notes)


def median_of(values: Sequence[float]) -> float:
    """The median, as a float."""
    return float(statistics.median(values))


def figure(value: float) -> str:
    """As many digits as mean something."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4
    return f"{value:.{digits}f}"


def spread(values: Sequence[float]) -> str:
    """The least and the greatest."""
    return f"{figure(min(values))}-{figure(max(values))}"


# The machine, and where results are kept


def machine() -> str:
    """The machine, how busy it is before the first run, and the versions, in one sentence."""
    names = [
        f"{os.cpu_count()} cores ({_processor()})",
        *([f"load average {os.getloadavg()[0]:.1f} before"] if hasattr(os, "getloadavg") else []),
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{name} {importlib.metadata.version(name)}" for name in ("dicomkit", "pydicom", "pynetdicom")),
        *_installed("DCMTK", "dcmsend", r"v(\d\S*)"),
        *_installed("Orthanc", "Orthanc", r"Orthanc (\d\S*)"),
    ]
    return f"Measured on {date.today().isoformat()}: {', '.join(names)}."


def _processor() -> str:
    with_names = Path("/proc/cpuinfo")
    if with_names.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", with_names.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _installed(name: str, executable: str, pattern: str) -> list[str]:
    try:
        answer = subprocess.run([program(executable), "--version"], capture_output=True, text=True)
    except MissingProgram:
        return []
    found = re.search(pattern, answer.stdout)
    return [f"{name} {found[1]}"] if found else []


def write_into(
    results: Path, measured_on: str, tables: Sequence[Table], *, keeps_others: bool = False
) -> None:
    """Replace what stands between the markers of a file of results; ValueError where there are none.

    With `keeps_others` these tables take the place of those with the same title, and each says when it was measured.
    """
    text = results.read_text(encoding="utf-8")
    if START not in text or END not in text:
        raise ValueError(f"{results.name} has no place for the result: add {START} and {END}")
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    parts = [measured_on, *(table.as_markdown() for table in tables)]
    if keeps_others:
        is_there = rest.split(END, 1)[0].strip()
        blocks = {block.partition("\n")[0]: block for block in is_there.replace("\n\n**", "\0**").split("\0")}
        for table in tables:
            blocks[table.heading] = f"{table.as_markdown()}\n\n{measured_on}"
        parts = [*blocks.values()]
    results.write_text(before + START + "\n" + "\n\n".join(parts) + "\n" + END + after, encoding="utf-8")
