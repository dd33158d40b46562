"""What a receiver can do wrong, one small class for each, and the plan that says when.

A fault is a description and does nothing itself: the receiver asks the plan at every stage of an association
which one is due. Counting is kept in the plan, so that one list of faults can serve several receivers.
A new fault is a class here, listed in `dicomkit.scp`, and what it does in `dicomkit.scp._connection`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from random import Random
from typing import ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

Stage = Literal["association", "accepted", "command", "data", "response", "between", "echo", "release"]
"""Where in the life of an association a fault strikes.

``association``: the A-ASSOCIATE-RQ was read, instead of the answer. ``accepted``: right after A-ASSOCIATE-AC.
``command``: the C-STORE-RQ command was read, before its data set. ``data``: so many bytes of the data set
were read. ``response``: the data set was read, instead of the response. ``between``: right after the
response. ``echo``: instead of the C-ECHO response. ``release``: instead of A-RELEASE-RP.
"""

_STAGES: tuple[Stage, ...] = get_args(Stage)
# Where an answer is due, which may be late, slow or something else.
_ANSWERED: tuple[Stage, ...] = ("association", "response", "echo", "release")
# Where there is no instance, so that a fault cannot wait for a certain one.
_WITHOUT_INSTANCE: tuple[Stage, ...] = ("association", "accepted", "echo", "release")

REJECTIONS: tuple[tuple[int, int, int], ...] = tuple(
    (result, source, reason)
    for result in (1, 2)  # rejected-permanent, rejected-transient
    for source, reasons in ((1, (1, 2, 3, 7)), (2, (1, 2)), (3, (1, 2)))
    for reason in reasons
)
"""Every (result, source, reason) of an A-ASSOCIATE-RJ that PS3.8 Table 9-21 gives a meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The base of every fault: when it strikes.

    An occasion is one time that the fault's stage is reached by an instance (or association) it applies to;
    each fault counts its own. Of several faults of one sort that are due at once, the first in the list
    strikes.

    Parameters
    ----------
    after : int
        Pass over so many occasions first.
    every : int
        Then strike at every n-th: ``every=3`` strikes at the 3rd, 6th, ...
    times : int, optional
        Strike so many times at most; ``times=1`` lets a retry pass.
    chance : float
        Strike at a due occasion with this probability, above 0 and up to 1, drawn from the receiver's seed.
    association : int, optional
        Only on this association, counted from 0 in the order of their requests.
    sop_class_uid, sop_instance_uid : str, optional
        Only for this SOP class or instance.

    Raises
    ------
    ValueError
        A selector that can never select, naming the fault and the field.
    """

    after: int = 0
    every: int = 1
    times: int | None = None
    chance: float = 1.0
    association: int | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None

    stage: Stage = field(default="association", init=False, repr=False)
    after_bytes: int = field(default=0, init=False, repr=False)  # of the data set, at stage "data"

    _stages: ClassVar[tuple[Stage, ...]] = _STAGES  # of which there is a choice

    def __str__(self) -> str:
        shown = []
        for one in fields(self):
            value = getattr(self, one.name)
            # An error comment is for the peer's eyes: in the field it is a place where names turn up.
            if one.init and value != one.default and one.name != "error_comment":
                shown.append(f"{one.name}=0x{value:04X}" if one.name == "status" else f"{one.name}={value!r}")
        return f"{type(self).__name__}({', '.join(sorted(shown))})"

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, hint in get_type_hints(type(self)).items():
            allowed = self._stages if hint is Stage else get_args(hint) if get_origin(hint) is Literal else ()
            if allowed and (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{kind}: no {name} {value!r}; use one of {', '.join(allowed)}")
        self._check(self.after >= 0, "after", "give how many occasions to pass over")
        self._check(self.every >= 1, "every", "give 1 for each occasion, 3 for each third")
        self._check(self.times is None or self.times >= 1, "times", "give 1 or more, or leave the fault out")
        self._check(0 < self.chance <= 1, "chance", "give a probability above 0 and up to 1")
        if self.stage in _WITHOUT_INSTANCE and (self.sop_class_uid or self.sop_instance_uid):
            raise ValueError(
                f"{kind}: there is no instance at stage {self.stage!r}; leave sop_class_uid and "
                "sop_instance_uid out, or strike at another stage"
            )

    def _check(self, is_right: bool, name: str, advice: str) -> None:
        if not is_right:
            raise ValueError(f"{type(self).__name__}: {name} is {getattr(self, name)}; {advice}")

    def _applies_to(self, occasion: Occasion) -> bool:
        """Whether the selectors for association, class and instance let this occasion through."""
        return (
            self.association in (None, occasion.association)
            and self.sop_class_uid in (None, occasion.sop_class_uid)
            and self.sop_instance_uid in (None, occasion.sop_instance_uid)
        )


# -- while the association is negotiated -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RejectAssociation(Fault):
    """Answer A-ASSOCIATE-RJ; the sender sees the three numbers as given (PS3.8 section 9.3.4).

    The defaults are those of a peer that does not know the called AE title; `REJECTIONS` has all that have a
    meaning. Numbers without one are sent too: a sender must live with them.
    """

    result: int = 1
    source: int = 1
    reason: int = 7

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        for name in ("result", "source", "reason"):
            self._check(0 <= getattr(self, name) <= 255, name, "it is one byte, 0 to 255")


@dataclass(frozen=True, slots=True)
class RefuseClass(Fault):
    """Refuse every context for one SOP class; the sender sees result 3, abstract syntax not supported."""

    uid: str


@dataclass(frozen=True, slots=True)
class RefuseSyntax(Fault):
    """Never take one transfer syntax.

    The sender sees it passed over for another, or result 4, transfer syntaxes not supported, where a context
    offers nothing else.
    """

    uid: str


@dataclass(frozen=True, slots=True)
class AcceptNothing(Fault):
    """Accept the association and none of its contexts.

    ``answer="refused"`` lists every context with `result` (1 to 4, PS3.8 Table 9-18); ``"omitted"`` leaves
    the contexts out of the A-ASSOCIATE-AC altogether, as some receivers do.
    """

    answer: Literal["refused", "omitted"] = "refused"
    result: int = field(default=3, kw_only=True)


@dataclass(frozen=True, slots=True)
class Garbage(Fault):
    """Answer the association request with what is no DICOM, and close.

    ``"http"`` is a web server's 400 answer, ``"tls"`` an alert of a TLS server that was spoken to in clear,
    ``"random"`` 64 bytes of noise that do not begin with a PDU type.
    """

    kind: Literal["random", "http", "tls"] = "random"


# -- while instances are stored --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _AtResponse(Fault):
    stage: Stage = field(default="response", init=False, repr=False)


@dataclass(frozen=True, slots=True)
class _AtData(Fault):
    stage: Stage = field(default="data", init=False, repr=False)
    after_bytes: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Status(_AtResponse):
    """Answer C-STORE with this status; the instance is kept only when the status is a success or warning.

    Parameters
    ----------
    status : int
        0 to 0xFFFF.
    error_comment : str, optional
        Goes into (0000,0902); 64 characters at most.
    """

    status: int
    error_comment: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        _check_status(self, self.status, self.error_comment)


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """Wait before answering; the sender sees nothing for `seconds`, then all goes on as usual.

    `before` is ``association``, ``response``, ``echo`` or ``release``.
    """

    seconds: float
    before: Stage = field(default="response", kw_only=True)

    _stages: ClassVar = _ANSWERED

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", self.before)
        Fault.__post_init__(self)
        self._check(self.seconds >= 0, "seconds", "give 0 or more")


@dataclass(frozen=True, slots=True)
class EarlyResponse(_AtData):
    """Answer with a failure while the data set is still arriving, then read the rest of it and go on.

    The response leaves once `after_bytes` of the data set were read; 0 is right after the command.
    The instance is not kept.
    """

    status: int = 0xA700
    error_comment: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        _check_status(self, self.status, self.error_comment)


@dataclass(frozen=True, slots=True)
class StopReading(_AtData):
    """Read no more once `after_bytes` of the data set were read; the connection stays.

    The sender's writes stall once the buffers between are full: a few hundred KB to several MB, as the
    systems have it. A smaller instance is written whole, and the sender then waits for a response.
    The connection is reset when the receiver stops, or after its `network_timeout_seconds`.
    """

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class WrongMessageID(_AtResponse):
    """Answer C-STORE in the name of another message: Message ID Being Responded To is off by one."""


@dataclass(frozen=True, slots=True)
class WrongContext(_AtResponse):
    """Send the C-STORE response on a presentation context that the request did not use."""


@dataclass(frozen=True, slots=True)
class WrongCommand(_AtResponse):
    """Answer C-STORE with another command; by default C-ECHO-RSP (PS3.7 Table E.1-1)."""

    command_field: int = 0x8030


@dataclass(frozen=True, slots=True)
class OddFragments(_AtResponse):
    """Answer C-STORE correctly, in an unusual shape which PS3.8 allows; the sender should notice nothing.

    ``"pdvs"``: the command in many PDVs of one PDU, 6 bytes each. ``"pdus"``: each of those PDVs in a PDU of
    its own. ``"segments"``: an ordinary PDU, each byte in a TCP segment of its own.
    """

    shape: Literal["pdvs", "pdus", "segments"] = "pdvs"


# -- at a stage of one's choice --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Break(Fault):
    """The base of the faults that end the conversation at a stage.

    At stage ``data``, `after_bytes` is how many bytes of the data set are read first; a shorter one is left
    alone.
    """

    stage: Stage = "response"
    after_bytes: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Abort(Break):
    """Send A-ABORT, then close; `source` is 0 for the user, 2 for the provider (PS3.8 Table 9-26)."""

    source: int = field(default=0, kw_only=True)
    reason: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Close(Break):
    """Close the connection in order (FIN) and say nothing; what the sender still writes is read and dropped.

    ``Close("between")`` answers the instance first and then closes, as a receiver does that takes one
    instance an association or is being restarted.
    """


@dataclass(frozen=True, slots=True)
class Reset(Break):
    """Reset the connection (TCP RST): the sender's next read or write fails."""


@dataclass(frozen=True, slots=True)
class Silence(Break):
    """Keep the connection and never say anything again; what the sender writes is read and dropped.

    It closes when the sender does, when the server stops, or when nothing has come for the server's
    `network_timeout_seconds`.
    """


@dataclass(frozen=True, slots=True)
class HugePDU(Break):
    """Instead of the answer, the header of a PDU of `announced` bytes, and then silence.

    `stage` is ``association``, ``response``, ``echo`` or ``release``.
    """

    announced: int = field(default=0xFFFFFFFF, kw_only=True)

    _stages: ClassVar = _ANSWERED


@dataclass(frozen=True, slots=True)
class Trickle(Fault):
    """Send the answer one byte at a time.

    `stage` is ``association``, ``response``, ``echo`` or ``release``.
    """

    bytes_per_second: float = 10.0
    stage: Stage = field(default="response", kw_only=True)

    _stages: ClassVar = _ANSWERED

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        self._check(self.bytes_per_second > 0, "bytes_per_second", "for none use Silence")


_ERROR_COMMENT_CHARACTERS = 64  # VR LO, PS3.5 Table 6.2-1


def _check_status(fault: Fault, status: int, error_comment: str | None) -> None:
    kind = type(fault).__name__
    if not 0 <= status <= 0xFFFF:
        raise ValueError(f"{kind}: status is {status:#x}; it is a US value, 0x0000 to 0xFFFF")
    if error_comment is not None and len(error_comment) > _ERROR_COMMENT_CHARACTERS:
        raise ValueError(f"{kind}: error_comment has {len(error_comment)} characters; (0000,0902) holds 64")


@dataclass(frozen=True, slots=True)
class Occasion:
    """Where an association is when the plan is asked."""

    association: int
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None


_F = TypeVar("_F", bound=Fault)


class FaultPlan:
    """Counts the occasions of each fault and says which are due; safe to ask from several threads."""

    def __init__(self, faults: Iterable[Fault], *, seed: int = 0) -> None:
        self.faults = tuple(faults)
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._seen = [0] * len(self.faults)
        self._struck = [0] * len(self.faults)

    def first(self, kind: type[_F], stage: Stage, occasion: Occasion) -> _F | None:
        """The first fault of a kind that is due at a stage; all that apply count the occasion."""
        struck: _F | None = None
        for index in self.candidates(stage, occasion):
            fault = self.faults[index]
            if isinstance(fault, kind) and self.strikes(index, may=struck is None):
                struck = fault
        return struck

    def refused(
        self, kind: type[RefuseClass | RefuseSyntax], proposed: set[str], occasion: Occasion
    ) -> set[str]:
        """The UIDs, of those that are proposed, that faults of this kind refuse."""
        return {
            fault.uid
            for index in self.candidates("association", occasion)
            if isinstance(fault := self.faults[index], kind) and fault.uid in proposed and self.strikes(index)
        }

    def candidates(self, stage: Stage, occasion: Occasion) -> list[int]:
        """The numbers of the faults that may strike at a stage, before it is known whether it is reached."""
        return [
            index
            for index, fault in enumerate(self.faults)
            if fault.stage == stage and fault._applies_to(occasion)
        ]

    def strikes(self, index: int, *, may: bool = True) -> bool:
        """Count an occasion of one fault, by its number; whether it strikes, provided that it may."""
        fault = self.faults[index]
        with self._lock:
            self._seen[index] += 1
            nth = self._seen[index] - fault.after
            struck = (
                may
                and nth > 0
                and nth % fault.every == 0
                and (fault.times is None or self._struck[index] < fault.times)
                and (fault.chance == 1 or self._random.random() < fault.chance)
            )
            self._struck[index] += struck
        return struck
