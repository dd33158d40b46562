"""``dicomkit explain``: what each field of a setting means, and what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from dicomkit._support.quantities import counted
from dicomkit.cli._exit import EXIT_OK, EXIT_USAGE
from dicomkit.cli._setting import load_setting
from dicomkit.cli._terminal import Palette, columns, printable, wrapped
from dicomkit.settings import encode_value, locator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

_COLOUR_OF = {"error": "bad", "warning": "warning", "info": "strong"}


def run(options: argparse.Namespace) -> int:
    """Print what each field means and does, and then what is wrong or surprising."""
    setting, text = load_setting(options.setting)
    palette, width = Palette(sys.stdout), columns(sys.stdout)
    _print_fields(setting.explain(), palette, width)
    problems = setting.problems()
    print(palette.paint(counted(len(problems), "problem") if problems else "No problems.", "strong"))
    locate = locator(text)
    for problem in problems:
        place = locate(problem.field)
        where = f" (line {place[0]})" if place else ""
        print(
            f"  {palette.paint(problem.severity, _COLOUR_OF[problem.severity])}  {printable(problem.field)}{where}"
        )
        print(*wrapped(f"{problem.message}; {problem.remedy}", width, "      "), sep="\n")
    return EXIT_USAGE if any(problem.severity == "error" for problem in problems) else EXIT_OK


def _print_fields(fields: pd.DataFrame, palette: Palette, width: int) -> None:
    for field, value, default, meaning, effect in fields.itertuples(index=False, name=None):
        same = " (the default)" if value == default else ""
        head, *rest = wrapped(f"{printable(field)} = {encode_value(value)}{same}", width, "")
        print(palette.paint(head, "strong"), *rest, sep="\n")
        print(*wrapped(f"{meaning} {effect}", width, "    "), sep="\n")
        print()
