"""``dicomkit send``: files to the peer of a setting, and what became of them."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic

from dicomkit._support.quantities import counted
from dicomkit.batch import BatchControl, send_batch
from dicomkit.cli._exit import EXIT_INTERRUPTED, EXIT_NOT_OK, EXIT_OK, WrongUsage
from dicomkit.cli._interrupt import Interruptible
from dicomkit.cli._security import security_of
from dicomkit.cli._setting import usable_setting
from dicomkit.cli._summary import Causes, summary_lines
from dicomkit.cli._terminal import Console, Page, printable, put
from dicomkit.errors import LedgerError, MissingExtraError
from dicomkit.events import Event

# The options that are parameters of `send_batch`, too.
_PASSED_ON = (
    *("associations", "retries", "give_up_after", "results", "ledger", "resume", "transcode", "pack_pdv"),
    *("max_rate", "instances_per_association"),
)


def run(options: argparse.Namespace) -> int:
    """Send, and print a summary to standard output; all else goes to standard error."""
    _check_results(options.results)
    console, causes, control = Console(), Causes(), BatchControl()
    setting = usable_setting(options, console)
    tls, identity = security_of(options, setting.remote_host, console)
    if options.verbose:
        console.say(
            f"calling {setting.remote_aet!r} at {setting.remote_host}:{setting.remote_port} as {setting.our_aet!r}, "
            f"over {_how_many(options.associations)}{' under TLS' if tls else ''}; "
            f"{setting.timeout_seconds} s for each phase"
        )
    gc.freeze()
    gc.enable()
    start = monotonic()
    with Interruptible(control, console), _watcher(options, console) as watch:

        def listen(event: Event) -> None:
            causes.listen(event)
            watch(event)

        try:
            batch = send_batch(
                setting,
                options.paths,
                **{name: getattr(options, name) for name in _PASSED_ON},
                tls=tls,
                identity=identity,
                control=control,
                on_event=listen,
            )
        except LedgerError as error:
            raise WrongUsage(f"--ledger: {error}") from error
        except MissingExtraError as error:
            raise WrongUsage(f"--results {options.results}: {error}") from error
        except OSError as error:
            raise WrongUsage(f"--results {options.results}: {error.strerror or error}") from error
    lines = summary_lines(batch, causes, seconds=monotonic() - start, page=Page())
    if options.results is not None:
        lines.append(f"Rows: {printable(options.results)}")
    if options.ledger is not None:
        lines.append(f"Ledger: {printable(options.ledger)}")
    put(lines)
    return EXIT_INTERRUPTED if batch.interrupted else EXIT_OK if batch.ok else EXIT_NOT_OK


def _how_many(associations: int | str) -> str:
    if isinstance(associations, str):
        return "as many associations as pay"
    return f"up to {counted(associations, 'association')}"


def _watcher(
    options: argparse.Namespace, console: Console
) -> AbstractContextManager[Callable[[Event], object]]:
    """What shows the batch while it runs: the negotiation, a progress line, or nothing."""
    if options.verbose:
        from dicomkit.cli._negotiation import lines_of

        def say(event: Event) -> None:
            for line in lines_of(event):
                console.say(line)

        return nullcontext(say)
    if console.is_live:
        from dicomkit.cli._progress import Progress

        return Progress(console)
    return nullcontext(lambda event: None)


def _check_results(path: str | None) -> None:
    """Refuse a results file of an unknown kind before anything is sent."""
    if path is None:
        return
    from pathlib import Path

    from dicomkit.results import known_suffix

    try:
        known_suffix(Path(path))
    except ValueError as error:
        raise WrongUsage(f"--results: {error}") from error
