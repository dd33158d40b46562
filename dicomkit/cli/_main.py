"""The command line from its arguments to its exit status.

The parser knows the options and nothing else, so that ``--help`` and a wrong option are answered before anything of
weight is loaded.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from dicomkit import __version__
from dicomkit.cli._exit import EXIT_INTERRUPTED, EXIT_NOT_OK, EXIT_USAGE, WrongUsage
from dicomkit.cli._options import COMMANDS, EXIT_STATUS, Formatter
from dicomkit.cli._terminal import Console, forget, open_nowhere

_ANSWERED_AT_ONCE = ("-h", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (that of the process unless another is given) and return its exit status."""
    _prepare_streams()
    code = EXIT_NOT_OK
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = new_parser(arguments[0] if arguments else None).parse_args(arguments)
        code = options.run(options)
        sys.stdout.flush()
    except WrongUsage as wrong:
        for line in wrong.args:
            Console().say(f"dicomkit: {line}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        Console().say("dicomkit: interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        forget(sys.stdout)
    except OSError as error:  # the disk is full behind standard output, or the samples find no place
        Console().say(f"dicomkit: {error}")
        forget(sys.stdout)
        code = EXIT_NOT_OK
    return code


def process() -> NoReturn:
    """The command as a process of its own, which does not look for garbage among what lives as long as it does."""
    gc.disable()
    # numpy's linear algebra, which nothing here uses, would keep each core busy for a while when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = main()
    gc.freeze()  # nor when the process ends
    sys.exit(code)


def new_parser(first: str | None = None) -> argparse.ArgumentParser:
    """The parser of all subcommands; of the others than `first`, if that is one, only what it takes to name
    them.
    """
    parser = argparse.ArgumentParser(
        prog="dicomkit",
        description="Send DICOM by C-STORE, and find out exactly what happened to every instance.",
        epilog=EXIT_STATUS,
        formatter_class=Formatter,
        allow_abbrev=False,  # or --password would be taken for --password-file, and its secret for a path
    )
    parser.add_argument("--version", action="version", version=f"dicomkit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, prog="dicomkit")
    for name in COMMANDS if first not in COMMANDS else [first]:
        add_options, summary, more = COMMANDS[name]
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.{more}",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=partial(_run, name))
        if first not in _ANSWERED_AT_ONCE:
            add_options(command)
    return parser


def _run(name: str, options: argparse.Namespace) -> int:
    # Not by `importlib`, which takes an import of its own.
    code: int = __import__(f"dicomkit.cli.{name.replace('-', '_')}", fromlist=["run"]).run(options)
    return code


def _prepare_streams() -> None:
    """A closed stream, or a terminal that lacks a letter, is no reason to fail."""
    sys.stdout = sys.stdout or open_nowhere()
    sys.stderr = sys.stderr or open_nowhere()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
