"""``dicomkit probe``: what a peer would take, without anything being stored."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dicomkit._support.quantities import counted
from dicomkit.cli._exit import EXIT_NOT_OK, EXIT_OK
from dicomkit.cli._security import security_of
from dicomkit.cli._setting import usable_setting
from dicomkit.cli._terminal import Console, Page
from dicomkit.sending import probe

if TYPE_CHECKING:
    import pandas as pd

_CLASSES_SHOWN = 12


def run(options: argparse.Namespace) -> int:
    """Print what the peer takes: SOP classes that are taken alike share a paragraph."""
    console = Console()
    setting = usable_setting(options, console)
    tls, identity = security_of(options, setting.remote_host, console)
    frame = probe(setting, options.paths or None, tls=tls, identity=identity)
    if frame.empty:
        print("Nothing to ask for: the paths hold no DICOM.")
        return EXIT_NOT_OK
    page = Page()
    unanswered = frame[frame["accepted"].isna()]
    if not unanswered.empty:
        print(page.paint(f"no answer to {len(unanswered)} of {counted(len(frame), 'question')}", "bad"))
        print(*page.wrapped(str(unanswered["reason"].iloc[0])), sep="\n")
    for sop_classes, taken, refused in _alike(frame[frame["accepted"].notna()]):
        print()
        head = page.paint("accepted" if taken else "not accepted", "good" if taken else "bad")
        print(f"{head}: {len(sop_classes)} SOP class{'es' if len(sop_classes) > 1 else ''}")
        shown = sop_classes if options.all else sop_classes[:_CLASSES_SHOWN]
        more = len(sop_classes) - len(shown)
        names = ", ".join(shown) + (f", and {more} more (--all names them)" if more else "")
        print(*page.wrapped(names), sep="\n")
        if taken:
            print(*page.wrapped(f"in: {'; '.join(taken)}", "        "), sep="\n")
        for reason, syntaxes in refused.items():
            which = "; ".join(syntaxes) if taken else "any of the transfer syntaxes"
            print(*page.wrapped(f"not in: {which} ({reason})", "        "), sep="\n")
    return EXIT_OK if _could_be_sent(frame) else EXIT_NOT_OK


def _alike(frame: pd.DataFrame) -> list[tuple[list[str], list[str], dict[str, list[str]]]]:
    """SOP classes of the same answers, the most first: what is taken and, by reason, what is not."""
    groups: dict[str, tuple[list[str], list[str], dict[str, list[str]]]] = {}
    for name, rows in frame.groupby("sop_class_name", sort=False):
        taken = list(rows.loc[rows["accepted"], "transfer_syntax_name"])
        refused = {
            str(reason): list(some["transfer_syntax_name"])
            for reason, some in rows[~rows["accepted"]].groupby("reason", sort=False)
        }
        names, _, _ = groups.setdefault(repr((taken, refused)), ([], taken, refused))
        names.append(str(name))
    return sorted(groups.values(), key=lambda group: -len(group[0]))


def _could_be_sent(frame: pd.DataFrame) -> bool:
    """With paths: whether each pair that is met there is taken. Without: whether anything is."""
    if frame["instances"].isna().all():
        return bool(frame["accepted"].any())
    met = frame[frame["instances"] > 0]
    return bool(met["accepted"].fillna(False).all())
