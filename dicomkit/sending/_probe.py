"""`probe`: which SOP classes the peer takes in which transfer syntaxes. Nothing is stored by it.

It goes by elimination: each SOP class is offered in every transfer syntax that is still open, the peer picks one, and
the rest is offered again. Most peers are known after a few rounds; what is open then is asked pair by pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE, STORAGE_CLASSES, uid_name
from dicomkit.errors import AssociationRejected, WireError
from dicomkit.sending._peer import peer_of
from dicomkit.sending._proposals import Kind, Proposals
from dicomkit.sending._remedies import explained
from dicomkit.wire.association import Association
from dicomkit.wire.pdu import CONTEXT_ACCEPTED, CONTEXT_RESULTS, ProposedContext, why_unusable
from dicomkit.wire.socket import Peer

if TYPE_CHECKING:
    import pandas as pd

    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting

PROBED_SYNTAXES = (
    EXPLICIT_LE,
    IMPLICIT_LE,
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless, process 14
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.100",  # MPEG2 Main Level
    "1.2.840.10008.1.2.4.101",  # MPEG2 High Level
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC
    "1.2.840.10008.1.2.4.107",  # HEVC Main
)
"""What a probe without sources asks for: the transfer syntaxes met in archives (PS3.5 Annex A)."""

ELIMINATION_ROUNDS = 4


def probe(
    setting: DicomSenderSetting,
    sources: object = None,
    *,
    tls: TlsOptions | None = None,
    identity: UserIdentity | None = None,
) -> pd.DataFrame:
    """Ask the peer which SOP classes it takes in which transfer syntaxes, without sending anything.

    Ctrl-C, or an interrupt of the kernel, aborts it and is raised.

    Parameters
    ----------
    setting
        The peer, in whose name it is asked, and how long each phase may take.
    sources
        As for `send_batch`: then their SOP classes are asked for, in their transfer syntaxes as stored and in the
        uncompressed ones. None asks for all storage classes in `PROBED_SYNTAXES`.
    tls, identity
        As for `send`.

    Returns
    -------
    DataFrame
        One row for each pair, with `sop_class_uid`, `sop_class_name`, `transfer_syntax`, `transfer_syntax_name`,
        `accepted` (boolean, null when no answer came), `reason` (PS3.8 Table 9-18 in words, or what kept the
        answer away) and `instances` (how many of the sources; null without).

    Raises
    ------
    SettingError
        The setting cannot be used.
    SecurityError
        A file of `tls` cannot be used.
    """
    import pandas as pd

    from dicomkit.errors import SettingError

    peer = peer_of(setting, tls, identity)
    problems = [problem for problem in setting.usability_problems() if problem.severity == "error"]
    if problems:
        raise SettingError(problems)
    if sources is None:
        counts = None
        asked = [(sop_class, syntax) for sop_class in STORAGE_CLASSES for syntax in PROBED_SYNTAXES]
    else:
        counts = _count_kinds(sources)
        uncompressed = [(kind[0], syntax) for kind in counts for syntax in (EXPLICIT_LE, IMPLICIT_LE)]
        asked = sorted({*counts, *uncompressed})  # PS3.5 section 10.1
    answers = _ask(peer, asked)
    rows = [
        (
            *(sop_class, uid_name(sop_class), syntax, uid_name(syntax)),
            *answers[sop_class, syntax],
            None if counts is None else counts.get((sop_class, syntax), 0),
        )
        for sop_class, syntax in asked
    ]
    texts = ("sop_class_uid", "sop_class_name", "transfer_syntax", "transfer_syntax_name", "reason")
    frame = pd.DataFrame(rows, columns=[*texts[:4], "accepted", "reason", "instances"])
    return frame.astype(dict.fromkeys(texts, "string") | {"accepted": "boolean", "instances": "Int64"})


def _count_kinds(sources: object) -> dict[Kind, int]:
    """How many instances of each SOP class and transfer syntax the sources hold."""
    from dicomkit.sources import Instance, find_instances

    counts: dict[Kind, int] = {}
    for found in find_instances(sources):
        if isinstance(found, Instance):
            kind = found.sop_class_uid, found.transfer_syntax
            counts[kind] = counts.get(kind, 0) + 1
    return counts


Answers = dict[Kind, tuple[bool | None, str]]
Offer = tuple[str, tuple[str, ...]]


def _ask(peer: Peer, asked: Sequence[Kind]) -> Answers:
    """Whether the peer takes each pair, and why not."""
    answers: Answers = {}
    rejected: list[Kind] = []
    proposals = Proposals(fewest=1)
    try:
        for round_number in range(ELIMINATION_ROUNDS + 1):
            still_open = [kind for kind in asked if kind not in answers]
            offers = _offers(still_open, together=round_number < ELIMINATION_ROUNDS)
            while offers:
                some = offers[: proposals.most]
                kinds = [(sop_class, syntaxes[0]) for sop_class, syntaxes in some]
                try:
                    usable = _ask_once(peer, some, answers)
                except WireError as error:
                    if proposals.are_halved(error, len(some), kinds):
                        continue
                    if proposals.are_futile or not _is_rejection_of_contexts(error):
                        raise
                    why = explained(error, peer)
                    proposals.were_rejected(kinds, why)
                    pairs = [(sop_class, syntax) for sop_class, syntaxes in some for syntax in syntaxes]
                    answers.update(dict.fromkeys(pairs, (None, why)))
                    rejected += pairs
                else:
                    proposals.were_accepted(len(some), usable)
                offers = offers[len(some) :]
    except WireError as error:
        for kind in asked:
            answers.setdefault(kind, (None, explained(error, peer)))
    if proposals.is_any_accepted:  # so it knows us, and it was for what was asked for
        answers.update({kind: (False, answers[kind][1]) for kind in rejected})
    return answers


def _offers(kinds: Sequence[Kind], *, together: bool) -> list[Offer]:
    """A context for each SOP class with all its transfer syntaxes, or for each pair."""
    if not together:
        return [(sop_class, (syntax,)) for sop_class, syntax in kinds]
    by_class: dict[str, list[str]] = {}
    for sop_class, syntax in kinds:
        by_class.setdefault(sop_class, []).append(syntax)
    return [(sop_class, tuple(syntaxes)) for sop_class, syntaxes in by_class.items()]


def _is_rejection_of_contexts(error: WireError) -> bool:
    return isinstance(error, AssociationRejected) and error.may_be_for_contexts and not error.may_pass


def _ask_once(peer: Peer, offers: Sequence[Offer], answers: Answers) -> list[Kind]:
    """One association, for nothing but its negotiation; return what was accepted, by what it was offered in first."""
    contexts = [ProposedContext(2 * index + 1, *offer) for index, offer in enumerate(offers)]
    association = Association.open(peer, contexts)
    association.end()
    accepted = []
    for context in contexts:
        sop_class, syntaxes = context.abstract_syntax, context.transfer_syntaxes
        _, reply = association.contexts.get(context.id, (context, None))
        if reply is None:
            reason = "no answer to this context"
        elif reply.result != CONTEXT_ACCEPTED:
            reason = CONTEXT_RESULTS.get(reply.result, f"result {reply.result}, which PS3.8 does not define")
        elif not (reason := why_unusable(context, reply)):
            answers[sop_class, reply.transfer_syntax] = (True, CONTEXT_RESULTS[CONTEXT_ACCEPTED])
            accepted.append((sop_class, syntaxes[0]))
            continue
        elif len(syntaxes) > 1:
            continue  # it is asked again, at last in each transfer syntax alone
        answers.update(dict.fromkeys(((sop_class, syntax) for syntax in syntaxes), (False, reason)))
    return accepted
