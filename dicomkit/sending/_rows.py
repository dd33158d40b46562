"""How the rows of a batch are made: what they all share, and what each way of ending puts into them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dicomkit._support.frozen import Frozen
from dicomkit.errors import WireError
from dicomkit.results import Outcome, SendResult
from dicomkit.sending._remedies import cause_and_remedy, explained
from dicomkit.wire.socket import Peer

if TYPE_CHECKING:
    from dicomkit.sources import HeaderFacts, Instance


class RowMaker(Frozen):
    """Makes the rows of one batch: what they all share, and one method for each way they come about."""

    batch_id: str
    peer: Peer

    def explained(self, error: WireError) -> str:
        """What happened on the wire and what to do about it."""
        return explained(error, self.peer)

    def cause_and_remedy(self, error: WireError) -> tuple[str, str]:
        """The same in its two parts."""
        return cause_and_remedy(error, self.peer)

    def untried(
        self, index: int, source: str, outcome: Outcome, detail: str, header: HeaderFacts | None = None
    ) -> SendResult:
        """For what is no instance that could be sent, and so was never tried."""
        return self.tried(index, 1, source, outcome, detail, header)

    def unsent(
        self, index: int, attempt: int, instance: Instance, outcome: Outcome, detail: str
    ) -> SendResult:
        """For an instance that was looked at, and then not tried."""
        return self.tried(index, attempt, instance.source, outcome, joined(detail, instance.note), instance)

    def failed_to_open(
        self,
        index: int,
        attempt: int,
        instance: Instance,
        error: WireError,
        started_at: datetime,
        duration_ms: float,
        association: int | None = 1,
        note: str = "",
    ) -> SendResult:
        """For an instance whose association did not come about."""
        return self.tried(
            index,
            attempt,
            instance.source,
            Outcome.of_error(error),
            joined(joined(self.explained(error), note), instance.note),
            instance,
            association=association,
            started_at=started_at,
            duration_ms=duration_ms,
            size_bytes=0,
        )

    def tried(
        self,
        index: int,
        attempt: int,
        source: str,
        outcome: Outcome,
        detail: str,
        instance: Instance | HeaderFacts | None = None,
        *,
        status: int | None = None,
        size_bytes: int | None = None,
        sent_transfer_syntax: str | None = None,
        association: int | None = None,
        started_at: datetime | None = None,
        duration_ms: float | None = None,
        response_ms: float | None = None,
    ) -> SendResult:
        """For an attempt; its parameters are the columns."""
        peer = self.peer
        return SendResult(
            batch_id=self.batch_id,
            instance=index,
            attempt=attempt,
            outcome=outcome,
            status=status,
            detail=detail,
            source=source,
            sop_class_uid=instance.sop_class_uid if instance else None,
            sop_instance_uid=instance.sop_instance_uid if instance else None,
            study_instance_uid=instance.study_instance_uid if instance else None,
            series_instance_uid=instance.series_instance_uid if instance else None,
            modality=instance.modality if instance else None,
            size_bytes=size_bytes,
            transfer_syntax=instance.transfer_syntax if instance else None,
            sent_transfer_syntax=sent_transfer_syntax,
            calling_aet=peer.calling_aet,
            called_aet=peer.called_aet,
            host=peer.host,
            port=peer.port,
            association=association,
            started_at=started_at,
            duration_ms=duration_ms,
            response_ms=response_ms,
        )


def joined(detail: str, note: str) -> str:
    """Two parts of a `detail` as one."""
    return f"{detail}; {note}" if detail and note else detail or note


def new_batch_id() -> str:
    """A random UUID, without the 10 ms that importing `uuid` costs on some systems (RFC 9562 section 5.4)."""
    from os import urandom

    number = int.from_bytes(urandom(16), "big") & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
