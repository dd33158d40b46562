"""``dicomkit new-setting``: the JSON of a new setting."""

from __future__ import annotations

import argparse
import os

from dicomkit.cli._exit import EXIT_OK, WrongUsage
from dicomkit.cli._setting import of_option, overrides_of
from dicomkit.cli._terminal import printable
from dicomkit.errors import SettingError
from dicomkit.settings import DicomSenderSetting


def run(options: argparse.Namespace) -> int:
    """Print a new setting, or write it to a file that is not there yet."""
    try:
        setting = DicomSenderSetting(**overrides_of(options))
    except SettingError as error:
        raise WrongUsage(*map(of_option, error.problems)) from error
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
