"""What may be typed after `dicomkit`: each subcommand in a line of `COMMANDS`, and its options.

A subcommand is carried out by `run` of the module of its name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Literal

from dicomkit.cli._terminal import columns

_LAB_FOLDER = "dicomkit-notebooks"
_DICOM_PORT = 11112  # the registered port that needs no privilege (PS3.8 section 9.1.1)

EXIT_STATUS = """\
exit status:
  0    all went well; of send: every instance was stored
  1    not all did
  2    wrong usage, or a setting that cannot be used
  130  interrupted
"""

_Parser = argparse.ArgumentParser
_Group = argparse._ActionsContainer


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Given its width, argparse does not import `shutil` and the compressors behind it: 5 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=min(columns(sys.stdout), 110) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text == EXIT_STATUS:
            return text
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _value(group: _Group, flag: str, metavar: str, text: str, kind: Any = None, default: Any = None) -> None:
    """Add an option that takes a value."""
    group.add_argument(flag, metavar=metavar, help=text, type=kind, default=default)


def _flag(group: _Group, flag: str, text: str) -> None:
    """Add an option that takes none; one that begins with ``--no-`` sets what it names to false."""
    action, name = "store_true", flag.removeprefix("--")
    if name.startswith("no-"):
        action, name = "store_false", name.removeprefix("no-")
    group.add_argument(flag, dest=name.replace("-", "_"), action=action, help=text)


def _add_nothing(parser: _Parser) -> None:
    """It has no options."""


def _add_send(parser: _Parser) -> None:
    _add_peer(parser)
    parser.add_argument("paths", metavar="PATH", nargs="+")
    associations = "associations to use at once (1); auto finds out how many make it faster"
    _value(parser, "--associations", "N", associations, _associations, 1)
    _value(
        parser, "--retries", "N", "how often to try again what may pass next time (2)", _whole_number(0), 2
    )
    give_up = (
        "stop trying when nothing got through for that long (300; but a peer that was never there, at a "
        "closed port or an unknown name, is waited for only when this is given)"
    )
    _value(parser, "--give-up-after", "SECONDS", give_up, _above_zero("seconds"))
    _value(parser, "--results", "FILE", "write a row for each attempt to this .csv, .json or .parquet file")
    ledger = "keep every row in this SQLite file, and skip what it says that the peer has"
    _value(parser, "--ledger", "FILE", ledger)
    _flag(parser, "--no-resume", "send all, whatever the ledger says")
    max_rate = "no more instances a second than this, evenly spread"
    _value(parser, "--max-rate", "N", max_rate, _above_zero("instances a second"))
    per_association = "release an association after that many, and open another"
    _value(parser, "--instances-per-association", "N", per_association, _whole_number(1))
    _flag(parser, "--no-transcode", "send as stored or not at all, rather than converting without loss")
    pack_pdv = "keep command and data in separate PDUs, for a peer that takes them in no other way"
    _flag(parser, "--no-pack-pdv", pack_pdv)
    verbose = (
        "show the negotiation and every instance, by numbers and UIDs only: no patient data, no file names"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help=verbose)


def _add_probe(parser: _Parser) -> None:
    _add_peer(parser)
    paths = "ask for what these hold, rather than for everything"
    parser.add_argument("paths", metavar="PATH", nargs="*", help=paths)
    _flag(parser, "--all", "name every SOP class, however many are taken alike")


def _add_setting(parser: _Parser) -> None:
    parser.add_argument("setting", metavar="SETTING.json", help="a DicomSenderSetting")


def _add_peer(parser: _Parser) -> None:
    _add_setting(parser)
    _add_connection(parser.add_argument_group("instead of what the setting says"))
    group = parser.add_argument_group("TLS and user identity, which are no part of a setting")
    _flag(group, "--tls", "connect under TLS; each of the options for files implies it")
    _value(group, "--ca", "FILE", "trust the CAs of this PEM file, rather than those of the system")
    _add_certificate(group)
    _value(group, "--server-name", "NAME", "what the peer's certificate is made out to")
    _add_user(group)
    _value(group, "--jwt-file", "FILE", "a file with a JSON Web Token, instead of a user")
    _flag(group, "--confirm-user", "send only if the peer confirms that it took the user")


def _add_certificate(group: _Group) -> None:
    _value(group, "--cert", "FILE", "our certificate, PEM")
    _value(group, "--key", "FILE", "its private key, PEM; else it is in the file of --cert")
    password = "a file with the password of the key; else it is taken from DICOMKIT_KEY_PASSWORD"
    _value(group, "--key-password-file", "FILE", password)


def _add_user(group: _Group) -> None:
    _value(group, "--user", "NAME", "the user of the association")
    password = "a file with the user's password; else it is taken from DICOMKIT_PASSWORD, if that is set"
    _value(group, "--password-file", "FILE", password)


def _add_connection(group: _Group) -> None:
    _value(group, "--host", "NAME", "RemoteHost, where the peer is")
    _value(group, "--port", "N", "RemotePort, its TCP port", int)
    _value(group, "--calling", "AET", "OurAET, our AE title")
    _value(group, "--called", "AET", "RemoteAET, the peer's AE title")
    _value(group, "--timeout", "SECONDS", "TimeoutSeconds, for each phase", int)


def _add_new_setting(parser: _Parser) -> None:
    _add_connection(parser)
    _value(parser, "--name", "TEXT", "Name, of the activity")
    output = "write it there, rather than to standard output"
    parser.add_argument("-o", "--output", metavar="FILE", help=output)


def _add_scp(parser: _Parser) -> None:
    _value(parser, "--port", "N", f"({_DICOM_PORT}); 0 for a free one", _whole_number(0), _DICOM_PORT)
    _value(parser, "--aet", "AET", "its AE title (ANY_SCP)", default="ANY_SCP")
    _value(parser, "--output", "FOLDER", "keep what is received as files there")
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
    _value(group, "--ca", "FILE", "require a client certificate from one of the CAs of this PEM file")
    _add_certificate(group)
    _add_user(group)
    parser.set_defaults(tls=False, server_name=None, jwt_file=None, confirm_user=False)


def _add_lab(parser: _Parser) -> None:
    folder = f"where to ({_LAB_FOLDER})"
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=_LAB_FOLDER, help=folder)
    _value(parser, "--port", "N", "of JupyterLab; 0 for a free one (8888, or the next)", _whole_number(0))
    _flag(parser, "--no-browser", "say the address, and open no browser")


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


def _above_zero(unit: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 1e-6 <= number <= 1e6:  # within what `send_batch` takes
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} from 0.000001 to 1,000,000")
        return number

    return parse


COMMANDS: dict[str, tuple[Callable[[_Parser], None], str, str]] = {
    "demo": (
        _add_nothing,
        "send the sample study to a receiver on this machine, and look at what came of it",
        "",
    ),
    "send": (
        _add_send,
        "send files, and say what became of each",
        " Takes files, folders, zip archives, DICOMDIRs and globs; what is no DICOM in a folder is passed over.",
    ),
    "echo": (_add_peer, "ask the peer of a setting whether it answers (C-ECHO)", ""),
    "probe": (_add_probe, "ask the peer of a setting what it would take, and send nothing", ""),
    "explain": (_add_setting, "say what each field of a setting means, and what is wrong with it", ""),
    "new-setting": (_add_new_setting, "write the JSON of a new setting", ""),
    "scp": (_add_scp, "receive on this machine what is sent, until Ctrl-C", ""),
    "lab": (
        _add_lab,
        "open the notebooks in JupyterLab, until Ctrl-C",
        " They are copied to a folder of yours, where what is there already stays as it is.",
    ),
}
"""What adds the options of each subcommand, and its help in one line and beyond."""
