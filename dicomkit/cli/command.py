"""What may be typed after `dicomkit`, and the exit status that it ends with.

The one idea: parsing knows the options and nothing else, so that ``--help`` and a wrong option are answered before
anything of weight is loaded; each subcommand is a module with a `run`.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Literal, NoReturn

from dicomkit import __version__
from dicomkit.cli.terminal import Console, columns, forget, open_nowhere

__all__ = [
    "main",
    "process",
    "new_parser",
    "WrongUsage",
    "EXIT_OK",
    "EXIT_NOT_OK",
    "EXIT_USAGE",
    "EXIT_INTERRUPTED",
]

EXIT_OK = 0
EXIT_NOT_OK = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it

LAB_FOLDER = "dicomkit-notebooks"
DICOM_PORT = 11112  # the registered port that needs no privilege (PS3.8 section 9.1.1)

EXIT_STATUS = """\
exit status:
  0    all went well; of send: every instance was stored
  1    not all did
  2    wrong usage, or a setting that cannot be used
  130  interrupted
"""


class WrongUsage(Exception):
    """The command cannot be carried out as it was given; each of its `args`, a line, is a complaint."""

    def __str__(self) -> str:
        return "\n".join(self.args)


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
    # numpy's linear algebra, of which nobody here makes use, would keep each core busy for a while when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = main()
    gc.freeze()  # nor on the way out
    sys.exit(code)


def _prepare_streams() -> None:
    """A closed stream, or a terminal that lacks a letter, is no reason to fail."""
    sys.stdout = sys.stdout or open_nowhere()
    sys.stderr = sys.stderr or open_nowhere()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def new_parser(first: str | None = None) -> argparse.ArgumentParser:
    """The parser of all subcommands; `run` of what it returns carries the command out.

    Parameters
    ----------
    first
        The first argument of the command line, where it is known: what that one makes superfluous is left out, to save
        its time.
    """
    parser = argparse.ArgumentParser(
        prog="dicomkit",
        description="Send DICOM by C-STORE, and find out exactly what happened to every instance.",
        epilog=EXIT_STATUS,
        formatter_class=_Formatter,
        allow_abbrev=False,  # or --password would be taken for --password-file, and its secret for a path
    )
    parser.add_argument("--version", action="version", version=f"dicomkit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, prog="dicomkit")
    for name in _COMMANDS if first not in _COMMANDS else [first]:
        run, add_options, summary, more = _COMMANDS[name]
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.{more}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        command.set_defaults(run=run)
        if first not in _ANSWERED_AT_ONCE:
            add_options(command)
    return parser


_Parser = argparse.ArgumentParser


def _add_nothing(parser: _Parser) -> None:
    """It has no options."""


def _add_send(parser: _Parser) -> None:
    _add_peer(parser)
    parser.add_argument("paths", metavar="PATH", nargs="+")
    parser.add_argument(
        "--associations",
        metavar="N",
        type=_associations,
        default=1,
        help="keep so many busy at once (1); auto finds out how many pay",
    )
    parser.add_argument(
        "--retries",
        metavar="N",
        type=_whole_number(0),
        default=2,
        help="try again so often what may pass next time (2)",
    )
    parser.add_argument(
        "--give-up-after",
        metavar="SECONDS",
        type=_seconds,
        default=300.0,
        help="stop trying when nothing got through for so long (300)",
    )
    parser.add_argument(
        "--results", metavar="FILE", help="write a row for each attempt to this .csv, .json or .parquet file"
    )
    parser.add_argument(
        "--ledger",
        metavar="FILE",
        help="keep every row in this SQLite file, and skip what it says that the peer has",
    )
    parser.add_argument(
        "--no-resume",
        dest="resume",
        action="store_false",
        help="send all, whatever the ledger says",
    )
    parser.add_argument(
        "--max-rate", metavar="N", type=_rate, help="no more instances a second than this, evenly spread"
    )
    parser.add_argument(
        "--instances-per-association",
        metavar="N",
        type=_whole_number(1),
        help="release an association after so many, and open another",
    )
    parser.add_argument(
        "--no-transcode",
        dest="transcode",
        action="store_false",
        help="send as stored or not at all, rather than converting without loss",
    )
    parser.add_argument(
        "--no-pack-pdv",
        dest="pack_pdv",
        action="store_false",
        help="keep command and data in separate PDUs, for a peer that takes them in no other way",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show the negotiation and every instance, by numbers and UIDs only: no patient data, no file names",
    )


def _add_probe(parser: _Parser) -> None:
    _add_peer(parser)
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="ask for what these hold, rather than for everything"
    )
    parser.add_argument(
        "--all", action="store_true", help="name every SOP class, however many are taken alike"
    )


def _add_setting(parser: _Parser) -> None:
    parser.add_argument("setting", metavar="SETTING.json", help="a DicomSenderSetting")


def _add_peer(parser: _Parser) -> None:
    _add_setting(parser)
    _add_connection(parser.add_argument_group("instead of what the setting says"))
    _add_security(parser.add_argument_group("TLS and user identity, which are no part of a setting"))


def _add_security(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tls", action="store_true", help="connect under TLS; each of the options for files implies it"
    )
    group.add_argument(
        "--ca", metavar="FILE", help="trust the CAs of this PEM file, rather than those of the system"
    )
    _add_certificate(group)
    group.add_argument("--server-name", metavar="NAME", help="what the peer's certificate is made out to")
    _add_user(group)
    group.add_argument("--jwt-file", metavar="FILE", help="a file with a JSON Web Token, instead of a user")
    group.add_argument(
        "--confirm-user", action="store_true", help="send only if the peer confirms that it took the user"
    )


def _add_certificate(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--cert", metavar="FILE", help="our certificate, PEM")
    group.add_argument("--key", metavar="FILE", help="its private key, PEM; else it is in the file of --cert")
    group.add_argument(
        "--key-password-file",
        metavar="FILE",
        help="a file with the password of the key; else it is taken from DICOMKIT_KEY_PASSWORD",
    )


def _add_user(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--user", metavar="NAME", help="the user of the association")
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help="a file with the user's password; else it is taken from DICOMKIT_PASSWORD, if that is set",
    )


def _add_connection(group: argparse._ArgumentGroup | _Parser) -> None:
    group.add_argument("--host", metavar="NAME", help="RemoteHost, where the peer is")
    group.add_argument("--port", metavar="N", type=int, help="RemotePort, its TCP port")
    group.add_argument("--calling", metavar="AET", help="OurAET, our AE title")
    group.add_argument("--called", metavar="AET", help="RemoteAET, the peer's AE title")
    group.add_argument("--timeout", metavar="SECONDS", type=int, help="TimeoutSeconds, for each phase")


def _add_new_setting(parser: _Parser) -> None:
    _add_connection(parser)
    parser.add_argument("--name", metavar="TEXT", help="Name, of the activity")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write it there, rather than to standard output"
    )


def _add_scp(parser: _Parser) -> None:
    parser.add_argument(
        "--port",
        metavar="N",
        type=_whole_number(0),
        default=DICOM_PORT,
        help=f"({DICOM_PORT}); 0 for a free one",
    )
    parser.add_argument("--aet", metavar="AET", default="ANY_SCP", help="its AE title (ANY_SCP)")
    parser.add_argument("--output", metavar="FOLDER", help="keep what is received as files there")
    parser.add_argument(
        "--fault",
        metavar="FAULT",
        dest="faults",
        action="append",
        default=[],
        help="do this wrong, as Status:0xA700,every=3 or Abort:data,times=1; may be given several times; "
        "`--fault list` names them all",
    )
    group = parser.add_argument_group("TLS and user identity")
    group.add_argument(
        "--ca", metavar="FILE", help="require a client certificate from one of the CAs of this PEM file"
    )
    _add_certificate(group)
    _add_user(group)
    parser.set_defaults(jwt_file=None, confirm_user=False)


def _add_lab(parser: _Parser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=LAB_FOLDER, help=f"where to ({LAB_FOLDER})"
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=_whole_number(0),
        help="of JupyterLab; 0 for a free one (8888, or the next)",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="say the address, and open no browser"
    )


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Told its width, argparse leaves `shutil` and the compressors behind it alone: 5 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=min(columns(sys.stdout), 110) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text == EXIT_STATUS:
            return text
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _whole_number(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return number

    return parse


def _associations(text: str) -> int | Literal["auto"]:
    return "auto" if text == "auto" else _whole_number(1)(text)


def _seconds(text: str) -> float:
    return _above_zero(text, "seconds")


def _rate(text: str) -> float:
    return _above_zero(text, "instances a second")


def _above_zero(text: str, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1e-6 <= number <= 1e6:  # within what `send_batch` takes
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} from 0.000001 to 1,000,000")
    return number


def _demo(options: argparse.Namespace) -> int:
    from dicomkit.cli.demo import run

    return run()


def _send(options: argparse.Namespace) -> int:
    from dicomkit.cli.send import run

    return run(options)


def _echo(options: argparse.Namespace) -> int:
    from dicomkit.cli.peer import run_echo

    return run_echo(options)


def _probe(options: argparse.Namespace) -> int:
    from dicomkit.cli.peer import run_probe

    return run_probe(options)


def _explain(options: argparse.Namespace) -> int:
    from dicomkit.cli.setting import run_explain

    return run_explain(options)


def _new_setting(options: argparse.Namespace) -> int:
    from dicomkit.cli.setting import run_new_setting

    return run_new_setting(options)


def _scp(options: argparse.Namespace) -> int:
    from dicomkit.cli.receiver import run

    return run(options)


def _lab(options: argparse.Namespace) -> int:
    from dicomkit.cli.lab import run

    return run(options)


_ANSWERED_AT_ONCE = ("-h", "--help", "--version")

# What each subcommand does: its function, what adds its options, and its help in one line and beyond.
_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[[_Parser], None], str, str]] = {
    "demo": (
        _demo,
        _add_nothing,
        "send the sample study to a receiver on this machine, and look at what came of it",
        "",
    ),
    "send": (
        _send,
        _add_send,
        "send files, and say what became of each",
        " Takes files, folders, zip archives, DICOMDIRs and globs; what is no DICOM in a folder is passed over.",
    ),
    "echo": (_echo, _add_peer, "ask the peer of a setting for a sign of life (C-ECHO)", ""),
    "probe": (_probe, _add_probe, "ask the peer of a setting what it would take, and send nothing", ""),
    "explain": (
        _explain,
        _add_setting,
        "say what each field of a setting means, and what is wrong with it",
        "",
    ),
    "new-setting": (_new_setting, _add_new_setting, "write the JSON of a new setting", ""),
    "scp": (_scp, _add_scp, "receive on this machine what is sent, until Ctrl-C", ""),
    "lab": (
        _lab,
        _add_lab,
        "open the notebooks in JupyterLab, until Ctrl-C",
        " They are copied to a folder of yours, where what is there already stays as it is.",
    ),
}
