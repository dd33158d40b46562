"""SenderApp: choose, look, set, send and see, on one screen: the other widgets, what joins them, and a receiver to
practise with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import traitlets as t
from ipywidgets import Layout, VBox  # type: ignore[import-untyped]

from dicomkit.scp import LocalSCP
from dicomkit.settings import DicomSenderSetting
from dicomkit.widgets._app_look import LookStep
from dicomkit.widgets._bar import Button, Note, StepBar, StepState
from dicomkit.widgets._widget import ClosesLayout
from dicomkit.widgets.batch import BatchPanel, refuse_strange_options, running_jobs
from dicomkit.widgets.chooser import SourceChooser
from dicomkit.widgets.form import SettingForm
from dicomkit.widgets.image import ImageViewer
from dicomkit.widgets.tags import TagBrowser

__all__ = ["SenderApp"]

_PRACTICE = "PRACTICE"
_PEER = ("remote_host", "remote_port", "remote_aet")
_NO_PACS = (
    "No PACS at hand? A practice receiver on this machine takes what you send, and writes nothing to disk."
)
_NOTHING_CHOSEN = (
    "Nothing is chosen yet. What you choose in step 1 is listed here by series, and sent from here."
)


class SenderApp(ClosesLayout, VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Everything for sending DICOM without writing code, in four steps below each other.

    Parameters
    ----------
    folder : path
        What to begin with: it is open, and chosen. Without, the working folder is open, and nothing chosen; a batch of
        an earlier app that still runs is shown, with its setting and what it sends.
    setting : DicomSenderSetting or path
        What the form shows at first; a new setting without.
    **options
        As for `send_batch`, but `control` and `on_event`.

    Attributes
    ----------
    chooser : SourceChooser
    form : SettingForm
    panel : BatchPanel or None
        None while nothing is chosen. Observable.
    receiver : LocalSCP or None
        The one to practise with, while it runs. Observable.

    Notes
    -----
    What is chosen is scanned by the panel at once, in a thread, however much it is. What is chosen while a batch runs
    is for the next one.

    Raises
    ------
    TraitError
        `folder` is no folder.
    TypeError
        There is no such option.
    OSError
        A path was given for the setting that cannot be read.
    """

    panel = t.Instance(BatchPanel, allow_none=True, read_only=True)
    receiver = t.Instance(LocalSCP, allow_none=True, read_only=True)

    _is_closed = True  # until it is made: what cannot be made is closed as well when it is forgotten

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        setting: DicomSenderSetting | str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        refuse_strange_options(options)
        self._options = options
        self._before_practice: dict[str, Any] = {}
        self._fault = ""
        self.chooser = SourceChooser(folder)
        try:
            self.form = SettingForm(setting)
        except OSError:
            self.chooser.close()
            raise
        self._look = LookStep()
        self._choose_bar, self._send_bar = StepBar(), StepBar()
        self._set_bar = StepBar(self._press)
        where = "files and folders on the machine where this notebook's kernel runs"
        self._choose_bar.show(StepState("Choose", "1 Choose", where))
        self._send_place = VBox(layout=Layout(width="100%"))
        super().__init__(
            (
                *(self._choose_bar, self.chooser, self._look),
                *(self._set_bar, self.form, self._send_bar, self._send_place),
            ),
            layout=Layout(width="100%"),
        )
        self.add_class("dk-app")
        self._is_closed = False
        self.chooser.observe(self._on_selected, "selected")
        self.form.observe(self._show, "value")
        if folder is not None:
            self.chooser.selected = (self.chooser.folder,)
        elif setting is None:
            self._show_what_runs()
        self._show()

    # For Python

    @property
    def viewer(self) -> ImageViewer | None:
        """The viewer with the series that is looked at; None while there is none, and for a moment after a choice."""
        return self._look.viewer

    @property
    def browser(self) -> TagBrowser | None:
        """The tags of the instance in the viewer; None while there are none."""
        return self._look.browser

    def practise(self) -> LocalSCP:
        """Start a receiver on this machine, unless one runs, and point the form to it; returns the receiver.

        It takes every storage SOP class, and writes nothing to disk. `close` ends it.

        Raises
        ------
        OSError
            There is no free port.
        """
        receiver = self.receiver
        if receiver is None:
            receiver = LocalSCP(aet=_PRACTICE).start()
            self.set_trait("receiver", receiver)
        if not self._points_to(receiver):
            self._before_practice = {name: getattr(self.form.value, name) for name in _PEER}
            self.form.value = self.form.value.replace(
                remote_host=receiver.host, remote_port=receiver.port, remote_aet=receiver.aet
            )
        self._show()
        return receiver

    def end_practice(self) -> None:
        """End the receiver; a form that points to it gets back what it showed before."""
        receiver = self.receiver
        if receiver is None:
            return
        self.set_trait("receiver", None)
        receiver.stop()
        if self._points_to(receiver) and not self._is_closed:
            self.form.value = self.form.value.replace(**self._before_practice)
        self._show()

    def close(self) -> None:
        """Free all parts, and end the receiver; a batch under way goes on, and `BatchPanel.running` finds it."""
        if self._is_closed:
            return
        self._is_closed = True
        self.chooser.unobserve(self._on_selected, "selected")
        self.form.unobserve(self._show, "value")
        self.end_practice()
        self._look.close()
        if self.panel is not None:
            self.panel.close()
        for part in (
            *(self._choose_bar, self.chooser, self._set_bar, self.form, self._send_bar),
            *(self._send_place.layout, self._send_place),
        ):
            part.close()
        super().close()

    def __repr__(self) -> str:
        state = "nothing chosen" if self.panel is None else self.panel.state
        return f"<{type(self).__name__}: {state}>"

    # What follows from what is done

    def _on_selected(self, _change: object) -> None:
        """The panel looks at what else is chosen by itself; here it is made with the first choice."""
        panel, is_chosen = self.panel, bool(self.chooser.selected)
        if panel is None:
            if is_chosen:
                self._put(BatchPanel(self.form, self.chooser, **self._options))
        elif not is_chosen and panel.result is None and panel.state in ("scanning", "ready"):
            self._put(None)
        self._look.follow(self.panel if is_chosen else None)

    def _put(self, panel: BatchPanel | None) -> None:
        before = self.panel
        self.set_trait("panel", panel)
        self._send_place.children = () if panel is None else (panel,)
        if before is not None:
            before.close()
        self._show()

    def _show_what_runs(self) -> None:
        for job in running_jobs():
            sources = job.origin.sources
            if isinstance(sources, tuple) and all(isinstance(one, Path) for one in sources):
                self.form.value = job.setting
                self.chooser.selected = sources
                return

    def _points_to(self, receiver: LocalSCP) -> bool:
        setting = self.form.value
        return (setting.remote_host, setting.remote_port) == (receiver.host, receiver.port)

    def _press(self, act: str, _label: str, _text: str) -> None:
        self._fault = ""
        if act == "practise":
            try:
                self.practise()
            except OSError as error:
                self._fault = f"The practice receiver cannot listen: {error.strerror or error}."
                self._show()
        elif act == "end":
            self.end_practice()

    # What is shown

    def _show(self, _change: object = None) -> None:
        if self._is_closed:
            return
        self._set_bar.show(self._set_state())
        hint = "every instance gets a row that says what became of it"
        notes = [Note(_NOTHING_CHOSEN)] if self.panel is None else []
        self._send_bar.show(StepState("Send and see", "4 Send and see", hint, notes=notes))

    def _set_state(self) -> StepState:
        receiver = self.receiver
        filling = "Fill in host, port and AE title of a receiver on this machine"
        stop = Button("end", "Stop the practice receiver", "The form gets back what it showed before")
        place = receiver and f"{receiver.aet} listens at {receiver.host}:{receiver.port}"
        if receiver is None:
            buttons = [Button("practise", "Start a practice receiver", filling)]
            note = Note(_NO_PACS)
        elif self._points_to(receiver):
            buttons = [stop]
            note = Note(f"{place}, and the form points to it.", "done")
        else:
            buttons = [Button("practise", "Point the form to it", filling), stop]
            note = Note(f"{place}; the form points elsewhere.")
        notes = [note, Note(self._fault, "error")] if self._fault else [note]
        hint = "where it goes, and the names both sides go by; Echo asks whether the peer answers"
        return StepState("Set", "3 Set", hint, buttons=buttons, notes=notes)
