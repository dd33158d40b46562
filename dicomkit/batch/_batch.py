"""`send_batch`, and the `Batch` that comes back; how it is done is in `Run`."""

from __future__ import annotations

from math import inf, nan
from operator import index
from os import PathLike, fspath
from os.path import realpath, split
from typing import TYPE_CHECKING, Literal

from dicomkit.batch._control import BatchControl
from dicomkit.batch._run import Policy, Run
from dicomkit.batch._sink import Listener, Sink
from dicomkit.events import Done
from dicomkit.results import Outcome, in_words, tone_of
from dicomkit.sending import peer_of

if TYPE_CHECKING:
    import pandas as pd

    from dicomkit.ledger import Ledger
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.sources import PassedOver

# What a system can be told to wait: in milliseconds, as a signed 32-bit number.
LONGEST_SECONDS = 2_147_483


class Batch:
    """What became of a batch.

    Attributes
    ----------
    batch_id : str
    interrupted : bool
        Whether it was cancelled before its end.
    passed_over : list of PassedOver
        What scanning came across that is not for sending, each with `source` and `reason`.
    note : str
        What else should be known: that there was nothing to send, that the ledger or the results file could
        not be finished.
    """

    def __init__(
        self, batch_id: str, sink: Sink, passed_over: list[PassedOver], *, interrupted: bool, note: str
    ) -> None:
        self.batch_id = batch_id
        self.interrupted = interrupted
        self.passed_over = passed_over
        self.note = note
        self._sink = sink

    def to_frame(self, latest: bool = False) -> pd.DataFrame:
        """One row for each attempt; with `latest` only the last attempt of each instance.

        Parameters
        ----------
        latest
            Whether only the last attempt of each instance is asked for.

        Returns
        -------
        DataFrame
            With the result columns.
        """
        return self._sink.to_frame(latest=latest)

    def summary(self) -> pd.DataFrame:
        """One row for each outcome: instances, attempts behind them, bytes, and an example of the detail."""
        from dicomkit.results import count_outcomes, final_rows

        return count_outcomes(final_rows(self.to_frame()), example=("detail", "first"))

    @property
    def ledger(self) -> Ledger | None:
        """The ledger that it was written to, if there is one. May raise LedgerError."""
        from dicomkit.ledger import Ledger

        path = self._sink.ledger_path
        return None if path is None else Ledger(path)

    @property
    def associations(self) -> pd.DataFrame:
        """One row for each association: when, with whom, what was negotiated, how it ended, its load."""
        return self._sink.associations_frame()

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many instances ended in which outcome, in the order of the outcomes."""
        return {outcome: self._sink.finals[outcome] for outcome in Outcome if self._sink.finals[outcome]}

    @property
    def ok(self) -> bool:
        """Whether there was something to send and the peer has all of it, from now or (ledger) from before.

        A ledger that was asked for and could not be finished is not ok, whatever the peer has.
        """
        outcomes = self.outcomes
        if outcomes.get(Outcome.SKIPPED) == self._sink.held:
            del outcomes[Outcome.SKIPPED]
        is_whole = not self.interrupted and not self._sink.ledger_trouble
        return bool(len(self)) and is_whole and all(outcome.is_stored for outcome in outcomes)

    def __len__(self) -> int:
        """How many instances have a row."""
        return sum(self._sink.finals.values())

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items())
        return f"<Batch: {counts or 'nothing to send'}{', interrupted' if self.interrupted else ''}>"

    def _repr_html_(self) -> str:
        """Show in a notebook how it ended, without what may name a patient: folders, the peer's comments."""
        from dicomkit._support.html import marked, note, rows_table, shown
        from dicomkit._support.quantities import counted, in_bytes
        from dicomkit.errors import without_comment

        stored = sum(count for outcome, count in self.outcomes.items() if outcome.is_stored)
        stored_of = (
            f"{stored:,} of {counted(len(self), 'instance')} stored" if len(self) else "nothing to send"
        )
        notes = [note(f"{self.note[:1].upper()}{self.note[1:]}.")] if self.note else []
        if self.passed_over:
            files = counted(len(self.passed_over), "file")
            notes.append(note(f"{files} passed over: no DICOM, or not for sending."))
        rows = [
            (
                marked(tone_of(Outcome(name)), in_words(name)),
                f"{instances:,}",
                f"{attempts:,}",
                in_bytes(size_bytes),
                "" if name == Outcome.STORED else without_comment(example),
            )
            for name, instances, attempts, size_bytes, example in self.summary().itertuples()
        ]
        title = f"Batch: {stored_of}{', interrupted' if self.interrupted else ''}"
        head = ("Outcome", "Instances", "Attempts", "Sent", "For example")
        return shown(rows_table(title, head, rows, numbers=(1, 2, 3)) if rows else note(title), *notes)


def send_batch(
    setting: DicomSenderSetting,
    sources: object,
    *,
    associations: int | Literal["auto"] = 1,
    max_associations: int = 16,
    retries: int = 2,
    give_up_after: float | None = None,
    ledger: str | PathLike[str] | None = None,
    resume: bool = True,
    results: str | PathLike[str] | None = None,
    transcode: bool = True,
    pack_pdv: bool = True,
    max_rate: float | None = None,
    instances_per_association: int | None = None,
    tls: TlsOptions | None = None,
    identity: UserIdentity | None = None,
    control: BatchControl | None = None,
    on_event: Listener | None = None,
    max_decoded_bytes: int = 2**31,
) -> Batch:
    """Send everything that the sources hold by C-STORE, and return what became of each instance.

    Nothing that a file, the network or the peer does is raised, or ends the batch: it becomes a row. Ctrl-C
    is a cancel, and the second one aborts; the batch is returned all the same.

    Parameters
    ----------
    setting
        Where to, in whose name, and how long each phase may take.
    sources
        A path, folder, glob, DICOMDIR, zip archive, bytes, Dataset, message, a frame with a ``source``
        column, or any iterable of them. An iterator is taken as it comes, and never held whole: no more than
        64 MB of memory, or one instance that takes more, is ahead of what is sent.
    associations
        How many to keep busy at once. A peer that does not take so many gets fewer. ``"auto"`` finds by
        trying, while it sends, how many pay and the peer admits; after 30 s, and then ever more seldom, it
        tries whether more do.
    max_associations
        The most that ``"auto"`` tries.
    retries
        How often an instance is tried again after what may pass next time: no connection, a timeout, an
        abort, a refusal (0xA7xx), a rejection that is transient; 0x0110 and 0x0213 once.
    give_up_after
        Seconds. When no response came for so long, the rest is not tried any more. None is 300 s for a peer
        that was there before. One that never was is not waited for when the answer is definite: connection
        refused, unreachable, no such host name. Then the retries of the first instance decide for all.
    ledger
        An SQLite file that rows are written to as they come, rather than kept, for audit and for resuming;
        made when it is not there, and shared by as many batches as you like (`Ledger` reads it). It is at
        most 200 rows or 0.5 s behind, also when this process is killed, and never says of an instance that it
        is stored before the peer said so. A power cut costs the rows since its log was last brought to the
        disk, four times a second, as the sending goes on (``PRAGMA synchronous`` is NORMAL: a commit itself
        does not wait for the disk). When it cannot be written any more, the batch ends, and `note` says why.
    resume
        Whether what an earlier batch of the ledger stored at this peer (host, port and called AE title) is
        skipped: the same SOP Instance UID and the same content, by size and modification time of a file.
        Other content under the same UID is sent, and its row says so.
    results
        A ``.csv``, ``.json`` or ``.parquet`` path that rows are streamed to as they come, rather than kept.
    transcode
        Whether an instance that the peer does not take as it is stored is converted to what it does take,
        without loss: encoded anew, with every value as it is, or decompressed. The row then says so, and its
        two transfer syntaxes differ.
    pack_pdv
        Whether a command and the beginning of its data set share a PDU. An abort upon the first such instance
        of an association is tried again without.
    max_rate
        Instances a second, at most, evenly spread; for a migration that others should not notice.
    instances_per_association
        Release the association after so many and open another, since many archives take the end of an
        association for the end of a study.
    tls
        Sends under TLS, with the peer's certificate verified; None sends without. A certificate that does not
        pass ends the batch, since trying again would not help.
    identity
        The user in whose name the associations are asked for.
    control
        Pauses and cancels the batch from elsewhere.
    on_event
        Called with what happens (`dicomkit.events`), one event at a time, in the thread it happened in. What
        it raises is logged; SystemExit and KeyboardInterrupt are a cancel.
    max_decoded_bytes
        The most that the decompressed pixels of one instance may take; one that says it would take more is
        ``not_accepted``, and nothing of it is decompressed.

    Returns
    -------
    Batch
        Its rows, and what is known of its associations; one that was cancelled has what came until then.

    Raises
    ------
    ValueError, TypeError
        A parameter is out of its range or of another type, `results` has an unknown suffix, or `control` is
        another batch's; the message names the parameter, and nothing was sent.
    SecurityError
        A file of `tls` cannot be used; nothing was sent.
    LedgerError
        The ledger cannot be made or written, is no ledger, or is one of a later version; nothing was sent.
    OSError
        The results file cannot be created.
    MissingExtraError
        The results are to be Parquet, and pyarrow is not installed.
    """
    most = _whole("max_associations", max_associations)
    is_tuned = isinstance(associations, str) and associations == "auto"
    policy = Policy(
        associations=most if is_tuned else _whole("associations", associations),
        is_tuned=is_tuned,
        retries=_whole("retries", retries, least=0),
        give_up_after=None
        if give_up_after is None
        else _positive("give_up_after", give_up_after, "seconds", most=LONGEST_SECONDS),
        transcode=_truth("transcode", transcode),
        max_decoded_bytes=_whole("max_decoded_bytes", max_decoded_bytes),
        packs=_truth("pack_pdv", pack_pdv),
        max_rate=None
        if max_rate is None
        else _positive("max_rate", max_rate, "instances a second", least=1 / LONGEST_SECONDS),
        instances_per_association=None
        if instances_per_association is None
        else _whole("instances_per_association", instances_per_association),
        resume=_truth("resume", resume),
    )
    _expect_file("ledger", ledger)
    _expect_file("results", results)
    if results is not None and (split(fspath(results))[1] in ("", ".", "..") or "\0" in fspath(results)):
        raise ValueError(f"results is {fspath(results)!r}; it takes the path of a file, such as 'rows.csv'")
    if results is not None and ledger is not None and realpath(results) == realpath(ledger):
        raise ValueError("results and ledger are the same file; give each one of its own")
    if control is not None and not isinstance(control, BatchControl):
        raise TypeError(f"control is {_kind(control)}; it takes a BatchControl")
    if on_event is not None and not callable(on_event):
        raise TypeError(f"on_event is {_kind(on_event)}; it takes a function of one event")
    peer = peer_of(setting, tls, identity)
    control = BatchControl() if control is None else control
    control._take()
    try:
        sink = Sink(results, on_event, ledger)
        try:
            run = Run(setting, sources, policy, sink, control, peer)
        except BaseException:
            sink.close()
            raise
        run.run()
        batch = Batch(
            run.row.batch_id, sink, run.intake.passed_over, interrupted=control.cancels > 0, note=run.note
        )
    finally:
        control._give_back()
    sink.tell(Done(tuple((str(o), n) for o, n in batch.outcomes.items()), batch.interrupted))
    batch.interrupted = control.cancels > 0  # by now, since a listener may want an end until the last
    return batch


def _whole(name: str, value: object, least: int = 1) -> int:
    auto = ", or 'auto'" if name == "associations" else ""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = index(value)  # type: ignore[arg-type]  # NumPy's whole numbers too
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name} is {_shown(value)}; it takes a whole number from {least}{auto}")
    return number


def _positive(name: str, value: object, unit: str, *, least: float = 0.0, most: float = inf) -> float:
    try:
        number = nan if isinstance(value, bool | str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = nan
    if not (0 < number < inf and least <= number <= most):
        bounds = f", at least {least:.2g}" if least else f", at most {most:,.0f}" if most < inf else ""
        raise ValueError(f"{name} is {_shown(value)}; it takes {unit}, more than 0{bounds}")
    return number


def _truth(name: str, value: object) -> bool:
    if not (isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")):  # NumPy's
        raise TypeError(f"{name} is {_shown(value)}; it takes True or False")
    return bool(value)


def _expect_file(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str | PathLike):
        raise TypeError(f"{name} is {_kind(value)}; it takes the path of a file")
    if isinstance(value, PathLike) and not isinstance(fspath(value), str):
        raise TypeError(f"{name} is a path of bytes; it takes one of text")


def _shown(value: object) -> str:
    """A value in a message; one that is no number or text may be anything, and is named by its type."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of a great many digits"  # which Python would refuse to write out
    return f"{value!r:.40}" if isinstance(value, int | float | str | None) else _kind(value)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
