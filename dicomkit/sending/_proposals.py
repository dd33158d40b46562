"""Which presentation contexts to propose, also to a peer that rejects, or cannot live with, what it was asked. Pure.

A rejection does not say whether the peer can take none of the contexts, or only not so many at once. So we ask
for half of them, down to one kind, which is rejected when it is so alone; then for more at a time again. That costs
up to twice as many requests as there are kinds, so after `MOST_HALVINGS` rejections what is rejected together is
taken to be rejected one by one, and after `MOST_REJECTIONS` groups of them the peer is taken at its word. A number of
contexts that was accepted once is never halved, so whoever can take many is asked for many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from threading import Lock

from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import AssociationRejected, WireError
from dicomkit.wire.pdu import MAX_CONTEXTS, ProposedContext

Kind = tuple[str, str]
"""SOP Class UID and transfer syntax UID: what has to be negotiated to send an instance."""

# So many rejections are answered by a smaller proposal.
MOST_HALVINGS = 16
# So many groups of kinds may be rejected while nothing was accepted.
MOST_REJECTIONS = 64


def propose(
    kinds: Iterable[Kind], most: int = MAX_CONTEXTS
) -> tuple[list[ProposedContext], dict[Kind, None]]:
    """The presentation contexts for these kinds, as far as one association carries them.

    One context for each SOP class and transfer syntax as stored, in the given order, then for each SOP class one
    that offers Explicit and Implicit VR Little Endian (PS3.5 section 10.1). With them come the kinds that they cover.
    """
    covered: dict[Kind, None] = {}
    classes: dict[str, None] = {}
    for kind in kinds:
        if kind in covered:
            continue
        if len(covered) + len(classes) + 1 + (kind[0] not in classes) > most:
            break
        covered[kind] = None
        classes[kind[0]] = None
    offers = [(sop_class, (syntax,)) for sop_class, syntax in covered]
    offers += [(sop_class, (EXPLICIT_LE, IMPLICIT_LE)) for sop_class in classes]  # type: ignore[misc]
    contexts = [ProposedContext(2 * index + 1, *offer) for index, offer in enumerate(offers)]
    return contexts, covered


class Proposals:
    """Learns from each request for an association, from any thread, how much to ask for next.

    `most` is how many contexts to propose together. `rejected` has the kinds that are not proposed any more, since they
    were rejected without anything else beside them, and why. A kind needs `fewest` contexts: one as it is stored, and
    one uncompressed.
    """

    def __init__(self, fewest: int = 2) -> None:
        self._fewest = fewest
        self.most = MAX_CONTEXTS
        self.rejected: dict[Kind, str] = {}
        self._lock = Lock()
        self._refused: set[Kind] = set()
        self._accepted = 0
        self._is_limited = False
        self._halvings = 0
        self._rejections = 0

    @property
    def is_any_accepted(self) -> bool:
        """Whether an association came about."""
        return self._accepted > 0

    @property
    def are_futile(self) -> bool:
        """Whether so much was rejected, and nothing accepted, that the rest would be as well."""
        return self._rejections >= MOST_REJECTIONS and not self._accepted

    def were_accepted(self, count: int, usable: Iterable[Kind]) -> None:
        """So many contexts were accepted; where a usable kind was refused before, there had been too many."""
        with self._lock:
            self._accepted = max(self._accepted, count)
            if self._refused:
                self._is_limited |= not self._refused.isdisjoint(usable)
                self._refused.clear()
            self.most = max(self._accepted, self._fewest) if self._is_limited else MAX_CONTEXTS

    def are_halved(self, error: WireError, count: int, kinds: Collection[Kind]) -> bool:
        """Whether to propose half of these contexts now: the peer refused them, and may take fewer."""
        with self._lock:
            if not error.may_be_for_contexts or len(kinds) < 2 or count <= self._accepted:
                return False
            if isinstance(error, AssociationRejected):
                if self._halvings >= MOST_HALVINGS:
                    return False
                self._halvings += 1
            self._refused.update(kinds)
            self.most = max(count // 2, self._fewest)
            return True

    def were_rejected(self, kinds: Collection[Kind], why: str) -> None:
        """The peer rejected these kinds for good, and they are not to be halved."""
        with self._lock:
            self.rejected.update(dict.fromkeys(kinds, why))
            self._rejections += 1
            if not self._is_limited:
                self.most = min(2 * self.most, MAX_CONTEXTS)

    def were_in_vain(self) -> None:
        """Even one kind was refused in a way that may pass: it was not for their number."""
        with self._lock:
            if not self._is_limited:
                self.most = MAX_CONTEXTS
