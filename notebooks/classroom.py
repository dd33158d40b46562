"""What the notebooks bring along: tables set for reading, and the checks of the exercises.

A check looks at what was made, not at how, says the next thing that is missing, and never raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from dicomkit import DicomSenderSetting, Outcome, SendResult, SettingError
from dicomkit.settings import Binding

__all__ = [
    "table",
    "problems_in",
    "Verdict",
    "corrected",
    "stored",
    "template",
    "answered",
    "waited",
    "kept_dicom",
]

SOURCE_GUID = "11111111-1111-1111-1111-111111111111"

# A ${GUID inbound} is not a formula: without these classes what is between two dollar signs is set as one.
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"


class table:  # noqa: N801, it reads as the function that it is for its users
    """A frame for reading: whole sentences, set to the left and wrapped, numbers to the right."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame.reset_index() if frame.index.names != [None] else frame

    def __repr__(self) -> str:
        return self.frame.to_string(index=False)

    def _repr_html_(self) -> str:
        frame = self.frame
        sides = ["right" if is_numeric_dtype(kind) else "left" for kind in frame.dtypes]
        head = "".join(_cell("th", name, side) for name, side in zip(frame.columns, sides, strict=True))
        rows = [
            "".join(_cell("td", value, side) for value, side in zip(row, sides, strict=True))
            for row in frame.itertuples(index=False)
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f'<table class="{_NO_FORMULAS}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(kind: str, value: object, side: str) -> str:
    return f'<{kind} style="text-align: {side}; vertical-align: top">{escape(_shown(value))}</{kind}>'


def _shown(value: object) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def problems_in(folder: Path) -> pd.DataFrame:
    """The problems of every setting in a folder, whether it loads or is refused, by the name of its file."""
    problems = {}
    for file in sorted(folder.glob("*.json")):
        try:
            found = DicomSenderSetting.load(file).problems()
        except SettingError as error:
            found = list(error.problems)
        problems[file.stem] = pd.DataFrame(found)
    return pd.concat(problems, names=["file", "line"]).droplevel("line")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check has to say: whether the exercise is solved, and a sentence."""

    solved: bool
    says: str

    @property
    def head(self) -> str:
        return "Solved." if self.solved else "Not solved yet."

    def __repr__(self) -> str:
        return f"{self.head} {self.says}"

    def _repr_html_(self) -> str:
        # The words and the sign say it; the colour of the theme, where there is one, says it again.
        sign, colour = ("\u2713", "success") if self.solved else ("\u25cb", "warn")
        bar = f"4px solid var(--jp-{colour}-color1, currentColor)"
        return (
            f'<div role="status" class="{_NO_FORMULAS}" style="border-left: {bar}; padding: 4px 12px; margin: 4px 0">'
            f"{sign} <b>{self.head}</b> {escape(self.says)}</div>"
        )


def corrected(text: object) -> Verdict:
    """Exercise 1: a setting's JSON that has five faults."""
    if not isinstance(text, str):
        return _not_yet(f"Give the JSON as a text; this is {_kind(text)}.")
    try:
        setting = DicomSenderSetting.from_json(text)
    except SettingError as error:
        return _not_yet(str(error.problems[0]))
    wanted = {
        "RemoteHost": (setting.remote_host, "archive.example"),
        "RemotePort": (setting.remote_port, 11112),
        "RemoteAET": (setting.remote_aet, "ARCHIVE"),
        "OurAET": (setting.our_aet, "READING_ROOM"),
        "MessageType": (setting.message_type, 16),
    }
    for field, (found, meant) in wanted.items():
        if found != meant:
            return _not_yet(f"It loads, but {field} is {found!r}; {meant!r} is meant.")
    return Verdict(True, f"It loads, and goes from {setting.our_aet} to {setting.remote_aet}.")


def stored(result: object) -> Verdict:
    """Exercise 2: the bytes of a file, made into a message that can be sent."""
    refusal = _not_stored(result)
    return refusal or Verdict(
        True, "The object was a DicomMessage, so it was stored, whatever MessageType said."
    )


def template(text: object) -> Verdict:
    """Exercise 3: a template that yields a message, not text."""
    if not isinstance(text, str):
        return _not_yet(f"A template is a text; this is {_kind(text)}.")
    setting = DicomSenderSetting(message_template=text)
    found = setting.binding
    if found is None:
        problems = [problem for problem in setting.problems() if problem.field == "MessageTemplate"]
        return _not_yet(str(problems[0]))
    if found != Binding(SOURCE_GUID, "inbound"):
        return _not_yet(
            f"It is a binding now, to the {found.direction} message of {found.guid};"
            f" the inbound one of {SOURCE_GUID} is meant."
        )
    return Verdict(True, "Exactly one binding, so the message object itself comes through.")


def answered(result: object) -> Verdict:
    """Exercise 4: both AE titles right, so that the peer answers."""
    refusal = _not_stored(result)
    return refusal or Verdict(True, "The peer answers: address, called title and calling title are right.")


def waited(result: object, after_the_dialog: object) -> Verdict:
    """Exercise 5: a timeout that is long enough, and what the original's dialog leaves of it."""
    refusal = _not_stored(result)
    if refusal is not None:
        return refusal
    if after_the_dialog is None:
        return _not_yet(
            "It was stored. Now the second half: what is TimeoutSeconds after a save in the dialog?"
        )
    if after_the_dialog != 30:
        return _not_yet(
            f"It was stored, but the dialog leaves another number than {after_the_dialog!r}; "
            "as_saved_by_dialog() shows which."
        )
    return Verdict(True, "It waited long enough, and you know that the dialog puts 30 back.")


def kept_dicom(result: object) -> Verdict:
    """Exercise 6: a transformer that changes the message, and leaves it DICOM."""
    refusal = _not_stored(result)
    if refusal is not None:
        return refusal
    if not isinstance(result, SendResult) or result.source != "<dataset>":
        return _not_yet("It was stored, but as the file is; send what the transformer changed.")
    return Verdict(True, "Changed, and still a DicomMessage.")


def _not_stored(result: object) -> Verdict | None:
    """Why an exercise that ends with something stored is not solved; None when it was stored."""
    if not isinstance(result, SendResult):
        return _not_yet(f"Give what send or echo returned; this is {_kind(result)}.")
    if not result.outcome.is_stored:
        hint = (
            "the message object decides" if result.outcome is Outcome.INVALID_MESSAGE else "read the detail"
        )
        return _not_yet(f"{result.outcome}, {hint}: {result.detail}.")
    return None


def _not_yet(says: str) -> Verdict:
    return Verdict(False, says)


def _kind(answer: object) -> str:
    return "nothing" if answer is None else f"a {type(answer).__name__}"
