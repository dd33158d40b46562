"""What ``-v`` shows: each association and each instance, as they come.

It can be given to anyone: AE titles, numbers, UIDs and their names, statuses and times; no file names and no text of
the peer's own, since both may name a patient.
"""

from __future__ import annotations

from dicomkit._support.quantities import counted, in_bytes
from dicomkit.dictionary.uids import uid_name
from dicomkit.events import AssociationClosed, AssociationOpened, Event, RowAdded, Sending, Waiting
from dicomkit.results import SendResult
from dicomkit.wire.pdu import CONTEXT_ACCEPTED, CONTEXT_RESULTS


def lines_of(event: Event) -> list[str]:
    """An event in words; nothing for one that says nothing of the negotiation."""
    if isinstance(event, AssociationOpened):
        return _opened(event)
    if isinstance(event, AssociationClosed):
        return [
            f"association {event.association}: {event.ended}; it carried {counted(event.instances, 'instance')}"
        ]
    if isinstance(event, Sending):
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        return [f"association {event.association}: sending instance {event.instance}{again}"]
    if isinstance(event, RowAdded):
        return [_row(event.result, event.is_final)]
    if isinstance(event, Waiting):
        advice = f"; {event.advice}" if event.advice else ""
        return [f"waiting {event.seconds:.1f} s: {event.reason}{advice}"]
    return []


def _opened(event: AssociationOpened) -> list[str]:
    accepted = sum(result == CONTEXT_ACCEPTED for _, _, _, result, _ in event.contexts)
    longest = f"PDUs up to {event.max_pdu} bytes" if event.max_pdu else "PDUs of any length"
    who = event.peer_implementation_version or "a peer without a version name"
    uid = f" ({event.peer_implementation_uid})" if event.peer_implementation_uid else ""
    lines = [
        f"association {event.association}: accepted by {who}{uid}; {longest}; "
        f"{accepted} of {counted(len(event.contexts), 'context')} accepted"
    ]
    for context_id, sop_class, offered, result, syntax in event.contexts:
        what = f"  context {context_id:3}: {uid_name(sop_class)} in {' or '.join(map(uid_name, offered))}"
        if result == CONTEXT_ACCEPTED:
            lines.append(f"{what}: accepted{f' in {uid_name(syntax)}' if len(offered) > 1 else ''}")
        else:
            lines.append(
                f"{what}: not accepted, {CONTEXT_RESULTS.get(result, 'for an unknown reason')} ({result})"
            )
    return lines


def _row(result: SendResult, is_final: bool) -> str:
    facts = [str(result.outcome)]
    if result.status is not None:
        facts = [f"0x{result.status:04X} {result.status_meaning}"]
    if result.sop_instance_uid:
        facts.append(f"{result.sop_class_name} {result.sop_instance_uid}")
    if result.size_bytes:
        facts.append(in_bytes(result.size_bytes))
    if result.duration_ms is not None:
        facts.append(f"{result.duration_ms:.1f} ms")
    if not is_final:
        facts.append("will be tried again")
    return f"instance {result.instance}: {', '.join(facts)}"
