"""How an attempt ended, and what that is in words and colours."""

from __future__ import annotations

from enum import StrEnum

from dicomkit.dictionary.statuses import status_category
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    Interrupted,
    PeerTimedOut,
    WireError,
)


class Outcome(StrEnum):
    """How an attempt ended; the value is what the `outcome` column holds."""

    STORED = "stored"
    STORED_WITH_WARNING = "stored_with_warning"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_ACCEPTED = "not_accepted"
    REJECTED = "rejected"
    CONNECTION_FAILED = "connection_failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    UNREADABLE = "unreadable"
    INVALID_MESSAGE = "invalid_message"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @staticmethod
    def of_status(status: int) -> Outcome:
        """Return the outcome that a C-STORE response with that status stands for (PS3.4 B.2.3, PS3.7 C).

        Parameters
        ----------
        status
            From 0 to 0xFFFF.

        Returns
        -------
        Outcome
            Stored, stored with warning, refused or failed.
        """
        category = status_category(status)
        if category == "Success":
            return Outcome.STORED
        if category == "Warning":
            return Outcome.STORED_WITH_WARNING
        return Outcome.REFUSED if status & 0xFF00 == _REFUSED else Outcome.FAILED

    @staticmethod
    def of_error(error: WireError) -> Outcome:
        """Return the outcome of an attempt which that error ended; an error of no known kind is `ABORTED`.

        Parameters
        ----------
        error
            What ended the attempt.

        Returns
        -------
        Outcome
            By the kind of the error; its text is the detail of the row.
        """
        for kind, outcome in _OUTCOME_OF_ERROR:
            if isinstance(error, kind):
                return outcome
        return Outcome.ABORTED

    @property
    def is_stored(self) -> bool:
        """Whether the peer said that it holds the instance, with a warning or without."""
        return self is Outcome.STORED or self is Outcome.STORED_WITH_WARNING

    @property
    def is_failure(self) -> bool:
        """Whether it was to be stored and is not: neither stored nor skipped."""
        return not (self.is_stored or self is Outcome.SKIPPED)


def tone_of(outcome: Outcome) -> str:
    """Return ``good``, ``warning``, ``bad``, or ``none`` for what was not tried: how pictures and tables show it."""
    if outcome is Outcome.STORED:
        return "good"
    if outcome is Outcome.STORED_WITH_WARNING:
        return "warning"
    return "none" if outcome in (Outcome.SKIPPED, Outcome.CANCELLED) else "bad"


def in_words(outcome: str) -> str:
    """Return an outcome as people say it: ``stored with warning``."""
    return outcome.replace("_", " ")


_REFUSED = 0xA700  # Refused: Out of Resources, 0xA7xx; PS3.4 Table B.2-1

_OUTCOME_OF_ERROR: tuple[tuple[type[WireError], Outcome], ...] = (
    (ConnectionFailed, Outcome.CONNECTION_FAILED),
    (AssociationRejected, Outcome.REJECTED),
    (PeerTimedOut, Outcome.TIMED_OUT),
    (Interrupted, Outcome.CANCELLED),
    (AssociationAborted, Outcome.ABORTED),
)
