"""What earlier batches stored at a peer, so that it is not sent there again.

An instance is the same when its SOP Instance UID and its fingerprint are, and a peer when its host, port and called
AE title are. What an archive holds by now is for `verify` to find out.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING

from dicomkit._support.frozen import Frozen
from dicomkit.errors import LedgerError
from dicomkit.ledger._file import connect_for_reading, named

if TYPE_CHECKING:
    from dicomkit.ledger._writer import LedgerWriter
    from dicomkit.sources import Instance
    from dicomkit.wire.socket import Peer

HELD = "this peer stored it before"
"""How the `detail` of a row begins that was skipped because the ledger holds the instance as stored."""


def fingerprint(instance: Instance) -> str:
    """What the same content has in common, found without reading a file.

    Size and modification time of a file; of an archive's member those of the archive, and the member's place,
    size and CRC; the SHA-256 digest of what is in memory only, its transfer syntax before its data set.
    """
    content = instance.content
    if isinstance(content, bytes):
        from hashlib import sha256

        digest = sha256(instance.transfer_syntax.encode() + b"\0")
        digest.update(memoryview(content)[instance.offset : instance.offset + instance.length])
        return f"sha256:{digest.hexdigest()}"
    stamp = instance.stamp
    mark = f"file:{stamp.size}:{stamp.modified_ns}" if stamp is not None else "file:0:0"
    if isinstance(content, str):
        return mark
    return f"{mark}:{content.header_offset}:{content.size}:{content.crc:08x}"


class Past(Frozen):
    """What the ledger knows of an instance."""

    fingerprint: str
    is_held: bool = False  # an earlier batch stored it at this peer, so it need not be sent
    sentence: str = ""  # which batch did and when; or what is to be said of sending it


class Resume:
    """Looks instances up in the ledger that a batch is being written to; one thread at a time.

    A ledger that cannot be read ends the batch, by `writer`, as one does that cannot be written. Rows of the batch
    itself are no past. Without `skips` nothing is looked up, and instances only get their fingerprints.
    """

    def __init__(self, writer: LedgerWriter, peer: Peer, batch_id: str, *, skips: bool) -> None:
        self._writer = writer
        self._peer = (peer.host, peer.port, peer.called_aet)
        self._batch_id = batch_id
        self._connection: sqlite3.Connection | None = None
        self._was_missed = False
        if not skips:
            return
        writer.list_stored()
        with named(writer.path):
            connection = connect_for_reading(writer.path)
            try:
                # With nothing to find, nothing is looked for.
                if _any(connection, "SELECT EXISTS (SELECT 1 FROM stored_instances)"):
                    self._connection = connection
                self._was_missed = _any(
                    connection, "SELECT EXISTS (SELECT 1 FROM verifications WHERE verified = 'no')"
                )
            finally:
                if self._connection is None:
                    connection.close()

    def look_up(self, instance: Instance) -> Past:
        """What is known of an instance."""
        mark = fingerprint(instance)
        if self._connection is None:
            return Past(mark)
        try:
            with named(self._writer.path):
                return self._find(self._connection, instance.sop_instance_uid, mark)
        except LedgerError as error:
            self._writer.fail(error)
            return Past(mark)

    def close(self) -> None:
        """Look nothing up any more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _find(self, connection: sqlite3.Connection, uid: str, mark: str) -> Past:
        where = (uid, *self._peer, self._batch_id)
        newest = connection.execute(_NEWEST % "", where).fetchall()
        if not newest:
            return Past(mark)
        same = newest
        if newest[0][2] != mark:
            same = connection.execute(_NEWEST % "AND fingerprint = ?", (*where, mark)).fetchall()
        if not same:
            return Past(
                mark,
                sentence="other content (by size, time or digest) was sent to this peer under the same UID before, "
                f"{_when_and_by(newest[0])}",
            )
        sentence = f"{HELD}, {_when_and_by(same[0])}; resume=False sends it again"
        if same is not newest:
            sentence += (
                f"; since then it was sent other content under the same UID, {_when_and_by(newest[0])}"
            )
        if self._was_missed:
            for verified, verified_by, verified_at, up_to in connection.execute(
                _VERDICT, where[:-1]
            ).fetchall():
                # By the order in which the two were written: a clock may have been ahead or stepped back.
                if verified == "no" and up_to >= same[0][3]:
                    return Past(
                        mark,
                        sentence=f"sent again, since verification by {verified_by} did not find it there as it was "
                        f"sent, {_on(verified_at)}",
                    )
        return Past(mark, True, sentence)


# CROSS, as SQLite has it: in this order.
_NEWEST = """
    SELECT batch_id, attempt_values.started_at, fingerprint, stored_instances.id
    FROM stored_instances
    CROSS JOIN attempt_values ON attempt_values.id = stored_instances.id
    CROSS JOIN batches ON batches.number = attempt_values.batch
    WHERE stored_instances.sop_instance_uid = ? AND host = ? AND port = ? AND called_aet = ? AND batch_id <> ? %s
    ORDER BY stored_instances.id DESC LIMIT 1
"""
_VERDICT = """
    SELECT verified, verified_by, verified_at, up_to FROM verifications
    WHERE sop_instance_uid = ? AND host = ? AND port = ? AND called_aet = ? ORDER BY rowid DESC LIMIT 1
"""


def _any(connection: sqlite3.Connection, question: str) -> bool:
    (answer,) = connection.execute(question).fetchone()
    return bool(answer)


def _when_and_by(row: tuple[str, str, str, int]) -> str:
    batch_id, started_at, *_ = row
    return f"{_on(started_at)} in batch {batch_id}"


def _on(moment: str) -> str:
    return f"on {datetime.fromisoformat(moment):%Y-%m-%d at %H:%M:%S} UTC"
