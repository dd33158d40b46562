"""The progress line of a batch on a terminal.

Events are counted as they come, and a thread draws the counts ten times a second at most: so drawing costs the sending
nothing, and one sees that a silent peer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from threading import Event as Flag
from threading import Thread
from time import monotonic

from dicomkit._support.quantities import in_time
from dicomkit.cli._terminal import Console, columns, printable
from dicomkit.events import Event, RowAdded, Scanned, Sending, Waiting

_REDRAW_SECONDS = 0.1
_SHOWN_SILENCE_SECONDS = 2.0  # of the peer, and worth saying
_BAR_CHARACTERS = 24


class Tally:
    """How far a batch is; times are of one monotonic clock, in seconds."""

    def __init__(self, now: float) -> None:
        self.started_at = self.heard_at = now
        self.found = 0
        self.is_found_all = False
        self.ended = 0  # instances
        self.answered = 0  # of these, those that the peer responded to
        self.failed = 0  # of these, not stored
        self.again = 0  # attempts that another one follows
        self.waiting_until = 0.0
        self.waiting_for = ""

    def note(self, event: Event, now: float) -> None:
        """Take in what happened at `now`."""
        if isinstance(event, Scanned):
            self.found, self.is_found_all = event.found, event.is_complete
        elif isinstance(event, RowAdded):
            if event.result.status is not None:
                self.heard_at, self.waiting_until = now, 0.0
            if event.is_final:
                self.ended += 1
                self.answered += event.result.status is not None
                self.failed += not event.result.outcome.is_stored
            else:
                self.again += 1
        elif isinstance(event, Sending):
            self.waiting_until = 0.0
        elif isinstance(event, Waiting):
            self.waiting_until = now + event.seconds
            self.waiting_for = "; ".join(filter(None, (event.reason, event.advice)))

    def line(self, now: float, width: int) -> str:
        """What there is to see of it at `now`, in at most `width` characters."""
        seconds = max(now - self.started_at, 1e-9)
        rate = self.answered / seconds
        is_waiting = self.waiting_until > now
        found = max(self.found, self.ended)
        parts = []
        if self.is_found_all and found and is_waiting:  # whose reason needs the room
            parts.append(f"{self.ended} of {found}")
        elif self.is_found_all and found:
            filled = _BAR_CHARACTERS * self.ended // found
            parts += [f"[{'#' * filled}{'.' * (_BAR_CHARACTERS - filled)}]", f"{self.ended} of {found}"]
        else:
            parts.append(f"{self.ended} of {found} found so far")
        if rate and not is_waiting:
            parts.append(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if self.failed:
            parts.append(f"{self.failed} not stored")
        if self.again:
            parts.append(f"{self.again} tried again")
        if is_waiting:
            parts.append(f"next try in {ceil(self.waiting_until - now)} s: {self.waiting_for}")
        elif now - self.heard_at >= _SHOWN_SILENCE_SECONDS:
            parts.append(f"silent for {now - self.heard_at:.0f} s")
        elif self.is_found_all and rate:
            parts.append(f"{in_time((found - self.ended) / rate)} left")
        return printable("  ".join(parts))[: width - 1]


class Progress:
    """Draws a tally while it is open, and gives what notes an event."""

    def __init__(self, console: Console) -> None:
        self.tally = Tally(monotonic())
        self._console = console
        self._over = Flag()
        self._thread = Thread(target=self._draw, name="dicomkit progress", daemon=True)

    def __enter__(self) -> Callable[[Event], object]:
        self._thread.start()
        return self._note

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._console.wipe()

    def _note(self, event: Event) -> None:
        now, before = monotonic(), self.tally.waiting_for
        self.tally.note(event, now)
        if (words := self.tally.waiting_for) == before:
            return
        # Where the line is too short for what one can do, that stays above it, once.
        if not self.tally.line(now, columns(self._console.stream)).endswith(words):
            self._console.say(f"waiting: {words}")

    def _draw(self) -> None:
        drawn = ""
        while not self._over.wait(_REDRAW_SECONDS):
            line = self.tally.line(monotonic(), columns(self._console.stream))
            if line != drawn:
                self._console.draw(line)
                drawn = line
