"""`verify`: ask the archive, by one of three methods, and put what it says beside the rows and into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from dicomkit.batch import Batch
from dicomkit.errors import SettingError
from dicomkit.ledger import VERIFICATION_COLUMNS, Ledger, Verdict
from dicomkit.sending import peer_of
from dicomkit.verification._by_commit import ask_by_commit
from dicomkit.verification._by_find import ask_by_find
from dicomkit.verification._by_get import ask_by_get
from dicomkit.verification._subjects import (
    Finding,
    Group,
    Inquiry,
    Key,
    Subject,
    latest_rows,
    sample,
    series_sizes,
    subjects_in,
)

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting

Method = Literal["find", "commit", "get"]

_METHODS: dict[str, Callable[[Inquiry], Generator[Group]]] = {
    "find": ask_by_find,
    "commit": ask_by_commit,
    "get": ask_by_get,
}
_VERDICTS = ["yes", "no", "unknown"]
_LAST_PORT = 0xFFFF
_NOT_IN_SAMPLE = "not asked about: it is not in the sample"


def verify(
    batch_or_ledger_or_frame: Batch | Ledger | pd.DataFrame,
    setting: DicomSenderSetting,
    *,
    method: Method,
    fraction: float = 1.0,
    per_series: int | None = None,
    seed: int = 0,
    wait_seconds: float = 60.0,
    listen_host: str = "127.0.0.1",
    listen_port: int = 0,
    tls: TlsOptions | None = None,
    identity: UserIdentity | None = None,
) -> pd.DataFrame:
    """Ask the archive whether it has what it said it stored, and by C-GET whether that is what was sent.

    Nothing that the network or the peer does is raised: it leaves ``unknown``, with a sentence that says what to do.

    Parameters
    ----------
    batch_or_ledger_or_frame
        A batch, a `Ledger`, or a frame of results, such as `read_results` gives of an earlier day. What is found out
        is written into the ledger, or that of the batch, as it comes. Of a ledger, only what was sent to the peer of
        the setting is asked about (host, port and called AE title); of a batch or a frame everything that was stored,
        since an archive may answer elsewhere than it stores.
    setting
        Whom to ask, in whose name, and how long each answer may take. A disabled one may be asked too.
    method
        ``"find"``: is it listed, by C-FIND at IMAGE level, one query for each series. ``"commit"``: does the archive
        commit itself to keep it, by storage commitment (PS3.4 Annex J). ``"get"``: is it the same, by C-GET and a
        comparison with the source, which is read again by a reader that sending does not use: element by element as
        bytes, and pixels sample by sample where they were compressed or decompressed. What may differ all the same is
        listed in `dicomkit.verification._allowed`. Of what was changed, tags and keywords are named, and values only
        where they cannot tell who the patient is.
    fraction
        Ask about this part of the instances only, more than 0 and at most 1, rounded up to a whole instance.
    per_series
        Ask about so many of each series only, instead of a fraction.
    seed
        Which sample is drawn: the same for the same instances, in whatever order they come.
    wait_seconds
        How long to wait for the reports of a storage commitment; and how much longer than the setting's timeout a
        query, or bringing an instance back, may take.
    listen_host, listen_port
        Where a report is taken that comes on a new association, as from most archives: the address and port where
        the archive knows our AE title. With port 0 only reports on our own association are taken.
    tls, identity
        As for `send_batch`. With `tls` a report on a new association is taken under TLS too: its `cert_file` and
        `key_file` are then ours, and the reporting archive must have a certificate that `ca_file` vouches for.

    Returns
    -------
    pandas.DataFrame
        The last row of each instance, with the columns of results, then `verified` (``yes``, ``no``, ``unknown``),
        `verified_by` (the method), `verified_at`, `verify_detail` (a sentence) and `transaction_uid` (of a storage
        commitment). What was not asked about is ``unknown`` with a null `verified_by`, and the detail says why: it
        was never stored, is not in the sample, was sent to another peer; unless the ledger or frame has an earlier
        verdict on it, which stays.

        A ``no`` is what the archive does not have, or has otherwise than its source; the next `send_batch` with the
        ledger sends it again. Where a source is not what it was when it was sent, a difference is ``unknown``. A
        storage commitment that is late is ``unknown``; a later call with the ledger, or with the frame, takes the
        report when it comes, and asks again.

    Raises
    ------
    TypeError, ValueError
        A parameter is of no use.
    SettingError
        The setting cannot be used.
    SecurityError
        A file of `tls` cannot be used, or there is none of our own where reports are to be taken.
    LedgerError
        The ledger cannot be read or written.
    OSError
        The port cannot be listened on; nothing was asked.
    """
    _check(method, fraction, per_series, wait_seconds, listen_port)
    problems = setting.usability_problems()
    if problems:
        raise SettingError(problems)
    peer = peer_of(setting, tls, identity)
    source = batch_or_ledger_or_frame
    ledger = source if isinstance(source, Ledger) else source.ledger if isinstance(source, Batch) else None
    rows = latest_rows(_frame_of(source))
    subjects, reasons = subjects_in(rows, peer if isinstance(source, Ledger) else None)
    chosen = sample(subjects, fraction=fraction, per_series=per_series, seed=seed)
    reasons |= {subject.key: _NOT_IN_SAMPLE for subject in subjects if subject.key not in chosen}
    asked = [subject for subject in subjects if subject.key in chosen]
    if ledger is not None and method == "get":
        marks = ledger.fingerprints(subject.key for subject in asked)
        asked = [replace(subject, fingerprint=marks.get(subject.key)) for subject in asked]
    inquiry = Inquiry(
        subjects=asked,
        series_sizes=series_sizes(subjects),
        peer=peer,
        wait_seconds=wait_seconds,
        listen_host=listen_host,
        listen_port=listen_port,
        listen_tls=tls.for_server() if tls is not None and listen_port and method == "commit" else None,
    )
    if ledger is not None:
        ledger.set_verified([])  # one that cannot be written says so before anything is asked
    verdicts: dict[Key, Verdict] = {}
    if asked:
        with closing(_METHODS[method](inquiry)) as groups:
            for group in groups:
                found = {subject.key: _verdict(subject, method, finding) for subject, finding in group}
                verdicts |= found
                if ledger is not None:
                    ledger.set_verified(list(found.values()))
    return _with_verdicts(rows, verdicts, reasons)


def _check(
    method: str, fraction: float, per_series: int | None, wait_seconds: float, listen_port: int
) -> None:
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; it takes 'find', 'commit' or 'get'")
    if not _is_a(int | float, fraction) or not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction!r}; it takes a part of the whole, more than 0 and at most 1")
    if per_series is not None:
        if not _is_a(int, per_series) or per_series < 1:
            raise ValueError(f"per_series is {per_series!r}; it takes a whole number from 1")
        if fraction != 1:
            raise ValueError("fraction and per_series each draw a sample; give one of them")
    if not _is_a(int | float, wait_seconds) or not 0 <= wait_seconds < float("inf"):
        raise ValueError(f"wait_seconds is {wait_seconds!r}; it takes seconds, from 0")
    if not _is_a(int, listen_port) or not 0 <= listen_port <= _LAST_PORT:
        raise ValueError(f"listen_port is {listen_port!r}; it takes a TCP port, or 0 not to listen")


def _is_a(kind: Any, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _frame_of(source: object) -> pd.DataFrame:
    if isinstance(source, Batch):
        return source.to_frame(latest=True)
    if isinstance(source, Ledger):
        return source.to_frame()
    if isinstance(source, pd.DataFrame):
        return source
    raise TypeError(
        f"verify takes a Batch, a Ledger or a frame of results, not a {type(source).__name__}; of a path make "
        "Ledger(path), or read_results(path)"
    )


def _verdict(subject: Subject, method: Method, finding: Finding) -> Verdict:
    # What is not known of a commitment yet stays open, whatever else is asked meanwhile.
    still_open = subject.transaction_uid if method != "commit" else None
    return Verdict(
        batch_id=subject.batch_id,
        instance=subject.instance,
        verified=finding.verified,
        verified_by=method,
        verified_at=datetime.now(UTC),
        verify_detail=finding.detail,
        transaction_uid=finding.transaction_uid or still_open,
    )


def _with_verdicts(rows: pd.DataFrame, verdicts: dict[Key, Verdict], reasons: dict[Key, str]) -> pd.DataFrame:
    """The rows with what was found out beside them, and what was known before where nothing was asked."""
    names = list(VERIFICATION_COLUMNS)
    keys = zip(rows["batch_id"].astype(str), rows["instance"].astype(int), strict=True)
    before: list[dict[Any, Any]] = rows.reindex(columns=names).astype(object).to_dict("records")
    records = []
    for key, known in zip(keys, before, strict=True):
        if key in verdicts:
            known = {name: getattr(verdicts[key], name) for name in names}
        elif pd.isna(known["verified_by"]):
            known |= {"verified": "unknown", "verify_detail": reasons[key]}
        records.append(known)
    found = pd.DataFrame(records, rows.index, names, dtype=object)
    kinds = {**dict.fromkeys(names, pd.StringDtype()), "verified": pd.CategoricalDtype(_VERDICTS)}
    moments = pd.to_datetime(found.pop("verified_at"), utc=True).astype("datetime64[us, UTC]")
    found = found.astype({name: kinds[name] for name in found.columns}).assign(verified_at=moments)
    return pd.concat([rows.drop(columns=names, errors="ignore"), found[names]], axis="columns")
