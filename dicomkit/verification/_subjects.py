"""Which instances are asked about: those that rows of a batch, a ledger or a frame call stored, or a sample of them.

A sample is drawn by a hash of seed and SOP Instance UID, so that the same instances are chosen whatever their order.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import ceil
from typing import Any, Literal

import pandas as pd

from dicomkit.ledger import HELD, VERIFICATION_COLUMNS
from dicomkit.results import COLUMNS, Outcome, expect_columns, final_rows
from dicomkit.wire.socket import Peer

NO_SERIES = (
    "not asked about: its data set has no Study or no Series Instance UID, by which Query/Retrieve finds it; "
    "use method='commit'"
)

# The columns without which a row says too little; the others of `COLUMNS` are not looked at.
_NEEDED = (
    *("batch_id", "instance", "attempt", "outcome", "detail", "source", "sop_class_uid", "sop_instance_uid"),
    *("study_instance_uid", "series_instance_uid", "size_bytes", "transfer_syntax", "sent_transfer_syntax"),
    *("called_aet", "host", "port", "started_at"),
)
_ALMOST = 1e-9  # 0.1 of 30 is 3, though the product of the two is a little more

Key = tuple[str, int]
"""Batch and instance."""
Series = tuple[str, str] | None
"""Study and Series Instance UID, by which Query/Retrieve finds an instance; None when its data set lacks one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One instance that the peer said it stored; its fields are the columns of the same names."""

    batch_id: str
    instance: int
    source: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    size_bytes: int | None
    transfer_syntax: str | None
    sent_transfer_syntax: str | None
    started_at: datetime | None
    transaction_uid: str | None  # of a storage commitment that was not reported on yet
    status: int | None = None  # with which it was stored
    fingerprint: str | None = None  # what the ledger knows its source by

    @property
    def key(self) -> Key:
        return self.batch_id, self.instance

    @property
    def series(self) -> Series:
        if self.study_instance_uid is None or self.series_instance_uid is None:
            return None
        return self.study_instance_uid, self.series_instance_uid

    @property
    def syntax_on_the_wire(self) -> str:
        """The transfer syntax in which it was sent; empty when the row does not say."""
        return self.sent_transfer_syntax or self.transfer_syntax or ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a subject; the fields are those of `dicomkit.ledger.Verdict`."""

    verified: Literal["yes", "no", "unknown"]
    detail: str
    transaction_uid: str | None = None


Group = list[tuple[Subject, Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is to be asked, of whom, and how long that may take."""

    subjects: Sequence[Subject]  # in the order of batch and instance
    series_sizes: Counter[Series]  # how many instances of a series were stored, asked about or not
    peer: Peer
    wait_seconds: float  # beyond the peer's timeout, for what takes its time
    listen_host: str  # where reports of storage commitment are taken; not at all when the port is 0
    listen_port: int
    listen_tls: ssl.SSLContext | None

    @property
    def archive(self) -> str:
        """The peer in words."""
        return f"{self.peer.called_aet} at {self.peer}"


def latest_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The last attempt of each instance of each batch, in the order of the frame, with a fresh index."""
    expect_columns(frame, _NEEDED)
    return final_rows(frame.reset_index(drop=True)).reset_index(drop=True)


def subjects_in(rows: pd.DataFrame, of_peer: Peer | None) -> tuple[list[Subject], dict[Key, str]]:
    """Return the rows that can be asked about (of this peer only, where one is given), and why others cannot."""
    subjects: list[Subject] = []
    reasons: dict[Key, str] = {}
    names = [name for name in (*COLUMNS, *VERIFICATION_COLUMNS) if name in rows.columns]
    for values in rows[names].astype(object).itertuples(index=False, name=None):
        row: dict[str, Any] = {
            name: None if pd.isna(value) else value for name, value in zip(names, values, strict=True)
        }
        reason = _why_not(row, of_peer)
        if reason:
            reasons[str(row["batch_id"]), int(row["instance"])] = reason
        else:
            subjects.append(_subject(row))
    return subjects, reasons


def sample(subjects: Sequence[Subject], *, fraction: float, per_series: int | None, seed: int) -> set[Key]:
    """Choose a part of the SOP instances, or so many of each series, or all of a smaller one."""
    series_of = {subject.sop_instance_uid: subject.series for subject in subjects}
    ranked = sorted(series_of, key=lambda uid: sha256(f"{seed}\0{uid}".encode()).digest())
    if per_series is None:
        chosen = set(ranked[: max(1, ceil(fraction * len(ranked) - _ALMOST))])
    else:
        taken: Counter[Series] = Counter()
        chosen = set()
        for uid in ranked:
            if taken[series_of[uid]] < per_series:
                taken[series_of[uid]] += 1
                chosen.add(uid)
    return {subject.key for subject in subjects if subject.sop_instance_uid in chosen}


def series_sizes(subjects: Iterable[Subject]) -> Counter[Series]:
    """How many SOP instances of each series there are."""
    return Counter({subject.sop_instance_uid: subject.series for subject in subjects}.values())


def _why_not(row: dict[str, Any], of_peer: Peer | None) -> str:
    outcome = str(row["outcome"])
    is_held = outcome == Outcome.SKIPPED and str(row["detail"]).startswith(HELD)
    if outcome not in (Outcome.STORED, Outcome.STORED_WITH_WARNING) and not is_held:
        return f"not asked about: its last attempt ended as {outcome}, so the peer never said that it has it"
    if row["sop_class_uid"] is None or row["sop_instance_uid"] is None:
        return "not asked about: its row has no SOP Class or SOP Instance UID"
    sent_to = row["host"], row["port"], row["called_aet"]
    if of_peer is not None and sent_to != (of_peer.host, of_peer.port, of_peer.called_aet):
        return (
            f"not asked about: it was sent to {row['called_aet']} at {row['host']}:{row['port']}, which is not the "
            "peer of this setting; verify it with a setting that names that one"
        )
    return ""


def _subject(row: dict[str, Any]) -> Subject:
    as_they_are = ("study_instance_uid", "series_instance_uid", "transfer_syntax", "sent_transfer_syntax")
    texts = ("batch_id", "source", "sop_class_uid", "sop_instance_uid")
    started_at = row["started_at"]
    has_report = row.get("verified_by") == "commit" and row.get("verified") != "unknown"
    return Subject(
        **{name: row[name] for name in as_they_are},
        **{name: str(row[name]) for name in texts},
        instance=int(row["instance"]),
        size_bytes=None if row["size_bytes"] is None else int(row["size_bytes"]),
        started_at=None if started_at is None else pd.to_datetime(started_at, utc=True).to_pydatetime(),
        transaction_uid=None if has_report else row.get("transaction_uid"),
        status=None if row.get("status") is None else int(row["status"]),
    )
