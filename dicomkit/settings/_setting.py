"""The DicomSenderSetting: where to send, under which names, and everything else its JSON holds.

A setting is immutable and keeps the JSON it was read from: writing it gives the same JSON back, unknown properties and
key order included, and a changed one differs in that property only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dicomkit.errors import Problem, SettingError, file_name, without_folder
from dicomkit.settings._fields import FIELD_OF, FIELDS, SettingFields, field_called
from dicomkit.settings._json import (
    JsonDocument,
    JsonFault,
    Places,
    decode_json,
    encode_value,
    escape_surrogates,
    read_value,
)
from dicomkit.settings._problems import Binding, binding_of, pitfalls, timeout_pitfalls
from dicomkit.settings._values import SettingValues

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, Unpack

    from pandas import DataFrame

_DOCUMENT = "JSON"  # the `field` of a problem that is the whole text's


class DicomSenderSetting(SettingValues):
    """A setting that sends DICOM to a peer by C-STORE.

    Give fields by their Python or JSON names (``remote_host="pacs"`` or ``RemoteHost="pacs"``); the others take
    their defaults, shown below, and `id` a new GUID. `load` and `from_json` read an existing setting, `replace`
    makes a changed one.

    Attributes
    ----------
    type_name : str
        The ``$type``.
    id, filters, transformers : str
        GUIDs in lower case with hyphens, however they are written; all zeros for none, null or absent.
    name, message_template : str
        ``""``; null reads as ``""``.
    version : int
        3.
    message_type : int
        ``MessageType.DICOM`` (16); a plain int where the number is no `MessageType`.
    remote_host, remote_port : str, int
        ``"127.0.0.1"``, 104: where the peer (SCP) listens.
    our_aet, remote_aet : str
        ``"HL7SOUP_SCU"``, ``"ANY_SCP"``: calling and called AE title, without the spaces around them that do not
        count (PS3.5 section 6.2).
    timeout_seconds : int
        30 s of silence at most, in every phase.
    transformers_not_available, disabled : bool
        False.

    Raises
    ------
    SettingError
        When a value is none that its field takes; `problems` has one entry for each.
    TypeError
        When a keyword is no field, or a field is given by both of its names.

    Notes
    -----
    Two settings are equal when they are the same JSON value; key order and layout do not count.
    """

    def __init__(self, **fields: Unpack[SettingFields]) -> None:
        from uuid import uuid4

        values: dict[str, object] = {info.json_name: info.default for info in FIELDS} | {"Id": uuid4()}
        encoded = _encoded(values) | _encoded(_by_json_name(fields))
        lines = ",\n".join(f"  {encode_value(name)}: {value}" for name, value in encoded.items())
        super().__init__(JsonDocument.parse(f"{{\n{lines}\n}}"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The setting that a JSON text is; bytes are UTF-8, or UTF-16 or UTF-32, with or without byte order mark.

        A property may be absent, and then reads as its default; ``$type`` may not, since without it any JSON
        object would pass for a setting. The same name twice is refused: readers differ in which one counts.

        Parameters
        ----------
        text
            One JSON object, kept to the letter.

        Raises
        ------
        SettingError
            When it is not JSON (the problem has line and column, and so has the `JsonFault` that is its cause), not
            a DicomSenderSetting, or has values that its fields do not take.
        """
        try:
            document = JsonDocument.parse(decode_json(text) if isinstance(text, bytes) else text)
        except JsonFault as fault:
            message = f"line {fault.line}, column {fault.column}: {fault.fault}"
            raise SettingError([Problem("error", _DOCUMENT, message, fault.remedy)]) from fault
        return cls._of(document)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The setting in a JSON file.

        Parameters
        ----------
        path
            Of the JSON file.

        Raises
        ------
        OSError
            When the file cannot be read.
        SettingError
            As `from_json`; its text names the file.
        """
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            without_folder(error)
            raise
        try:
            return cls.from_json(data)
        except SettingError as error:
            error.args = (f"{file_name(path)}:\n{error}",)
            raise

    @property
    def binding(self) -> Binding | None:
        """The activity whose message object the template yields, or None when it yields text or nothing."""
        return binding_of(self.message_template)

    def replace(self, **changes: Unpack[SettingFields]) -> Self:
        """This setting with some fields changed, given by Python or JSON name; all else stays as it is written.

        A field that was absent is written after the one before it in the usual order.

        Parameters
        ----------
        **changes
            The new values, by Python or JSON name.

        Raises
        ------
        SettingError, TypeError
            As the class.
        """
        order = tuple(info.json_name for info in FIELDS)
        document = self._document
        for json_name, encoded in _encoded(_by_json_name(changes)).items():
            document = document.with_value(json_name, encoded, after=order[: order.index(json_name)])
        return type(self)._of(document)

    def __replace__(self, **changes: Unpack[SettingFields]) -> Self:
        return self.replace(**changes)

    def to_json(self) -> str:
        """The setting as JSON text: the text it was read from, without byte order mark, except for what was changed."""
        return self._document.writable_text()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the setting to a file, in UTF-8; a file that was there is replaced at once or not at all.

        Parameters
        ----------
        path
            Where to; of a link, what it points to is replaced.

        Raises
        ------
        OSError
            When it cannot be written; the file that was there is then as before.
        """
        from pathlib import Path

        from dicomkit._support.files import save_whole

        text = self.to_json()
        # A link stays a link, and what it points to is replaced.
        save_whole(Path(path).resolve(), (text if text.endswith("\n") else text + "\n").encode("utf-8"))

    def problems(self) -> list[Problem]:
        """What is wrong with the setting or will surprise, in the order of the fields.

        An error means that send refuses it, a warning that something else than was meant may happen, an info that
        there is something to know.
        """
        return pitfalls(self)

    def usability_problems(self) -> list[Problem]:
        """The problems of severity ``"error"`` alone, found without looking for the others."""
        return [found for found in timeout_pitfalls(self.timeout_seconds) if found.severity == "error"]

    def explain(self) -> DataFrame:
        """A row for every field, and for every unknown property, of what it is and does.

        Returns
        -------
        DataFrame
            Columns ``field``, ``value``, ``default``, ``meaning``, ``effect at runtime``.
        """
        from pandas import DataFrame, Series

        rows: list[tuple[str, object, object, str, str]] = []
        for info in FIELDS:
            absent = "" if self.is_written(info.json_name) else " Not in the JSON: the default counts."
            value = getattr(self, info.attribute)
            rows.append((info.json_name, value, info.new or info.default, info.meaning, info.effect + absent))
        for name, value in self.unknown_properties.items():
            rows.append((name, value, None, "Not a field of this setting.", "Nothing; it is kept as it is."))
        names = ("field", "value", "default", "meaning", "effect at runtime")
        kinds = ("str", "object", "object", "str", "str")
        columns = zip(*([_shown(cell) for cell in row] for row in rows), strict=True)
        return DataFrame(
            {
                name: Series(list(column), dtype=kind)
                for name, kind, column in zip(names, kinds, columns, strict=True)
            }
        )

    def as_saved_by_dialog(self) -> Self:
        """What a save in the original's dialog would leave: ``TimeoutSeconds`` is 30 again, where it is written.

        That much is documented. Whether the dialog also drops unknown properties or writes out absent ones is not,
        so they are left as they are.
        """
        default = FIELD_OF["TimeoutSeconds"].default
        if self.timeout_seconds == default or not isinstance(default, int):
            return self
        return self.replace(timeout_seconds=default)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DicomSenderSetting):
            return NotImplemented
        return self._document.canonical() == other._document.canonical()

    def __hash__(self) -> int:
        return hash(self._document.canonical())

    def __repr__(self) -> str:
        return f"<DicomSenderSetting {self.name!r}: {self.our_aet} -> {self.remote_aet} at {self._address()}>"

    def _address(self) -> str:
        host = f"[{self.remote_host}]" if ":" in self.remote_host else self.remote_host
        return f"{host}:{self.remote_port}"

    def _repr_html_(self) -> str:
        """Show in a notebook where it sends, in whose name, and what is wrong with it or will surprise."""
        from dicomkit._support.html import facts_table, marked, rows_table, shown

        tones = {"error": "bad", "warning": "warning"}
        problems = [found for found in self.problems() if found.severity in tones]
        facts = {
            "Peer": f"{self.remote_aet} at {self._address()}",
            "Our AE title": self.our_aet,
            "Timeout": f"{self.timeout_seconds} s for each phase",
            "State": "disabled: sends nothing" if self.disabled else "",
            "Problems": "" if problems else marked("good", "none"),
        }
        table = facts_table(f"DicomSenderSetting {self.name}".rstrip(), facts)
        if not problems:
            return shown(table)
        rows = [(marked(tones[one.severity], one.field), one.message, one.remedy) for one in problems]
        return shown(table, rows_table("", ("Problem", "What is the matter", "What to do"), rows))


def locator(text: str) -> Callable[[str], tuple[int, int] | None]:
    """What finds line and column, from 1, of a property's value in a setting's text; may raise JsonFault."""
    document = JsonDocument.parse(text)
    starts: dict[str, int] = {}
    for found in document.properties:
        starts.setdefault(found.name, found.value_start)
    places = Places(document.text)
    return lambda name: places.at(starts[name]) if name in starts else None


def _by_json_name(fields: SettingFields) -> dict[str, object]:
    given: dict[str, object] = {}
    for keyword, value in fields.items():
        info = field_called(keyword)
        if info is None:
            raise TypeError(_unknown_keyword(keyword))
        if info.json_name in given:
            raise TypeError(f"{info.json_name} is given twice, as {info.attribute} too; give it once")
        given[info.json_name] = value
    return given


def _unknown_keyword(keyword: str) -> str:
    from difflib import get_close_matches

    attributes = [info.attribute for info in FIELDS]
    close = get_close_matches(keyword.lower(), attributes, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(attributes)}"
    return f"{keyword!r} is not a field of a DicomSenderSetting; {hint}"


def _shown(cell: object) -> object:
    """A cell of `explain`, which can be printed and saved: JSON can say lone surrogates, and no encoding can."""
    if isinstance(cell, dict):
        return {escape_surrogates(name): _shown(value) for name, value in cell.items()}
    if isinstance(cell, list):
        return list(map(_shown, cell))
    return escape_surrogates(cell) if isinstance(cell, str) else cell


def _encoded(values: dict[str, object]) -> dict[str, str]:
    encoded: dict[str, str] = {}
    problems = []
    for json_name, value in values.items():
        try:
            encoded[json_name] = encode_value(value)
            read_value(encoded[json_name])  # one that is nested too deeply could be written
        except (TypeError, ValueError, RecursionError):
            shown = "a number of thousands of digits" if isinstance(value, int) else repr(value)[:60]
            message = f"{shown} ({type(value).__name__}) cannot be written as JSON"
            remedy = "give a text, a number, a truth value or None"
            problems.append(Problem("error", json_name, message, remedy))
    if problems:
        raise SettingError(problems)
    return encoded
