"""``dicomkit scp``: the local receiver, with faults on demand."""

from __future__ import annotations

import argparse
import gc
import inspect
import re
import sys
from threading import Event as Flag

from dicomkit import scp
from dicomkit._support.quantities import in_bytes
from dicomkit.cli._exit import EXIT_OK, WrongUsage
from dicomkit.cli._security import receiver_security_of
from dicomkit.cli._terminal import printable
from dicomkit.dictionary.uids import uid_name
from dicomkit.scp import Fault

_NUMBER = re.compile(r"[0-9]+|[0-9]+\.[0-9]+|0[xX][0-9A-Fa-f]+")

FAULTS: dict[str, type[Fault]] = {
    name: kind
    for name in scp.__all__
    if inspect.isclass(kind := getattr(scp, name)) and issubclass(kind, Fault) and kind is not Fault
}


def run(options: argparse.Namespace) -> int:
    """Receive until Ctrl-C, which is the usual end and so no failure."""
    if "list" in options.faults:
        print(*fault_lines(), sep="\n")
        return EXIT_OK
    gc.enable()  # this one may run for days
    faults = [parse_fault(text) for text in options.faults]
    tls, identities = receiver_security_of(options)
    try:
        receiver = scp.LocalSCP(
            options.aet,
            port=options.port,
            faults=faults,
            output=options.output,
            on_received=_say,
            tls=tls,
            identities=identities,
        )
        receiver.start()
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    except OverflowError as error:
        words = "it is not a TCP port; write a number from 1 to 65535, or 0 for a free one"
        raise WrongUsage(f"port {options.port}: {words}") from error
    except OSError as error:
        words = f"{error.strerror or error}; give another with --port, or 0 for a free one"
        raise WrongUsage(f"port {options.port}: {words}") from error
    try:
        under = "" if tls is None else " under TLS"
        print(
            f"{receiver.aet} listens at {receiver.host}:{receiver.port}{under}. Ctrl-C ends it.", flush=True
        )
        for fault in faults:
            print(f"with {fault}", flush=True)
        _wait_for_ever()
    except KeyboardInterrupt:
        pass
    finally:
        receiver.stop()
    print(f"{len(receiver.received)} received", file=sys.stderr)
    return EXIT_OK


def parse_fault(text: str) -> Fault:
    """The fault that ``Name``, ``Name:value`` or ``Name:value,field=value`` describes. May raise WrongUsage."""
    name, _, rest = text.partition(":")
    kind = next((FAULTS[one] for one in FAULTS if one.lower() == name.strip().lower()), None)
    if kind is None:
        raise WrongUsage(f"--fault {text}: there is no {name!r}; `dicomkit scp --fault list` names them all")
    values, fields = [], {}
    for part in filter(None, rest.split(",")):
        field, mark, value = part.partition("=")
        if mark:
            fields[field.strip()] = _value(value)
        else:
            values.append(_value(part))
    try:
        return kind(*values, **fields)  # type: ignore[arg-type]  # what does not fit is what is caught
    except (TypeError, ValueError) as error:
        raise WrongUsage(f"--fault {text}: {str(error).replace('.__init__()', '')}") from error


def fault_lines() -> list[str]:
    """Each fault with its fields, and what it does."""
    lines = []
    for name, kind in FAULTS.items():
        fields = [
            one if default.default is inspect.Parameter.empty else f"{one}={default.default!r}"
            for one, default in inspect.signature(kind).parameters.items()
            if one not in inspect.signature(Fault).parameters
        ]
        lines.append(f"{name}{':' if fields else ''}{','.join(fields)}")
        lines.append(f"    {(inspect.getdoc(kind) or '').splitlines()[0]}")
    selectors = [f"{one}={default.default!r}" for one, default in inspect.signature(Fault).parameters.items()]
    return [*lines, f"each also takes {', '.join(selectors)}"]


def _value(text: str) -> int | float | str:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text, 0 if text[:2].lower() == "0x" else 10)


def _say(row: dict[str, object]) -> None:
    status = row["status"]
    answer = "no answer" if status is None else f"0x{status:04X}"
    print(
        f"{answer}  {printable(uid_name(str(row['sop_class_uid'])))}  {printable(str(row['sop_instance_uid']))}  "
        f"{in_bytes(float(str(row['size_bytes'])))}  from {printable(str(row['calling_aet']))}",
        flush=True,
    )


def _wait_for_ever() -> None:
    over = Flag()
    while not over.wait(1.0):  # Windows interrupts no wait without a timeout
        pass
