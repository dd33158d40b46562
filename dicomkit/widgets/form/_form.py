"""SettingForm: fill in a DicomSenderSetting by fields or as JSON, check that the peer answers, load and save it.

The one idea: the kernel keeps both sides and judges every keystroke by the settings model; the browser shows what it is
told and never overwrites what is being typed. All of it travels as custom messages, so no notebook holds a host's name.

It is one anywidget and not a box of ipywidgets: a text box of those cannot be tied to its message for a screen reader,
nor wait for quiet, and such a form is 183 models to open, to reload and to free, against two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from dicomkit.errors import SettingError, without_folder
from dicomkit.sending import EchoResult
from dicomkit.settings import FIELD_OF, DicomSenderSetting, JsonFault, decode_json, field_called
from dicomkit.widgets._assets import javascript, stylesheet
from dicomkit.widgets.form._echo import EchoRun
from dicomkit.widgets.form._files import FileDesk
from dicomkit.widgets.form._layout import described
from dicomkit.widgets.form._messages import Message, echo_state, file_state, sides_state
from dicomkit.widgets.form._sides import Sides, normal_lines

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity

__all__ = ["SettingForm"]


class SettingForm(anywidget.AnyWidget):
    """A form for a setting: fields on one side, its JSON on the other, both live.

    Parameters
    ----------
    setting : DicomSenderSetting or path, optional
        What to begin with; a path is loaded, as by `load`. A new setting without.
    folder : path
        Where names of files are looked up; the kernel's working folder without.
    on_send : callable, optional
        Called with `value` when Send is pressed; there is no such button without it.
    tls, identity
        With which to echo, as for `echo`.

    Attributes
    ----------
    value : DicomSenderSetting
        The last setting without a fault; observable, and may be set. While there is a fault it stays what it was.
    valid : bool
        Whether `value` is what the form shows.
    errors : dict of str to Problem
        What is the matter, by JSON name; ``"JSON"`` when the JSON side is no JSON. Not to be changed.
    path : Path or None
        The file that was loaded or saved last.
    echo_result : EchoResult or None
        The last answer to an echo.
    echoing : bool
        Whether an echo is under way.

    Raises
    ------
    OSError
        When a path is given that cannot be read.
    """

    _esm = javascript(
        "elements.js",
        "keys.js",
        "kernel.js",
        "form/store.js",
        "form/fields.js",
        "form/json.js",
        "form/files.js",
        "form/form.js",
    )
    _css = stylesheet()

    value = t.Instance(DicomSenderSetting)
    valid = t.Bool(True, read_only=True)
    errors = t.Dict(read_only=True)
    path = t.Instance(Path, allow_none=True, read_only=True)
    echo_result = t.Instance(EchoResult, allow_none=True, read_only=True)
    echoing = t.Bool(False, read_only=True)

    def __init__(
        self,
        setting: DicomSenderSetting | str | os.PathLike[str] | None = None,
        *,
        folder: str | os.PathLike[str] = ".",
        on_send: Callable[[DicomSenderSetting], object] | None = None,
        tls: TlsOptions | None = None,
        identity: UserIdentity | None = None,
    ) -> None:
        start = setting if isinstance(setting, DicomSenderSetting) else DicomSenderSetting()
        self._lock = RLock()
        self._sides = Sides.of(start)
        self._desk = FileDesk(folder, self._sides.text)
        self._undo: tuple[Sides, str, Path | None] | None = None
        self._on_send = on_send
        self._tls, self._identity = tls, identity
        self._echo: EchoRun | None = None
        self._asked: DicomSenderSetting | None = None
        self._heard: tuple[str, int] = ("", 0)
        super().__init__(value=start)
        self._tell_python()
        self.observe(self._on_value, "value")
        self.on_msg(self._hear)
        if not isinstance(setting, DicomSenderSetting) and setting is not None:
            self._start_with(setting)

    # What Python may do

    @property
    def json(self) -> str:
        """The JSON side as it stands, with its faults."""
        return self._sides.text

    def text_of(self, field: str) -> str:
        """What the control of a field holds, by JSON or Python name.

        Raises
        ------
        KeyError
            When there is no such field.
        """
        return self._sides.field_text(_json_name(field))

    def type(self, field: str, text: str) -> None:
        """Type a text into the control of a field, as a person would; `errors` tells when it is refused.

        Raises
        ------
        KeyError
            When there is no such field.
        SettingError
            When the JSON side is not JSON: the fields wait until it is.
        """
        with self._lock:
            self._sides.type_fields({_json_name(field): text})
        self._changed()

    def type_json(self, text: str) -> None:
        """Type a text into the JSON side, all of it; `errors` tells what is wrong with it."""
        with self._lock:
            self._sides.type_json(text)
        self._changed()

    def revert(self) -> None:
        """Show `value` again: forget what is refused on either side."""
        self._put(Sides.of(self.value), self._desk.saved_text, self.path)
        self._desk.say("done", "Back to the last setting without a fault.")
        self._changed()

    def new(self) -> None:
        """Begin a new setting, with the defaults."""
        sides = Sides.of(DicomSenderSetting())
        self._put(sides, sides.text, None)
        self._desk.say("done", "A new setting, with the defaults.")
        self._changed()

    def load(self, path: str | os.PathLike[str]) -> None:
        """Show the setting in a JSON file; one with faults is shown with its faults, to be mended.

        Raises
        ------
        OSError
            When the file cannot be read.
        """
        target = self._desk.resolved(path)
        try:
            data = target.read_bytes()
        except OSError as error:
            without_folder(error)
            raise
        try:
            text = decode_json(data)
        except JsonFault as fault:  # not text: what can be read of it is shown, so that it can be seen
            text = data.decode("utf-8", "replace")
            self._desk.say("error", f"{target}: {fault}.")
        else:
            self._desk.say("done", f"Loaded {target}.")
        sides = Sides(text)
        self._put(sides, sides.text, target)
        self._changed()

    def save(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Path:
        """Write `value` to a file, at once or not at all.

        Parameters
        ----------
        path
            The file that was loaded or saved last without.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileExistsError
            When there is such a file, unless `overwrite` is true.
        OSError
            When it cannot be written; what was there is then as before.
        SettingError
            While anything is invalid.
        ValueError
            When there is no path yet.
        """
        self._refuse_while_invalid()
        path = self.path if path is None else path
        if path is None:
            raise ValueError("the setting has no file yet; give a path")
        target = self._desk.resolved(path)
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target.name} is there already; save with overwrite=True to replace it")
        self.value.save(target)
        self._desk.saved_text = normal_lines(self.value.to_json())
        self.set_trait("path", target)
        self._desk.say("done", f"Saved {target}.")
        self._changed()
        return target

    def echo(self) -> None:
        """Ask the peer for a sign of life, on a thread; `echo_result` has the answer, `wait_for_echo` waits for it.

        Nothing happens while another echo is under way.

        Raises
        ------
        SettingError
            While anything is invalid.
        """
        self._refuse_while_invalid()
        with self._lock:
            if self._echo is not None:
                return
            self.set_trait("echoing", True)
            self._echo = EchoRun(self.value, self._on_answer, tls=self._tls, identity=self._identity)
        self._changed()

    def wait_for_echo(self, timeout_seconds: float | None = None) -> EchoResult | None:
        """Wait until the echo under way is answered, and return `echo_result`.

        Raises
        ------
        TimeoutError
            When it takes longer than `timeout_seconds`.
        KeyboardInterrupt
            When the kernel is interrupted; the echo is cancelled.
        """
        run = self._echo
        try:
            is_over = run is None or run.wait(timeout_seconds)
        except KeyboardInterrupt:
            self.cancel_echo()
            raise
        if not is_over:
            raise TimeoutError(
                f"no answer to the echo within {timeout_seconds:g} s; cancel_echo() forgets it"
            )
        return self.echo_result

    def cancel_echo(self) -> None:
        """Abort the echo under way, and wait for it no longer."""
        with self._lock:
            run, self._echo = self._echo, None
        if run is not None:
            run.abandon()
            self.set_trait("echoing", False)
            self._changed()

    def close(self) -> None:
        """Forget an echo under way, free observers and models; the view goes, too."""
        if self.comm is None:  # closed before
            return
        self.cancel_echo()
        self.on_msg(self._hear, remove=True)
        self.unobserve_all()
        self._on_send = None
        layout = self.layout
        super().close()
        layout.close()

    def __repr__(self) -> str:
        return f"<SettingForm: {'valid' if self.valid else 'invalid'}>"

    # What follows from a change

    def _start_with(self, path: str | os.PathLike[str]) -> None:
        try:
            self.load(path)
        except OSError:
            self.close()
            raise
        self._undo = None

    def _on_value(self, change: Any) -> None:
        """Show a setting that Python put in; one that came from the form is there already."""
        with self._lock:
            if change.new is self._sides.setting:
                return
            self._sides = Sides.of(change.new)
        self._changed()

    def _changed(self) -> None:
        self._tell_python()
        self._tell_browser()

    def _tell_python(self) -> None:
        with self._lock:
            setting, errors = self._sides.setting, self._sides.errors
        with self.hold_trait_notifications():
            if setting is not None:
                self.value = setting
            self.set_trait("errors", errors)
            self.set_trait("valid", not errors)

    def _tell_browser(self) -> None:
        with self._lock:  # what is told last is what was so last
            if self.comm is not None:
                self.send(self._state())

    def _refuse_while_invalid(self) -> None:
        if self.errors:
            raise SettingError(list(self.errors.values()))

    def _put(self, sides: Sides, saved_text: str, path: Path | None) -> None:
        """Show something else, and keep what was shown."""
        with self._lock:
            self._undo = self._sides, self._desk.saved_text, self.path
            self._sides, self._desk.saved_text = sides, saved_text
        self.set_trait("path", path)

    def _on_answer(self, run: EchoRun) -> None:
        with self._lock:
            if run is not self._echo:
                return
            self._echo, self._asked = None, run.setting
        with self.hold_trait_notifications():
            self.set_trait("echo_result", run.result)
            self.set_trait("echoing", False)
        self._tell_browser()

    # What the browser says

    def _hear(self, _widget: object, content: Any, _buffers: object) -> None:
        """Do what a custom message asks for; one that is not ours is passed over."""
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "hello":
            self.send({"kind": "form", "groups": described(), "can_send": self._on_send is not None})
            self._tell_browser()
        elif kind == "edit":
            self._take_edits(content)
        elif kind == "act":
            act = _ACTS.get(str(content.get("act")))
            if act is not None:
                act(self, str(content.get("path", "")))

    def _take_edits(self, content: Message) -> None:
        self._heard = str(content.get("from", "")), int(content.get("number", 0))
        text, fields = content.get("json"), content.get("fields")
        with self._lock:
            if isinstance(text, str) and text != self._sides.text:
                self._sides.type_json(text)
            if isinstance(fields, dict) and self._sides.fault is None:  # no control takes anything otherwise
                known = {name: str(typed) for name, typed in fields.items() if name in FIELD_OF}
                self._sides.type_fields(known)
            self._desk.status, self._desk.says = "", ""
        self._changed()

    def _act_load(self, path: str) -> None:
        target = self._desk.resolved(path.strip())
        try:
            if target.is_dir():
                self._desk.open(target)
            else:
                self.load(target)
        except OSError as error:
            self._desk.say_error(error, target)
        self._tell_browser()

    def _act_unlist(self, _path: str) -> None:
        self._desk.listing = None
        self._tell_browser()

    def _act_save(self, path: str) -> None:
        self._save_as_told(path, overwrite=False)

    def _act_overwrite(self, path: str) -> None:
        """Save after the question was answered; only what was asked about is overwritten."""
        self._save_as_told(path, overwrite=self._desk.question == self._desk.target(path))

    def _save_as_told(self, path: str, *, overwrite: bool) -> None:
        target = self._desk.target(path)
        if not path.strip():
            self._desk.say("warning", "Type a file name to save under, such as send-to-pacs.json.")
        elif self.valid:
            try:
                self.save(target, overwrite=overwrite)
            except FileExistsError:
                self._desk.ask(target)
            except OSError as error:
                self._desk.say_error(error, target)
        self._tell_browser()

    def _act_keep(self, _path: str) -> None:
        self._desk.question = None
        self._tell_browser()

    def _act_new(self, _path: str) -> None:
        self.new()

    def _act_undo(self, _path: str) -> None:
        """Put back what a load, a new setting or going back replaced."""
        if self._undo is None:
            return
        self._put(*self._undo)
        self._undo = None
        self._desk.say("done", "Put back what was there before.")
        self._changed()

    def _act_revert(self, _path: str) -> None:
        self.revert()

    def _act_echo(self, _path: str) -> None:
        if self.valid:
            self.echo()

    def _act_cancel_echo(self, _path: str) -> None:
        self.cancel_echo()

    def _act_send(self, _path: str) -> None:
        if self.valid and self._on_send is not None:
            self._on_send(self.value)

    # What the browser is told

    def _state(self) -> Message:
        with self._lock:
            sides, run = self._sides, self._echo
            asking = None if run is None else run.setting
            return {
                "kind": "state",
                "from": self._heard[0],
                "number": self._heard[1],
                **sides_state(sides),
                "file": file_state(self._desk, self.path, sides, can_undo=self._undo is not None),
                "echo": echo_state(sides.setting, asking, self._asked, self.echo_result),
            }


_ACTS: dict[str, Callable[[SettingForm, str], None]] = {
    "load": SettingForm._act_load,
    "unlist": SettingForm._act_unlist,
    "save": SettingForm._act_save,
    "overwrite": SettingForm._act_overwrite,
    "keep": SettingForm._act_keep,
    "new": SettingForm._act_new,
    "undo": SettingForm._act_undo,
    "revert": SettingForm._act_revert,
    "echo": SettingForm._act_echo,
    "cancel_echo": SettingForm._act_cancel_echo,
    "send": SettingForm._act_send,
}


def _json_name(field: str) -> str:
    info = field_called(field)
    if info is None:
        raise KeyError(f"{field!r} is not a field of a DicomSenderSetting; see FIELDS")
    return info.json_name
