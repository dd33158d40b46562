"""``dicomkit explain``: what each field of a setting means, and what is wrong with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dicomkit._support.quantities import counted
from dicomkit.cli._exit import EXIT_OK, EXIT_USAGE
from dicomkit.cli._setting import load_setting
from dicomkit.cli._terminal import Page, printable
from dicomkit.settings import encode_value, locator

if TYPE_CHECKING:
    import pandas as pd

_COLOUR_OF = {"error": "bad", "warning": "warning", "info": "strong"}


def run(options: argparse.Namespace) -> int:
    """Print what each field means and does, and then what is wrong or surprising."""
    setting, text = load_setting(options.setting)
    page = Page()
    _print_fields(setting.explain(), page)
    problems = setting.problems()
    print(page.paint(counted(len(problems), "problem") if problems else "No problems.", "strong"))
    locate = locator(text)
    for problem in problems:
        place = locate(problem.field)
        where = f" (line {place[0]})" if place else ""
        print(
            f"  {page.paint(problem.severity, _COLOUR_OF[problem.severity])}  {printable(problem.field)}{where}"
        )
        print(*page.wrapped(f"{problem.message}; {problem.remedy}", "      "), sep="\n")
    return EXIT_USAGE if any(problem.severity == "error" for problem in problems) else EXIT_OK


def _print_fields(fields: pd.DataFrame, page: Page) -> None:
    for field, value, default, meaning, effect in fields.itertuples(index=False, name=None):
        same = " (the default)" if value == default else ""
        head, *rest = page.wrapped(f"{printable(field)} = {encode_value(value)}{same}", "")
        print(page.paint(head, "strong"), *rest, *page.wrapped(f"{meaning} {effect}"), "", sep="\n")
