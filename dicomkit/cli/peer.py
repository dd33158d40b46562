"""``dicomkit echo`` and ``dicomkit probe``: what a peer says of itself, without anything being stored."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from dicomkit.cli.command import EXIT_NOT_OK, EXIT_OK
from dicomkit.cli.setting import usable_setting
from dicomkit.cli.summary import colour_of
from dicomkit.cli.terminal import Palette, columns, counted, printable, wrapped
from dicomkit.services import echo, probe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run_echo", "run_probe"]


def run_echo(options: argparse.Namespace) -> int:
    """Print whether the peer answers, and if not, why."""
    result = echo(usable_setting(options))
    head = "answered" if result.outcome.is_stored else str(result.outcome)
    if result.status is not None:
        head += f", status 0x{result.status:04X}"
    print(Palette(sys.stdout).paint(head, colour_of(result.outcome)))
    print(*wrapped(result.detail, columns(sys.stdout), "    "), sep="\n")
    return EXIT_OK if result.outcome.is_stored else EXIT_NOT_OK


def run_probe(options: argparse.Namespace) -> int:
    """Print what the peer takes: SOP classes that are taken alike share a paragraph."""
    frame = probe(usable_setting(options), options.paths or None)
    if frame.empty:
        print("Nothing to ask for: the paths hold no DICOM.")
        return EXIT_NOT_OK
    palette, width = Palette(sys.stdout), columns(sys.stdout)
    unanswered = frame[frame["accepted"].isna()]
    if not unanswered.empty:
        print(palette.paint(f"no answer to {len(unanswered)} of {counted(len(frame), 'question')}", "bad"))
        print(*wrapped(str(unanswered["reason"].iloc[0]), width, "    "), sep="\n")
    for sop_classes, taken, not_taken in _alike(frame[frame["accepted"].notna()]):
        print()
        print(palette.paint("accepted" if taken else "not accepted", "good" if taken else "bad"), end="")
        print(f": {len(sop_classes)} SOP class{'es' if len(sop_classes) > 1 else ''}")
        print(*wrapped(", ".join(sop_classes), width, "    "), sep="\n")
        for label, syntaxes in (("in", taken), ("not in", not_taken)):
            if syntaxes:
                print(*wrapped(f"{label}: {', '.join(syntaxes)}", width, "        "), sep="\n")
    return EXIT_OK if _could_be_sent(frame) else EXIT_NOT_OK


def _alike(frame: pd.DataFrame) -> list[tuple[list[str], list[str], list[str]]]:
    """SOP classes of the same answers, with what is taken and what is not (and why); the largest group first."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name, rows in frame.groupby("sop_class_name", sort=False):
        taken = tuple(printable(syntax) for syntax in rows.loc[rows["accepted"], "transfer_syntax_name"])
        refused = rows[~rows["accepted"]]
        syntaxes = list(refused["transfer_syntax_name"])
        reasons = list(dict.fromkeys(refused["reason"]))
        not_taken = (f"{', '.join(syntaxes)} ({'; '.join(reasons)})",) if syntaxes else ()
        groups.setdefault((taken, not_taken), []).append(printable(str(name)))
    return [
        (names, list(taken), list(not_taken))
        for (taken, not_taken), names in sorted(groups.items(), key=lambda group: -len(group[1]))
    ]


def _could_be_sent(frame: pd.DataFrame) -> bool:
    """With paths: whether each pair that is met there is taken. Without: whether anything is."""
    if frame["instances"].isna().all():
        return bool(frame["accepted"].any())
    met = frame[frame["instances"] > 0]
    return bool(met["accepted"].fillna(False).all())
