"""Settings on the command line: loaded with overrides, complained about by place, explained, and made anew."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dicomkit._support.quantities import counted
from dicomkit.cli._main import EXIT_OK, EXIT_USAGE, WrongUsage
from dicomkit.cli._terminal import Console, Palette, columns, printable, wrapped
from dicomkit.errors import Problem, SettingError
from dicomkit.settings import DicomSenderSetting, JsonFault, decode_json, encode_value, locator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_setting", "usable_setting", "run_explain", "run_new_setting"]

_FIELD_OF_OPTION = {
    "host": "RemoteHost",
    "port": "RemotePort",
    "calling": "OurAET",
    "called": "RemoteAET",
    "timeout": "TimeoutSeconds",
    "name": "Name",
}
_OPTION_OF_FIELD = {field: f"--{option}" for option, field in _FIELD_OF_OPTION.items()}
_COLOUR_OF = {"error": "bad", "warning": "warning", "info": "strong"}


def load_setting(path: str) -> tuple[DicomSenderSetting, str]:
    """The setting in a file, and the text of it.

    Raises
    ------
    WrongUsage
        It cannot be read or is not valid: a line for each problem, with file, line and column where known.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise WrongUsage(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return DicomSenderSetting.from_json(data), decode_json(data)
    except SettingError as error:
        fault = error.__cause__
        if isinstance(fault, JsonFault):
            raise WrongUsage(f"{path}:{fault.line}:{fault.column}: {fault.fault}; {fault.remedy}") from error
        text = decode_json(data)
        raise WrongUsage(*map(_placer(path, text), error.problems)) from error


def usable_setting(options: argparse.Namespace, console: Console) -> DicomSenderSetting:
    """The setting that a command was given, with the options that replace its fields; its warnings are said.

    Raises
    ------
    WrongUsage
        It cannot be used, or an option is no value for its field.
    """
    setting, text = load_setting(options.setting)
    overrides = _overrides(options)
    try:
        setting = setting.replace(**overrides)
    except SettingError as error:
        raise WrongUsage(*map(_of_option, error.problems)) from error
    problems = setting.problems()
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        placed = _placer(options.setting, text)
        raise WrongUsage(
            *(_of_option(problem) if problem.field in overrides else placed(problem) for problem in errors)
        )
    for problem in problems:
        if problem.severity == "warning" and problem.field not in overrides:
            console.say(f"dicomkit: warning: {problem}")
    return setting


def run_explain(options: argparse.Namespace) -> int:
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


def run_new_setting(options: argparse.Namespace) -> int:
    """Print a new setting, or write it to a file that is not there yet."""
    try:
        setting = DicomSenderSetting(**_overrides(options))
    except SettingError as error:
        raise WrongUsage(*map(_of_option, error.problems)) from error
    if options.output is None:
        print(setting.to_json())
        return EXIT_OK
    if os.path.lexists(options.output):
        raise WrongUsage(f"{options.output}: it is there already; give another name, or remove it first")
    try:
        setting.save(options.output)
    except OSError as error:
        raise WrongUsage(f"{options.output}: cannot be written: {error.strerror or error}") from error
    print(f"Written to {printable(options.output)}. Try it: dicomkit echo {printable(options.output)}")
    return EXIT_OK


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    given = {field: getattr(options, option, None) for option, field in _FIELD_OF_OPTION.items()}
    return {field: value for field, value in given.items() if value is not None}


def _of_option(problem: Problem) -> str:
    return f"{_OPTION_OF_FIELD.get(problem.field, problem.field)}: {problem.message}; {problem.remedy}"


def _placer(path: str, text: str) -> Callable[[Problem], str]:
    """What says of a problem where in the file its value stands."""
    locate = locator(text)

    def placed(problem: Problem) -> str:
        place = locate(problem.field)
        return f"{path}{f':{place[0]}:{place[1]}' if place else ''}: {problem}"

    return placed


def _print_fields(fields: pd.DataFrame, palette: Palette, width: int) -> None:
    for field, value, default, meaning, effect in fields.itertuples(index=False, name=None):
        same = " (the default)" if value == default else ""
        head, *rest = wrapped(f"{printable(field)} = {encode_value(value)}{same}", width, "")
        print(palette.paint(head, "strong"), *rest, sep="\n")
        print(*wrapped(f"{meaning} {effect}", width, "    "), sep="\n")
        print()
