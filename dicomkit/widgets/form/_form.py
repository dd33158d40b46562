"""SettingForm: fill in a DicomSenderSetting by fields or as JSON, check that the peer answers, load and save it.

The kernel keeps both sides and judges every keystroke by the settings model; the browser shows what it is sent, and
never overwrites what is being typed. A message is the whole state, so that a view that was just opened, or missed some,
needs no other. All of it travels as custom messages, so no notebook holds the name of a host.

It is one anywidget and not a box of ipywidgets: a text box of those cannot be tied to its message for a screen reader,
nor wait for quiet, and such a form is 183 models to open, to reload and to free, against two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import traitlets as t

from dicomkit.errors import SettingError, without_folder
from dicomkit.sending import EchoResult
from dicomkit.settings import FIELD_OF, DicomSenderSetting, JsonFault, decode_json, field_called
from dicomkit.widgets._assets import javascript
from dicomkit.widgets._widget import MessageWidget
from dicomkit.widgets.form._echo import EchoRun, echo_state
from dicomkit.widgets.form._files import FileDesk, list_folder
from dicomkit.widgets.form._layout import described
from dicomkit.widgets.form._sides import Sides, normal_lines

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity


class SettingForm(MessageWidget):
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

    _esm = javascript("form/store.js", "form/fields.js", "form/json.js", "form/files.js", "form/form.js")

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
        self._answered: EchoRun | None = None
        self._heard: tuple[str, int] = ("", 0)  # the view that sent the last edit, and its number there
        super().__init__(value=start)
        self._set_traits()
        self.observe(self._on_value, "value")
        if setting is None or isinstance(setting, DicomSenderSetting):
            return
        try:
            self.load(setting)
        except OSError:
            self.close()
            raise
        self._undo = None

    # What Python may do

    @property
    def json(self) -> str:
        """The JSON side as it stands, with its faults."""
        return self._sides.text

    def text_of(self, field: str) -> str:
        """What the control of a field holds, by JSON or Python name.

        Parameters
        ----------
        field
            Its JSON or Python name.

        Raises
        ------
        KeyError
            When there is no such field.
        """
        return self._sides.field_text(_json_name(field))

    def type(self, field: str, text: str) -> None:
        """Type a text into the control of a field, as a person would; `errors` tells when it is refused.

        Parameters
        ----------
        field
            Its JSON or Python name.
        text
            All that the control holds then.

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
        """Type a text into the JSON side, all of it; `errors` tells what is wrong with it.

        Parameters
        ----------
        text
            All that the JSON side holds then.
        """
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
        """Show the setting in a JSON file; one with faults is shown with its faults, to be corrected.

        Parameters
        ----------
        path
            Of the JSON file; relative to `folder`.

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
        overwrite
            Whether a file that is there is replaced.

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

        Parameters
        ----------
        timeout_seconds
            How long to wait at most; without, as long as it takes.

        Returns
        -------
        EchoResult or None
            The last answer; None as long as there was none.

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
        self._on_send = None
        super().close()

    def __repr__(self) -> str:
        return f"<SettingForm: {'valid' if self.valid else 'invalid'}>"

    # What follows from a change

    def _on_value(self, change: Any) -> None:
        """Show a setting that Python put in; one that came from the form is there already."""
        with self._lock:
            if change.new is self._sides.setting:
                return
            self._sides = Sides.of(change.new)
        self._changed()

    def _changed(self) -> None:
        self._set_traits()
        self._send_state()

    def _set_traits(self) -> None:
        with self._lock:
            setting, errors = self._sides.setting, self._sides.errors
        with self.hold_trait_notifications():
            if setting is not None:
                self.value = setting
            self.set_trait("errors", errors)
            self.set_trait("valid", not errors)

    def _send_state(self) -> None:
        with self._lock:  # what is sent last is what was so last
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
            self._echo, self._answered = None, run
        with self.hold_trait_notifications():
            self.set_trait("echo_result", run.result)
            self.set_trait("echoing", False)
        self._send_state()

    # What the browser asks

    def _hear_hello(self, _content: object) -> None:
        self.send({"kind": "form", "groups": described(), "can_send": self._on_send is not None})
        self._send_state()

    def _hear_edit(self, content: dict[str, Any]) -> None:
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

    def _hear_act(self, content: dict[str, Any]) -> None:
        act, path = content.get("act"), str(content.get("path", ""))
        if act == "load":
            self._load_or_list(self._desk.resolved(path.strip()))
        elif act in ("unlist", "keep"):
            self._desk.say("", "")
            self._send_state()
        elif act == "save":
            self._save_or_ask(path)
        elif act == "overwrite":  # only what was asked about is overwritten
            self._save_or_ask(path, overwrite=self._desk.question == self._desk.target(path))
        elif act == "new":
            self.new()
        elif act == "undo":
            self._put_back()
        elif act == "revert":
            self.revert()
        elif act == "cancel_echo":
            self.cancel_echo()
        elif act == "echo" and self.valid:
            self.echo()
        elif act == "send" and self.valid and self._on_send is not None:
            self._on_send(self.value)

    def _load_or_list(self, target: Path) -> None:
        try:
            if target.is_dir():
                self._desk.say("", "", listing=list_folder(target))
            else:
                self.load(target)
        except OSError as error:
            self._desk.say_error(error, target)
        self._send_state()

    def _save_or_ask(self, path: str, *, overwrite: bool = False) -> None:
        target = self._desk.target(path)
        if not path.strip():
            self._desk.say("warning", "Type a file name to save under, such as send-to-pacs.json.")
        elif self.valid:
            try:
                self.save(target, overwrite=overwrite)
            except FileExistsError:
                self._desk.say("", "", question=target)
            except OSError as error:
                self._desk.say_error(error, target)
        self._send_state()

    def _put_back(self) -> None:
        """Put back what a load, a new setting or going back replaced."""
        if self._undo is not None:
            self._put(*self._undo)
            self._undo = None
            self._desk.say("done", "Put back what was there before.")
            self._changed()

    def _state(self) -> dict[str, Any]:
        with self._lock:
            sides, can_undo = self._sides, self._undo is not None
            return {
                "kind": "state",
                "from": self._heard[0],
                "number": self._heard[1],
                **sides.state(),
                "file": self._desk.state(
                    self.path, sides.text, is_faulty=bool(sides.errors), can_undo=can_undo
                ),
                "echo": echo_state(sides.setting, self._echo, self._answered),
            }


def _json_name(field: str) -> str:
    info = field_called(field)
    if info is None:
        raise KeyError(f"{field!r} is not a field of a DicomSenderSetting; see FIELDS")
    return info.json_name
