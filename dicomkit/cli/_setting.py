"""Settings on the command line: loaded, replaced in part by options, and complained about by line and column."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from dicomkit.cli._exit import WrongUsage
from dicomkit.cli._terminal import Console
from dicomkit.errors import Problem, SettingError
from dicomkit.settings import DicomSenderSetting, JsonFault, decode_json, locator

_FIELD_OF_OPTION = {
    "host": "RemoteHost",
    "port": "RemotePort",
    "calling": "OurAET",
    "called": "RemoteAET",
    "timeout": "TimeoutSeconds",
    "name": "Name",
}
_OPTION_OF_FIELD = {field: f"--{option}" for option, field in _FIELD_OF_OPTION.items()}


def load_setting(path: str) -> tuple[DicomSenderSetting, str]:
    """The setting in a file, and the text of it. May raise WrongUsage, with a line for each problem."""
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
    """The setting of a command with what its options replace; says its warnings, may raise WrongUsage."""
    setting, text = load_setting(options.setting)
    overrides = overrides_of(options)
    try:
        setting = setting.replace(**overrides)
    except SettingError as error:
        raise WrongUsage(*map(of_option, error.problems)) from error
    problems = setting.problems()
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        placed = _placer(options.setting, text)
        raise WrongUsage(*(of_option(one) if one.field in overrides else placed(one) for one in errors))
    for problem in problems:
        if problem.severity == "warning" and problem.field not in overrides:
            console.say(f"dicomkit: warning: {problem}")
    return setting


def overrides_of(options: argparse.Namespace) -> dict[str, Any]:
    """The fields that the options replace, by their JSON names."""
    given = {field: getattr(options, option, None) for option, field in _FIELD_OF_OPTION.items()}
    return {field: value for field, value in given.items() if value is not None}


def of_option(problem: Problem) -> str:
    """A problem in the words of the option that its field has."""
    return f"{_OPTION_OF_FIELD.get(problem.field, problem.field)}: {problem.message}; {problem.remedy}"


def _placer(path: str, text: str) -> Callable[[Problem], str]:
    """What says of a problem where in the file its value stands."""
    locate = locator(text)

    def placed(problem: Problem) -> str:
        place = locate(problem.field)
        return f"{path}{f':{place[0]}:{place[1]}' if place else ''}: {problem}"

    return placed
