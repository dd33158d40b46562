"""Who is asked about: the rows of a batch, a ledger or a frame that say stored, all of them or a sample.

A sample is drawn by a hash of seed and SOP Instance UID, so that the same instances are chosen whatever their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from dicomkit.ledger import HELD, VERIFICATION_COLUMNS
from dicomkit.results import COLUMNS, Outcome

if TYPE_CHECKING:
    import ssl

    import pandas as pd

    from dicomkit.wire.socket import Peer

__all__ = ["Finding", "Inquiry", "Subject", "latest_rows", "sample", "subjects_in"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One instance that the peer said it stored; its fields are the columns of the same names.

    `status` is the one it was stored with, and `fingerprint` what the ledger knows its source by; `transaction_uid` is
    that of a storage commitment that was not reported on yet.
    """

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
    transaction_uid: str | None
    status: int | None = None
    fingerprint: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.batch_id, self.instance

    @property
    def series(self) -> tuple[str, str] | None:
        """Study and Series Instance UID, by which Query/Retrieve finds it; None when the data set lacks one."""
        if self.study_instance_uid is None or self.series_instance_uid is None:
            return None
        return self.study_instance_uid, self.series_instance_uid


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a subject; the fields are those of `dicomkit.ledger.Verdict`."""

    verified: Literal["yes", "no", "unknown"]
    detail: str
    transaction_uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is to be asked, of whom, and how long that may take.

    Attributes
    ----------
    subjects : sequence of Subject
        In the order of batch and instance.
    series_sizes : Counter
        How many instances of a series were stored, by `Subject.series`, asked about or not.
    wait_seconds : float
        Beyond the peer's timeout, for what takes its time.
    listen_host, listen_port : str, int
        Where reports of storage commitment are taken; not at all when the port is 0.
    listen_tls : ssl.SSLContext or None
        What they are taken under.
    """

    subjects: Sequence[Subject]
    series_sizes: Counter[tuple[str, str] | None]
    peer: Peer
    wait_seconds: float
    listen_host: str
    listen_port: int
    listen_tls: ssl.SSLContext | None

    @property
    def archive(self) -> str:
        """The peer in words."""
        return f"{self.peer.called_aet} at {self.peer}"


def latest_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The last attempt of each instance of each batch, in the order of the frame, with a fresh index.

    Raises
    ------
    ValueError
        It is no frame of results.
    """
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise ValueError(
            f"the frame has no column {', '.join(missing)}; verify takes frames of results, as to_frame() and "
            "read_results() give them"
        )
    last = frame.sort_values("attempt", kind="stable").drop_duplicates(["batch_id", "instance"], keep="last")
    return last.sort_index(kind="stable").reset_index(drop=True)


def subjects_in(rows: pd.DataFrame, of_peer: Peer | None) -> tuple[list[Subject], dict[tuple[str, int], str]]:
    """Sort out the rows that can be asked about; return them, and by batch and instance why the others cannot.

    Parameters
    ----------
    of_peer
        Only what was sent to this peer (host, port and called AE title), if given.
    """
    subjects: list[Subject] = []
    reasons: dict[tuple[str, int], str] = {}
    names = [name for name in (*COLUMNS, *VERIFICATION_COLUMNS) if name in rows.columns]
    for values in rows[names].astype(object).itertuples(index=False, name=None):
        row = {name: _known(value) for name, value in zip(names, values, strict=True)}
        key = str(row["batch_id"]), int(row["instance"])
        reason = _why_not(row, of_peer)
        if reason:
            reasons[key] = reason
        else:
            subjects.append(_subject(row))
    return subjects, reasons


def sample(
    subjects: Sequence[Subject], *, fraction: float, per_series: int | None, seed: int
) -> set[tuple[str, int]]:
    """Choose the subjects of a sample, by `Subject.key`: the same ones for the same seed, in whatever order they come.

    Parameters
    ----------
    fraction
        Of the SOP instances, rounded up to a whole one.
    per_series
        So many of each series instead, or all of a smaller one.
    """
    series_of = {subject.sop_instance_uid: subject.series for subject in subjects}
    ranked = sorted(series_of, key=lambda uid: sha256(f"{seed}\0{uid}".encode()).digest())
    if per_series is None:
        chosen = set(ranked[: max(1, ceil(fraction * len(ranked) - _ALMOST))])
    else:
        taken: Counter[tuple[str, str] | None] = Counter()
        chosen = set()
        for uid in ranked:
            if taken[series_of[uid]] < per_series:
                taken[series_of[uid]] += 1
                chosen.add(uid)
    return {subject.key for subject in subjects if subject.sop_instance_uid in chosen}


def series_sizes(subjects: Iterable[Subject]) -> Counter[tuple[str, str] | None]:
    """How many SOP instances of each series there are, by `Subject.series`."""
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
    import pandas as pd

    size = row["size_bytes"]
    started_at = row["started_at"]
    return Subject(
        batch_id=str(row["batch_id"]),
        instance=int(row["instance"]),
        source=str(row["source"]),
        sop_class_uid=str(row["sop_class_uid"]),
        sop_instance_uid=str(row["sop_instance_uid"]),
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        size_bytes=None if size is None else int(size),
        transfer_syntax=row["transfer_syntax"],
        sent_transfer_syntax=row["sent_transfer_syntax"],
        started_at=None
        if started_at is None
        else pd.Timestamp(pd.to_datetime(started_at, utc=True)).to_pydatetime(),
        transaction_uid=_open_transaction(row),
        status=None if row.get("status") is None else int(row["status"]),
    )


def _open_transaction(row: dict[str, Any]) -> str | None:
    if row.get("verified_by") == "commit" and row.get("verified") != "unknown":
        return None
    transaction_uid: str | None = row.get("transaction_uid")
    return transaction_uid


def _known(value: Any) -> Any:
    import pandas as pd

    return None if pd.isna(value) else value
