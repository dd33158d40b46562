"""``dicomkit echo``: whether a peer answers."""

from __future__ import annotations

import argparse

from dicomkit.cli._exit import EXIT_NOT_OK, EXIT_OK
from dicomkit.cli._security import security_of
from dicomkit.cli._setting import usable_setting
from dicomkit.cli._summary import colour_of
from dicomkit.cli._terminal import Console, Page
from dicomkit.sending import echo


def run(options: argparse.Namespace) -> int:
    """Print whether the peer answers, and if not, why."""
    console = Console()
    setting = usable_setting(options, console)
    tls, identity = security_of(options, setting.remote_host, console)
    result = echo(setting, tls=tls, identity=identity)
    head = "answered" if result.outcome.is_stored else str(result.outcome)
    if result.status is not None:
        head += f", status 0x{result.status:04X}"
    page = Page()
    print(page.paint(head, colour_of(result.outcome)), *page.wrapped(result.detail), sep="\n")
    return EXIT_OK if result.outcome.is_stored else EXIT_NOT_OK
