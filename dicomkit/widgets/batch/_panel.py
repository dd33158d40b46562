"""BatchPanel: see what will be sent, send it, and watch what becomes of it.

A batch belongs to the kernel, and the panel looks at it five times a second; so a panel that is closed, reloaded or
made again loses nothing, and the threads that send never touch a widget.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from pathlib import Path
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import WeakSet

import traitlets as t
from ipywidgets import Layout, VBox  # type: ignore[import-untyped]

from dicomkit.batch import Batch, send_batch
from dicomkit.errors import DicomkitError, SettingError
from dicomkit.results import Outcome, ResultsFile, SendResult, known_suffix, to_frame
from dicomkit.settings import DicomSenderSetting
from dicomkit.widgets._bar import Note
from dicomkit.widgets._ticker import Ticker
from dicomkit.widgets._widget import ClosesLayout
from dicomkit.widgets.batch._bar import BatchBar, Facts, bar_state
from dicomkit.widgets.batch._job import Job, Origin, Pace, running_jobs
from dicomkit.widgets.batch._results import BatchResults
from dicomkit.widgets.batch._scan import Cargo, Scan
from dicomkit.widgets.batch._series import SeriesTable
from dicomkit.widgets.form import SettingForm
from dicomkit.widgets.table import UPDATE_SECONDS, Rows

if TYPE_CHECKING:
    import pandas as pd

_SHUT = Event()
_SHUT.set()
_ASK_ABOVE = 1000  # instances; so many are not sent by a slip
_PANELS: WeakSet[BatchPanel] = WeakSet()
_OPTIONS = {*signature(send_batch).parameters} - {"setting", "sources", "control", "on_event"}


class BatchPanel(ClosesLayout, VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A panel that scans sources, sends what is checked, and shows every row as it comes.

    Parameters
    ----------
    setting : DicomSenderSetting, path or SettingForm
        Where to. The value of a form is taken when sending begins; what is edited later is for the next batch.
    sources
        As for `send_batch`, or a widget whose trait ``selected`` has them. Scanning begins at once.
    **options
        As for `send_batch`, but `control` and `on_event`.

    Attributes
    ----------
    selection : tuple of str
        The Series Instance UIDs that are checked; may be set. ``"unreadable"`` stands for what is no instance.
    result : Batch or None
        The batch that ended last.
    state : {"scanning", "ready", "sending", "paused", "cancelling", "done"}
    series : tuple of SeriesFound
        What was found so far.
    active : str or None
        The key of the series with the cursor.

    Notes
    -----
    All attributes can be observed; observers are called in a thread of the panel, too. A panel with the same setting
    and sources as a batch that still runs shows that one. With no front end
    ``panel.start().wait()`` does the same work.

    Raises
    ------
    TypeError
        What was given is no source, or there is no such option.
    OSError, SettingError
        A path was given for the setting that cannot be read, or holds none.
    """

    selection = t.Any(())
    result = t.Instance(Batch, allow_none=True, read_only=True)
    state = t.Unicode("scanning", read_only=True)
    series = t.Any((), read_only=True)
    active = t.Unicode(None, allow_none=True, read_only=True)

    _closed = _SHUT  # until it is made: what cannot be made is closed as well when it is forgotten

    def __init__(
        self,
        setting: DicomSenderSetting | SettingForm | str | os.PathLike[str],
        sources: object,
        **options: Any,
    ) -> None:
        refuse_strange_options(options)
        if not isinstance(setting, (DicomSenderSetting, SettingForm)):
            setting = DicomSenderSetting.load(setting)
        self._target = setting
        self._sources = sources
        self._options: Mapping[str, Any] = options
        self._lock = RLock()
        self._ticker = Ticker(self._tick, "dicomkit panel ticker")
        self._closed = Event()
        self._job: Job | None = None
        self._is_attached = False
        self._is_due = False  # to be sent as soon as the scan is over
        self._is_cancelled_early = False
        self._is_outdated = False  # other sources were chosen during the batch
        self._is_other_choice = False  # than what the batch was of
        self._asks = False
        self._overwrites: Path | None = None  # what is asked about
        self._said: Note | None = None
        self._seen = -1
        self._pace = Pace()
        self._bar = BatchBar(self._press)
        running = [job for job in running_jobs() if job.origin == self._origin()]
        self._found = self._series_of(running[0].scan if running else Scan(self._given()))
        self._result_table = _table_of(BatchResults())
        super().__init__(layout=Layout(width="100%"))
        self.add_class("dk-batch-panel")
        if running:
            self._follow(running[0], is_attached=True)
        self._arrange()
        if isinstance(setting, SettingForm):
            setting.observe(self._on_form, ["value", "valid"])
        if _has_selected(sources):
            sources.observe(self._on_sources, "selected")
        self.observe(lambda change: self._found.check(change.new), "selection")
        _PANELS.add(self)
        self._refresh()

    # For Python

    @classmethod
    def running(cls) -> list[BatchPanel]:
        """Return the panel of each batch that still runs in this kernel, newest first; a new one where closed."""
        there = {id(panel._job): panel for panel in _PANELS if not panel._closed.is_set()}
        return [
            there.get(id(job)) or cls(job.setting, job.origin.sources, **job.options)
            for job in running_jobs()
        ]

    @property
    def setting(self) -> DicomSenderSetting:
        """Where the next batch goes."""
        return self._target.value if isinstance(self._target, SettingForm) else self._target

    def instances(self) -> pd.DataFrame:
        """Return what is checked: a frame with the source, UIDs, modality, size and transfer syntax of each."""
        import pandas as pd

        names = ["source", "sop_class_uid", "sop_instance_uid", "study_instance_uid", "series_instance_uid"]
        names += ["modality", "transfer_syntax"]
        cargo = self._found.scan.cargo_of(self.selection)
        frame = pd.DataFrame(
            {name: pd.array([getattr(one, name, None) for one in cargo], dtype="string") for name in names}
        )
        frame["size_bytes"] = pd.array([getattr(one, "length", None) for one in cargo], dtype="Int64")
        return frame

    def cargo_of(self, key: str) -> list[Cargo]:
        """Return what was found of a series, in the order in which it was found.

        Parameters
        ----------
        key
            Of the series; ``"unreadable"`` for what is no instance.

        Returns
        -------
        list
            An `Instance` for each, or what is known of one that cannot be read.
        """
        return self._found.scan.cargo_of([key])

    def start(self) -> BatchPanel:
        """Begin to send what is checked, once the scan is over; returns at once.

        Raises
        ------
        ValueError
            A batch is under way already, or the panel is closed.
        SettingError
            The form shows a setting that is not valid.
        """
        with self._lock:
            if self._closed.is_set():
                raise ValueError("this panel is closed; make another one")
            if self._is_due or self._is_sending():
                raise ValueError("a batch is under way; wait() for it, or cancel() it")
            if isinstance(self._target, SettingForm) and not self._target.valid:
                raise SettingError(list(self._target.errors.values()))
            setting = self.setting
            if self._is_outdated:
                self.rescan()
            self._asks, self._said = False, None
            self._is_cancelled_early = False
            self._is_due = True
        if self._found.scan.is_over:
            self._begin(setting)
        else:
            Thread(target=self._begin, args=(setting,), name="dicomkit panel", daemon=True).start()
            self._refresh()
        return self

    def wait(self, timeout_seconds: float | None = None) -> Batch:
        """Return the batch when it is over. An interrupt cancels it, and a second one aborts; its rows are kept.

        Parameters
        ----------
        timeout_seconds
            How long to wait at most; without, until it is over.

        Returns
        -------
        Batch
            The batch, also when it was cancelled.

        Raises
        ------
        ValueError
            Nothing is being sent, and nothing was.
        TimeoutError
            It is not over in time; it goes on.
        DicomkitError, OSError, ValueError
            What `send_batch` raised.
        """
        if self._job is None and not self._is_due:
            raise ValueError("nothing is being sent; start() first")
        until = None if timeout_seconds is None else monotonic() + timeout_seconds
        while True:
            try:
                is_due = self._is_due  # asked first, or the job could be that of the batch before
                job = self._job
                if is_due:
                    self._found.scan.wait(UPDATE_SECONDS)
                elif job is not None and job.wait(UPDATE_SECONDS):
                    break
            except KeyboardInterrupt:
                self.cancel()
            if until is not None and monotonic() > until:
                raise TimeoutError(
                    f"the batch is not over in {timeout_seconds:g} s; it goes on, cancel() ends it"
                )
        self._show()
        if job.error is not None:
            raise job.error
        assert job.batch is not None
        return job.batch

    def pause(self) -> None:
        """Take up no further instance until `resume`."""
        if self._job is not None:
            self._job.control.pause()
            self._refresh()

    def resume(self) -> None:
        """Go on after a `pause`."""
        if self._job is not None:
            self._job.control.resume()
            self._refresh()

    def cancel(self) -> None:
        """End the scan and the batch, after the instances under way; the second time at once."""
        with self._lock:  # or a batch that begins at this moment would not know of it
            self._found.scan.stop()
            self._is_cancelled_early = self._is_due
            if self._job is not None and self._is_sending():
                self._job.control.cancel()
        self._refresh()

    def retry_failed(self) -> BatchPanel:
        """Send again what is not stored and was not skipped, each looked at anew where it is a file; returns at once.

        Raises
        ------
        ValueError
            There is nothing to try again, or a batch is under way.
        """
        with self._lock:
            job = self._job
            if job is None or self._is_sending():
                raise ValueError("there is no batch that is over; start() one, or wait() for it")
            again = job.rows.failed()
            if not again:
                raise ValueError("there is nothing to try again: everything is stored, or was skipped")
            self._said = None
            cargo = job.rows.try_again(again)
            self._follow(Job(self._origin(), job.scan, cargo, job.rows, self._options, places=again))
        self._refresh()
        return self

    def rescan(self) -> BatchPanel:
        """Look at the sources again, for the next batch; returns at once."""
        with self._lock:
            if self._closed.is_set():
                return self
            before = self._found
            before.scan.stop()
            self._found = self._series_of(Scan(self._given()), before.unchecked)
            self._is_outdated = False
            self._arrange()
            before.close()
            self.selection = ()  # before any is found again, and checked
        self.set_trait("active", None)
        self._refresh()
        return self

    def to_frame(self, latest: bool = False) -> pd.DataFrame:
        """Return a row for each attempt so far, retries of failed ones included; with `latest` the last of each.

        Parameters
        ----------
        latest
            Whether only the last attempt of each instance is asked for.

        Returns
        -------
        DataFrame
            With the result columns, also while it is sent.
        """
        return to_frame(self._results(latest=latest))

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the rows to a ``.csv``, ``.parquet`` or ``.json`` file, as `read_results` reads them.

        Parameters
        ----------
        path
            Its suffix decides the format.
        overwrite
            Whether a file that is there is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileExistsError
            It is there already, and `overwrite` is not set.
        ValueError
            Its suffix is another.
        MissingExtraError
            Parquet needs pyarrow.
        OSError
            It cannot be written.
        """
        target = Path(path).expanduser()
        known_suffix(target)
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target.name} is there already; choose another name, or overwrite it")
        with ResultsFile(target) as file:
            for result in self._results(latest=False):
                file.write(result)
        return target

    def close(self) -> None:
        """Free the tables, the observers and the models; a batch under way goes on, and `running` finds it."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._ticker.close()
        if self._job is None:
            self._found.scan.stop()
        if isinstance(self._target, SettingForm):
            self._target.unobserve(self._on_form, ["value", "valid"])
        if _has_selected(self._sources):
            self._sources.unobserve(self._on_sources, "selected")
        with self._lock:
            for child in (self._bar, self._found, self._result_table):
                child.close()
            super().close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.state}, {self._found.scan.found} found>"

    # The batch

    def _given(self) -> object:
        return self._sources.selected if _has_selected(self._sources) else self._sources

    def _origin(self) -> Origin:
        return Origin(self.setting, self._given())

    def _is_sending(self) -> bool:
        return self._job is not None and not self._job.is_over

    def _begin(self, setting: DicomSenderSetting) -> None:
        """Send what is checked when all is found."""
        self._found.scan.wait()
        with self._lock:
            self._found.take_found()
            scan, origin = self._found.scan, Origin(setting, self._given())
            cargo, is_cancelled = scan.cargo_of(self.selection), self._is_cancelled_early
            self._follow(Job(origin, scan, cargo, BatchResults(), self._options, is_cancelled=is_cancelled))
            self._is_due = False
        self._refresh()

    def _follow(self, job: Job, *, is_attached: bool = False) -> None:
        self._job = job
        self._is_attached = is_attached
        self._is_other_choice = False
        self._seen = -1
        self._pace = Pace()
        before = self._result_table
        if before.source is not job.rows:
            self._result_table = _table_of(job.rows)
            before.close()
            self._arrange()

    def _results(self, *, latest: bool) -> list[SendResult]:
        rows = () if self._job is None else self._job.rows.records
        return [one for row in rows for one in (*(() if latest else row.earlier), row.last)]

    # What follows from what is done elsewhere

    def _on_form(self, _change: object) -> None:
        self._ticker.wake()

    def _on_sources(self, _change: object) -> None:
        job = self._job
        self._is_other_choice = job is not None and job.origin != Origin(job.setting, self._given())
        if self._is_sending() or self._is_due:
            self._is_outdated = True
            self._ticker.wake()
        else:
            self.rescan()

    def _on_checked(self, keys: tuple[str, ...]) -> None:
        """No lock here: the table holds its own, and the panel asks the table under the panel's."""
        self.selection = keys
        self._ticker.wake()

    @t.validate("selection")
    def _are_found(self, proposal: Any) -> tuple[str, ...]:
        keys = tuple(proposal.value)
        strange = [key for key in keys if key not in self._found]
        if strange:
            raise t.TraitError(
                f"no series {strange[0]!r} was found; choose from {len(self._found.keys)} that were"
            )
        return keys

    # What is shown

    def _series_of(self, scan: Scan, unchecked: frozenset[str] = frozenset()) -> SeriesTable:
        return SeriesTable(
            scan,
            self._became,
            on_checked=self._on_checked,
            on_cursor=lambda key: self.set_trait("active", key),
            unchecked=unchecked,
        )

    def _became(self, key: str) -> Counter[Outcome]:
        return Counter() if self._job is None else self._job.rows.outcomes_of(key)

    def _arrange(self) -> None:
        tables = [self._found.table] if self._job is None else [self._found.table, self._result_table]
        self.children = (self._bar, *tables)

    def _refresh(self) -> None:
        """Show what there is now, and again for as long as something changes; so the last word is the ticker's."""
        try:
            self._show()
        finally:  # whoever observes a trait may raise
            self._ticker.wake()

    def _tick(self) -> None:
        """Show what there is now, as long as something changes, and once more."""
        is_live = self._is_due or self._is_sending() or not self._found.scan.is_over
        if is_live:
            self._ticker.wake()
        self._show()
        if not is_live and self._is_outdated:
            self.rescan()

    def _show(self) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self._found.take_found()
            job = self._job
            if job is not None and job.revision != self._seen:
                self._seen = job.revision
                self._found.table.changed()
                self._result_table.changed()
            facts = self._facts()
            self._bar.show(bar_state(facts))
            batch = job.batch if job is not None and job.is_over else self.result
            found = self._found.found
        self.set_trait("result", batch)
        self.set_trait("state", facts.state)
        self.set_trait("series", found)

    def _facts(self) -> Facts:
        job = self._job
        form = self._target if isinstance(self._target, SettingForm) else None
        errors = form.errors.values() if form is not None and not form.valid else ()
        edited = [] if job is None or job.setting == self.setting else ["setting"]
        if self._is_other_choice:
            edited.append("choice of sources")
        return Facts(
            setting=self.setting,
            scan=self._found.scan,
            is_scanned=self._found.is_complete,
            series=len(self._found.keys),
            checked=self._found.scan.count_of(self.selection),
            job=job,
            rate=self._pace.rate(job.answered, monotonic()) if job is not None and not job.is_over else 0.0,
            refusal=" and ".join(map(str, errors)),
            is_due=self._is_due,
            is_attached=self._is_attached,
            asks=self._asks,
            overwrites=self._overwrites,
            said=self._said,
            edited=" and the ".join(edited),
        )

    # What is pressed

    def _press(self, act: str, label: str, text: str) -> None:
        with self._lock:
            state = bar_state(self._facts())
        buttons = (*state.buttons, *state.answers)
        self._said = None
        try:
            if act == "export":
                self._export_to(Path(text.strip()).expanduser())
            elif any((one.act, one.label) == (act, label) and one.is_allowed for one in buttons):
                self._do(act)
            else:
                changed = "What is shown had changed when that was pressed; look, and press again."
                self._said = Note(changed, "warning")
        except (DicomkitError, OSError, ValueError, TypeError) as error:
            self._said = Note(str(error), "error")
        self._refresh()

    def _do(self, act: str) -> None:
        does: dict[str, Callable[[], object]] = {
            "send": self._start_or_ask,
            "confirm": self.start,
            "keep": self._keep,
            "pause": self.pause,
            "resume": self.resume,
            "cancel": self.cancel,
            "stop": self._found.scan.stop,
            "retry": self.retry_failed,
            "rescan": self.rescan,
            "overwrite": lambda: self._export_to(self._overwrites, is_answer=True),
        }
        does[act]()

    def _start_or_ask(self) -> None:
        self._asks = self._found.scan.count_of(self.selection) > _ASK_ABOVE
        if not self._asks:
            self.start()

    def _keep(self) -> None:
        self._asks, self._overwrites = False, None

    def _export_to(self, target: Path | None, *, is_answer: bool = False) -> None:
        self._overwrites = None
        if target is None or not target.name:
            raise ValueError("type a file name to save the rows under, such as results.csv")
        known_suffix(target)
        self._said = Note(f"Saving the rows as {target} \u2026")
        # In a thread: there may be 100,000 rows, and the kernel has other messages to answer.
        Thread(
            target=self._export_and_say, args=(target, is_answer), name="dicomkit export", daemon=True
        ).start()

    def _export_and_say(self, target: Path, is_answer: bool) -> None:
        try:
            self.export(target, overwrite=is_answer)
            self._said = Note(f"Rows saved as {target}.", "done")
        except FileExistsError:
            self._said, self._overwrites = None, target
        except OSError as error:
            self._said = Note(f"{target.name}: {error.strerror or error}.", "error")
        except (DicomkitError, ValueError) as error:
            self._said = Note(str(error), "error")
        self._refresh()


def _table_of(rows: BatchResults) -> Rows:
    return Rows(rows, label="What became of it", height_px=360)


def refuse_strange_options(options: Iterable[str]) -> None:
    """Raise a TypeError for what is no option of a panel."""
    unknown = sorted({*options} - _OPTIONS)
    if unknown:
        raise TypeError(f"send_batch takes no {', '.join(unknown)}; it takes {', '.join(sorted(_OPTIONS))}")


def _has_selected(sources: object) -> TypeGuard[Any]:
    """Whether the sources are what a widget has selected."""
    return isinstance(sources, t.HasTraits) and sources.has_trait("selected")
