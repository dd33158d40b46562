"""SettingForm: both sides in step, faults pointed at, files, echo, and what the browser makes of it."""

from __future__ import annotations

import gc
import json
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dicomkit.errors import Problem, SettingError
from dicomkit.results import Outcome
from dicomkit.scp import LocalSCP, RejectAssociation
from dicomkit.settings import FIELDS, DicomSenderSetting
from dicomkit.widgets import SettingForm
from dicomkit.widgets.form._files import MOST_SHOWN, list_folder
from dicomkit.widgets.form._layout import GROUPS, LABELS
from dicomkit.widgets.form._sides import JSON, Pointer, point_at
from tests.support.peers import free_port, wait_until
from tests.support.viewer_page import ViewerPage, Wire, browser, receive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

SECONDS = 20.0
NASTY = "<img src=x onerror=alert(1)>"
TYPE = "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow"
ODD = f"""{{
\t"$type" : "{TYPE}",
\t"Vendor":{{"$type":"X, Y","Weight":1.0}},
\t"RemotePort" : 11112,
\t"RemoteHost": "pacs",   "RemoteAET" : "MAIN"
}}"""
"""A setting in a layout of its own: unknown properties, fields in another order, most of them absent."""


@pytest.fixture
def form(tmp_path: Path) -> Iterator[SettingForm]:
    """A form of a setting that has no fault, whose files are looked up in an empty folder."""
    setting = DicomSenderSetting(remote_host="pacs", remote_port=11112, our_aet="US", remote_aet="MAIN")
    one = SettingForm(setting, folder=tmp_path)
    yield one
    one.close()


def form_of(text: str) -> SettingForm:
    one = SettingForm()
    one.type_json(text)
    return one


def tell(form: SettingForm, **content: Any) -> dict[str, Any]:
    """Send a custom message as a browser does, and return the last state that the form answers with."""
    if not isinstance(form.comm, Wire):
        form.comm = Wire(form)
    form.comm.take()
    receive(form, {"method": "custom", "content": content})
    messages = [data["content"] for data, _ in form.comm.take() if data["method"] == "custom"]
    json.dumps(messages).encode()  # plain values, whatever was typed
    return [message for message in messages if message["kind"] == "state"][-1]


def act(form: SettingForm, what: str, path: str = "") -> dict[str, Any]:
    return tell(form, kind="act", act=what, path=path)


def state_of(form: SettingForm) -> dict[str, Any]:
    return tell(form, kind="hello")


def pointers(form: SettingForm) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state_of(form)["pointers"]
    return found


# What it begins with


def test_a_form_of_nothing_is_a_new_setting_with_the_defaults() -> None:
    form = SettingForm()
    assert form.valid
    assert form.value == DicomSenderSetting(id=form.value.id)
    assert json.loads(form.json) == json.loads(form.value.to_json())


def test_a_form_of_a_setting_has_that_very_setting(form: SettingForm) -> None:
    setting = DicomSenderSetting()
    assert SettingForm(setting).value is setting


def test_a_form_of_a_path_has_what_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(ODD)
    form = SettingForm("odd.json", folder=tmp_path)
    assert form.value.remote_host == "pacs"
    assert form.path == tmp_path / "odd.json"
    assert not state_of(form)["file"]["can_undo"]


def test_a_form_of_a_path_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SettingForm(tmp_path / "none.json")


def test_every_field_has_one_control_and_its_meaning() -> None:
    names = [name for group in GROUPS for name in group.fields]
    assert sorted(names) == sorted(info.json_name for info in FIELDS) == sorted(LABELS)
    assert GROUPS[0].fields == ("RemoteHost", "RemotePort")
    assert GROUPS[1].fields == ("OurAET", "RemoteAET")


# Fields to JSON


def test_a_field_changes_its_own_property_and_nothing_else() -> None:
    form = form_of(ODD)
    form.type("RemotePort", "104")
    assert form.json == ODD.replace("11112", "104")
    assert form.value.remote_port == 104


def test_an_absent_field_is_written_where_it_belongs() -> None:
    form = form_of(ODD)
    form.type("our_aet", "US")
    assert form.json == ODD.replace('"RemotePort" : 11112,', '"RemotePort" : 11112,\n\t"OurAET" : "US",')
    assert state_of(form)["fields"]["OurAET"]["is_written"]
    assert not state_of(form)["fields"]["TimeoutSeconds"]["is_written"]


def test_a_port_out_of_range_is_refused_and_not_bent(form: SettingForm) -> None:
    before = form.json
    form.type("RemotePort", "70000")
    assert not form.valid
    assert form.errors["RemotePort"].message == "70000 is not a TCP port"
    assert form.text_of("RemotePort") == "70000"
    assert form.value.remote_port == 11112
    assert form.json == before
    assert state_of(form)["behind"] == ["RemotePort"]
    form.type("RemotePort", "7000")
    assert form.valid
    assert form.errors == {}
    assert form.value.remote_port == 7000


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("RemotePort", ""),
        ("RemotePort", "1e3"),
        ("RemoteHost", "pacs:104"),
        ("OurAET", "SEVENTEEN_LETTERS"),
        ("RemoteAET", "   "),
        ("Id", "12"),
        ("Version", "three"),
        ("MessageTypeOptions", "{"),
        ("$type", "Other, HL7SoupWorkflow"),
        ("TimeoutSeconds", "0"),
        ("TimeoutSeconds", "99999999999"),
    ],
)
def test_what_the_settings_model_refuses_is_invalid(form: SettingForm, field: str, text: str) -> None:
    value = form.value
    form.type(field, text)
    assert not form.valid
    assert list(form.errors) == [field]
    assert form.value is value
    assert form.text_of(field) == text


@pytest.mark.parametrize(
    ("field", "text", "written"),
    [
        ("RemotePort", " 0104 ", "104"),
        ("RemoteAET", "MAIN  ", '"MAIN"'),
        ("MessageType", "dicom", "16"),
        ("Disabled", "true", "true"),
        ("Filters", "{AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA}", '"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"'),
        ("Name", ' "Ätsch" \\ ', '" \\"Ätsch\\" \\\\ "'),
        ("MessageTypeOptions", '{"$type":"A, B","Scale":1.0,"Most":1e400}', None),
        ("MessageTypeOptions", "", "null"),
    ],
)
def test_what_was_typed_stays_as_it_was_typed(
    form: SettingForm, field: str, text: str, written: str | None
) -> None:
    form.type(field, text)
    assert form.valid
    assert form.text_of(field) == text
    assert f'"{field}": {text if written is None else written}' in form.json


def test_a_field_that_is_unknown_is_named(form: SettingForm) -> None:
    with pytest.raises(KeyError, match="Port"):
        form.type("Port", "1")


def test_a_field_mends_a_setting_without_its_type() -> None:
    for text in ("{}", '{ "RemotePort": 1 }', '{"RemotePort":1}'):
        form = form_of(text)
        assert list(form.errors) == ["$type"]
        form.type("$type", TYPE)
        assert form.valid
        assert next(iter(json.loads(form.json))) == "$type"


def test_a_field_mends_a_number_that_is_written_as_text() -> None:
    form = form_of(ODD.replace("11112", '"11112"'))
    assert form.text_of("RemotePort") == "11112"
    assert "without quotes" in form.errors["RemotePort"].remedy
    form.type("RemotePort", "11112")
    assert form.json == ODD
    assert form.valid


# JSON to fields


def test_the_json_changes_the_fields(form: SettingForm) -> None:
    form.type_json(ODD)
    assert form.json == ODD
    assert form.value.to_json() == ODD
    texts = {name: form.text_of(name) for name in ("RemoteHost", "RemotePort", "OurAET", "Disabled")}
    assert texts == {
        "RemoteHost": "pacs",
        "RemotePort": "11112",
        "OurAET": "HL7SOUP_SCU",
        "Disabled": "false",
    }


def test_values_that_no_field_takes_are_shown_as_they_are() -> None:
    form = form_of(
        f'{{"$type": "{TYPE}", "RemotePort": [1], "Disabled": "yes", "Name": "\\ud800", "Id": null}}'
    )
    assert form.text_of("RemotePort") == "[1]"
    assert form.text_of("Disabled") == "yes"
    assert form.text_of("Name") == "\ufffd"
    assert form.text_of("Id") == ""
    assert list(form.errors) == ["RemotePort", "Disabled"]
    assert "\\ud800" in state_of(form)["json"]


def test_a_refused_text_outlives_a_change_of_the_json_elsewhere(form: SettingForm) -> None:
    form.type("RemotePort", "70000")
    form.type_json(form.json.replace('"pacs"', '"archive"'))
    assert form.text_of("RemotePort") == "70000"
    assert form.text_of("RemoteHost") == "archive"
    assert not form.valid
    form.type_json(form.json.replace("11112", "104"))
    assert form.text_of("RemotePort") == "104"
    assert form.valid


def test_while_the_json_cannot_be_read_the_fields_wait(form: SettingForm) -> None:
    value, text = form.value, form.json
    form.type_json(text[:-1])
    assert list(form.errors) == [JSON]
    assert form.errors[JSON].message.startswith("line 18, column 1: ")
    assert form.text_of("RemotePort") == "11112"
    with pytest.raises(SettingError, match="the object is not closed"):
        form.type("RemotePort", "104")
    state = tell(form, kind="edit", number=1, fields={"RemotePort": "104"}, **{"from": "me"})
    assert state["is_json"] is False
    assert form.json == text[:-1]
    assert form.value is value
    form.type_json(text)
    assert form.valid


def test_windows_line_ends_are_kept() -> None:
    text = ODD.replace("\n", "\r\n")
    form = SettingForm(DicomSenderSetting.from_json(text))
    assert form.value.to_json() == text
    form.type("RemotePort", "104")
    assert form.value.to_json() == text.replace("11112", "104")
    form.type_json(form.json.replace("104", "105"))  # as a browser has it, with \n
    assert form.value.to_json() == text.replace("11112", "105")


def test_going_back_forgets_what_is_refused_on_either_side(form: SettingForm) -> None:
    value = form.value
    form.type("RemotePort", "x")
    form.type_json("{")
    form.revert()
    assert form.valid
    assert form.value is value
    assert form.text_of("RemotePort") == "11112"
    act(form, "undo")
    assert form.json == "{"


# Faults are pointed at


def test_a_fault_of_grammar_has_line_column_and_caret() -> None:
    form = form_of('{\n  "RemotePort": 104,,\n}')
    (found,) = pointers(form)
    assert (found["line"], found["column"]) == (2, 21)
    assert found["excerpt"] == '  "RemotePort": 104,,'
    assert found["caret"] == "                    ^"
    assert found["message"] == "a property name in double quotes is missing"


def test_a_fault_of_meaning_has_its_value_underlined() -> None:
    form = form_of(ODD.replace("11112", "70000"))
    (found,) = pointers(form)
    assert (found["line"], found["column"]) == (4, 17)
    assert form.json[found["start"] : found["end"]] == "70000"
    assert found["excerpt"] == '\t"RemotePort" : 70000,'
    assert found["caret"] == "\t               ^^^^^"
    assert found["message"] == "RemotePort: 70000 is not a TCP port"


def test_a_timeout_that_cannot_be_used_is_pointed_at_too() -> None:
    form = form_of(ODD.replace('"RemotePort"', '"TimeoutSeconds": 0, "RemotePort"'))
    assert [found["message"] for found in pointers(form)] == [
        "TimeoutSeconds: 0 s leaves no time to send anything"
    ]


def test_a_property_written_twice_is_pointed_at_where_it_comes_again() -> None:
    form = form_of(ODD.replace("\n}", ',\n  "RemotePort": 1\n}'))
    (found,) = pointers(form)
    assert (found["line"], found["column"]) == (6, 3)
    assert found["caret"] == "  " + "^" * len('"RemotePort"')


def test_what_is_missing_is_pointed_at_the_beginning() -> None:
    (found,) = pointers(form_of(' {"RemotePort": 104}'))
    assert (found["line"], found["column"], found["message"]) == (
        1,
        2,
        "$type: it is missing, so this could be any object",
    )


def point(text: str, field: str = "RemotePort") -> Pointer:
    return point_at(text, Problem("error", field, "wrong", "correct it"), None)


def test_places_are_counted_as_a_browser_counts() -> None:
    text = '{"Name": "😀😀", "RemotePort": 0}'
    found = point(text)
    in_utf16 = text.encode("utf-16-le")[2 * found.start : 2 * found.end].decode("utf-16-le")
    assert in_utf16 == "0"
    assert found.column == text.index(": 0") + 3


def test_the_caret_stands_under_wide_characters() -> None:
    found = point('{"Name": "病院", "RemotePort": 0}')
    assert found.caret.count("\u3000") == 2
    assert len(found.caret) == found.column


def test_of_a_long_line_only_the_part_around_the_fault_is_shown() -> None:
    found = point('{"Name": "' + "x" * 500 + '", "RemotePort": 70000, "OurAET": "' + "y" * 500 + '"}')
    assert len(found.excerpt) <= 66
    start = found.caret.index("^")
    assert found.excerpt[start : start + 5] == "70000"
    assert found.excerpt[0] == found.excerpt[-1] == "…"


def test_a_fault_at_the_end_of_the_text_has_its_caret() -> None:
    form = form_of('{"Name": "x"')
    (found,) = pointers(form)
    assert found["caret"] == " " * 12 + "^"


# Pitfalls


def test_pitfalls_are_shown_at_their_fields() -> None:
    form = SettingForm(DicomSenderSetting(timeout_seconds=12, message_template="text"))
    fields = state_of(form)["fields"]
    assert [note["severity"] for note in fields["TimeoutSeconds"]["notes"]] == ["warning"]
    assert "cannot be sent" in fields["MessageTemplate"]["notes"][0]["message"]
    assert form.valid
    assert form.errors == {}


def test_unknown_properties_are_spoken_of_beside_the_json() -> None:
    form = form_of(ODD.replace("Vendor", "remote_port"))
    assert [note["field"] for note in state_of(form)["others"]] == ["remote_port"]


def test_a_field_with_a_fault_shows_nothing_but_the_fault(form: SettingForm) -> None:
    form.type("RemotePort", "104")
    assert [note["severity"] for note in state_of(form)["fields"]["RemotePort"]["notes"]] == ["info"]
    form.type("RemotePort", "104000")
    assert [note["severity"] for note in state_of(form)["fields"]["RemotePort"]["notes"]] == ["error"]


# The value


def test_the_value_is_observable_and_agrees_with_the_errors(form: SettingForm) -> None:
    seen: list[tuple[int, bool, dict[str, Problem]]] = []
    form.observe(lambda change: seen.append((change.new.remote_port, form.valid, form.errors)), "value")
    form.type("RemotePort", "1")
    form.type("RemotePort", "x")
    form.type("RemotePort", "2")
    assert seen == [(1, True, {}), (2, True, {})]


def test_a_value_from_python_is_shown(form: SettingForm) -> None:
    form.type("RemotePort", "x")
    form.value = DicomSenderSetting.from_json(ODD)
    assert form.valid
    assert form.json == ODD
    assert form.text_of("RemoteAET") == "MAIN"


def test_a_value_that_cannot_be_used_is_shown_and_invalid() -> None:
    form = SettingForm(DicomSenderSetting(timeout_seconds=0))
    assert form.value.timeout_seconds == 0
    assert list(form.errors) == ["TimeoutSeconds"]


def test_an_observer_may_set_the_value(form: SettingForm) -> None:
    form.observe(lambda change: setattr(form, "value", change.new.replace(our_aet="FIXED")), "value")
    form.type("RemotePort", "1")
    assert (form.value.remote_port, form.value.our_aet) == (1, "FIXED")
    assert form.text_of("OurAET") == "FIXED"


# Files


def test_loading_shows_the_file_and_can_be_undone(form: SettingForm, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(ODD)
    form.type("Name", "before")
    state = act(form, "load", "odd.json")
    assert form.value.to_json() == ODD
    assert state["file"]["path"] == str(tmp_path / "odd.json")
    assert not state["file"]["is_changed"]
    state = act(form, "undo")
    assert form.value.name == "before"
    assert form.path is None
    assert state["file"]["is_changed"]


def test_a_file_with_faults_is_loaded_to_be_corrected(form: SettingForm, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(ODD.replace("11112", "70000"))
    value = form.value
    form.load("bad.json")
    assert not form.valid
    assert form.value is value
    form.type("RemotePort", "7000")
    form.save(overwrite=True)
    assert (tmp_path / "bad.json").read_text() == ODD.replace("11112", "7000") + "\n"


def test_a_file_that_is_no_text_says_where(form: SettingForm, tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(ODD.replace("pacs", "pücs").encode("latin-1"))
    state = act(form, "load", "latin.json")
    assert "line 5, column 18: the byte 0xFC is not UTF-8 text" in state["file"]["says"]
    assert not form.valid


@pytest.mark.parametrize("bom", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(form: SettingForm, tmp_path: Path, bom: str) -> None:
    (tmp_path / "bom.json").write_bytes(ODD.encode(bom))
    form.load("bom.json")
    assert form.json == ODD


def test_a_file_that_cannot_be_read_is_spoken_of(form: SettingForm) -> None:
    state = act(form, "load", "none.json")
    assert state["file"]["status"] == "error"
    assert "No such file" in state["file"]["says"]
    assert form.value.remote_host == "pacs"


def test_saving_under_a_new_name_writes_the_file(form: SettingForm, tmp_path: Path) -> None:
    state = act(form, "save", " new ")
    assert (tmp_path / "new.json").read_text() == form.value.to_json() + "\n"
    assert state["file"]["says"] == f"Saved {tmp_path / 'new.json'}."
    assert DicomSenderSetting.load(tmp_path / "new.json") == form.value


def test_saving_asks_before_it_overwrites(form: SettingForm, tmp_path: Path) -> None:
    target = tmp_path / "there.json"
    target.write_text("kept")
    assert act(form, "save", "there.json")["file"]["asks"] == str(target)
    assert act(form, "keep")["file"]["asks"] == ""
    assert target.read_text() == "kept"
    act(form, "save", "there.json")
    act(form, "overwrite", str(target))
    assert DicomSenderSetting.load(target) == form.value
    with pytest.raises(FileExistsError, match="overwrite=True"):
        form.save()
    assert list(tmp_path.iterdir()) == [target]


def test_only_the_file_that_was_asked_about_is_overwritten(form: SettingForm, tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text("kept")
    act(form, "save", "one.json")
    state = act(form, "overwrite", "two.json")
    assert state["file"]["asks"] == str(tmp_path / "two.json")
    assert (tmp_path / "two.json").read_text() == "kept"


def test_an_invalid_setting_is_not_saved(form: SettingForm, tmp_path: Path) -> None:
    form.type("RemotePort", "x")
    act(form, "save", "x.json")
    with pytest.raises(SettingError, match="whole number"):
        form.save("x.json")
    assert not (tmp_path / "x.json").exists()


def test_saving_without_a_name_asks_for_one(form: SettingForm) -> None:
    assert act(form, "save", " ")["file"]["says"].startswith("Type a file name")
    with pytest.raises(ValueError, match="give a path"):
        form.save()


def test_a_place_that_cannot_be_written_is_spoken_of(form: SettingForm, tmp_path: Path) -> None:
    state = act(form, "save", "none/x.json")
    assert state["file"]["status"] == "error"
    assert str(tmp_path / "none" / "x.json") in state["file"]["says"]


def test_a_new_setting_can_be_undone(form: SettingForm) -> None:
    before = form.value
    act(form, "new")
    assert form.value.remote_host == "127.0.0.1"
    assert form.value.id != before.id
    act(form, "undo")
    assert form.value is before


def test_a_folder_is_listed_with_its_json_files(form: SettingForm, tmp_path: Path) -> None:
    for name in ("b.json", "A.JSON", "notes.txt", ".hidden.json"):
        (tmp_path / name).write_text(ODD)
    (tmp_path / "sub").mkdir()
    listing = act(form, "load", "")["file"]["listing"]
    assert [name for name, _ in listing["files"]] == ["A.JSON", "b.json"]
    assert listing["folders"] == [["sub", str(tmp_path / "sub")]]
    assert act(form, "load", str(tmp_path / "sub"))["file"]["listing"]["parent"] == str(tmp_path)
    assert act(form, "load", str(tmp_path / "b.json"))["file"]["listing"] is None
    assert form.value.to_json() == ODD


def test_a_crowded_folder_says_how_many_are_left_out(tmp_path: Path) -> None:
    for number in range(MOST_SHOWN + 2):
        (tmp_path / f"{number}.json").touch()
    listing = list_folder(tmp_path)
    assert (len(listing.files), listing.left_out) == (MOST_SHOWN, 2)


# Echo and send


@pytest.mark.usefixtures("no_leaks")
def test_the_answer_to_an_echo_is_a_sentence() -> None:
    with LocalSCP(aet="MAIN") as scp:
        form = SettingForm(scp.setting())
        act(form, "echo")
        result = form.wait_for_echo(SECONDS)
        assert result is not None
        assert result.outcome is Outcome.STORED
        wait_until(lambda: not form.echoing, SECONDS, "the echo is over")
        echo = state_of(form)["echo"]
        assert echo["status"] == "done"
        assert echo["says"].startswith(f"'MAIN' at 127.0.0.1:{scp.port} answered in ")
        assert not echo["is_old"]
        form.type("RemotePort", "104")
        assert state_of(form)["echo"]["is_old"]
        form.close()


@pytest.mark.usefixtures("no_leaks")
def test_an_echo_that_is_rejected_says_why() -> None:
    with LocalSCP(faults=[RejectAssociation()]) as scp:
        form = SettingForm(scp.setting())
        form.echo()
        form.wait_for_echo(SECONDS)
        echo = state_of(form)["echo"]
        assert echo["status"] == "error"
        assert echo["says"].startswith("Rejected: ")
        assert echo["says"].endswith(".")
        form.close()


@pytest.mark.usefixtures("no_leaks")
def test_an_echo_of_nobody_says_so() -> None:
    form = SettingForm(DicomSenderSetting(remote_port=free_port()))
    form.echo()
    form.wait_for_echo(SECONDS)
    assert state_of(form)["echo"]["says"].startswith("Connection failed: connection refused")
    form.close()


@pytest.fixture
def silent_peer() -> Iterator[socket.socket]:
    """A listener that lets connect and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.usefixtures("no_leaks")
def test_an_echo_under_way_can_be_forgotten(silent_peer: socket.socket) -> None:
    port = silent_peer.getsockname()[1]
    form = SettingForm(DicomSenderSetting(remote_port=port, timeout_seconds=3600))
    state = act(form, "echo")
    assert state["echo"]["is_running"]
    assert state["echo"]["says"].startswith("Asking 'ANY_SCP' at 127.0.0.1:")
    run = form._echo
    assert run is not None
    form.echo()
    assert form._echo is run  # one at a time
    with pytest.raises(TimeoutError, match="cancel_echo"):
        form.wait_for_echo(0.01)
    act(form, "cancel_echo")
    assert not form.echoing
    assert run.wait(SECONDS)  # and not an hour
    assert form.echo_result is None
    form.close()


@pytest.mark.usefixtures("no_leaks")
def test_closing_the_form_ends_its_echo(silent_peer: socket.socket) -> None:
    port = silent_peer.getsockname()[1]
    form = SettingForm(DicomSenderSetting(remote_port=port, timeout_seconds=3600))
    form.echo()
    run = form._echo
    assert run is not None
    form.close()
    assert run.wait(SECONDS)  # and not an hour
    assert form.echo_result is None


def test_an_invalid_setting_is_neither_echoed_nor_sent() -> None:
    sent: list[DicomSenderSetting] = []
    form = SettingForm(on_send=sent.append)
    form.type("RemotePort", "x")
    assert state_of(form)["refusal"] == 'RemotePort: "x" is not a whole number'
    receive(form, {"method": "custom", "content": {"kind": "act", "act": "send"}})
    receive(form, {"method": "custom", "content": {"kind": "act", "act": "echo"}})
    assert not form.echoing
    with pytest.raises(SettingError):
        form.echo()
    assert sent == []
    form.type("RemotePort", "104")
    receive(form, {"method": "custom", "content": {"kind": "act", "act": "send"}})
    assert sent == [form.value]


# What crosses to the browser


def test_an_edit_is_answered_with_its_number(form: SettingForm) -> None:
    state = tell(form, kind="edit", number=7, fields={"RemotePort": "70000"}, **{"from": "me"})
    assert (state["from"], state["number"]) == ("me", 7)
    assert state["fields"]["RemotePort"]["text"] == "70000"


def test_the_json_comes_before_the_fields_of_an_edit(form: SettingForm) -> None:
    edit = {
        "kind": "edit",
        "from": "me",
        "number": 1,
        "json": ODD,
        "fields": {"RemotePort": "104", "None": "x"},
    }
    state = tell(form, **edit)
    assert state["json"] == ODD.replace("11112", "104")


@pytest.mark.parametrize("content", [None, 3, {}, {"kind": "act", "act": "close"}, {"kind": "else"}])
def test_messages_that_are_not_ours_are_passed_over(form: SettingForm, content: Any) -> None:
    state_of(form)
    receive(form, {"method": "custom", "content": content})
    assert form.comm.take() == []


def test_no_saved_notebook_holds_what_the_form_holds(form: SettingForm) -> None:
    form.type("RemoteHost", "secret.example")
    assert "secret.example" not in json.dumps(form.get_state(), default=str)


# Closing


def test_the_repr_says_little(form: SettingForm) -> None:
    assert repr(form) == "<SettingForm: valid>"


@pytest.mark.usefixtures("no_leaks")
def test_closing_frees_everything() -> None:
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    form = SettingForm(on_send=print)
    form.observe(lambda _: None, "value")
    form.close()
    form.close()
    assert set(_instances) == before
    gone = weakref.ref(form)
    del form
    gc.collect()
    assert gone() is None


# In the browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


class FormPage(ViewerPage):
    """A page with a form."""

    def __init__(self, chromium: Browser, form: SettingForm, **options: Any) -> None:
        super().__init__(chromium, form, **options)  # type: ignore[arg-type]
        self.form = form
        self.group = self.page.get_by_role("group", name="DICOM sender setting")

    def field(self, label: str) -> Locator:
        return self.group.get_by_label(label, exact=True)

    def button(self, name: str) -> Locator:
        return self.group.get_by_role("button", name=name, exact=True)

    @property
    def editor(self) -> Locator:
        return self.group.get_by_role("textbox", name="JSON")


@pytest.fixture
def page(chromium: Browser, form: SettingForm) -> Iterator[FormPage]:
    one = FormPage(chromium, form)
    yield one
    one.close()


def test_a_wrong_port_is_spoken_of_beside_its_field(page: FormPage) -> None:
    port = page.field("Port")
    port.press("ControlOrMeta+a")
    port.press_sequentially("70000")
    page.serve()
    assert port.input_value() == "70000"
    assert port.get_attribute("aria-invalid") == "true"
    notes = page.page.locator(f"#{port.get_attribute('aria-describedby').split()[0]}")
    assert notes.get_attribute("role") == "status"
    assert "70000 is not a TCP port; write a number from 1 to 65535" in notes.inner_text()
    echo = page.button("Echo")
    assert echo.get_attribute("aria-disabled") == "true"
    assert "70000 is not a TCP port" in (echo.get_attribute("title") or "")
    assert page.button("Save").get_attribute("aria-disabled") == "true"
    echo.dispatch_event("click")
    page.serve()
    assert not page.form.echoing
    port.fill("104")
    page.serve()
    assert echo.get_attribute("aria-disabled") == "false"
    assert page.form.value.remote_port == 104
    assert '"RemotePort": 104,' in page.editor.input_value()


def test_what_is_typed_meanwhile_is_not_overwritten(page: FormPage) -> None:
    host = page.field("Host")
    host.fill("a")
    host.fill("ab")  # Python has not answered the first
    sent, _ = page.exchange()
    assert [message["content"]["fields"] for message in sent] == [{"RemoteHost": "a"}]
    assert host.input_value() == "ab"
    seen = page.serve()
    assert [message["content"]["fields"] for message in seen] == [{"RemoteHost": "ab"}]
    assert page.form.value.remote_host == "ab"


def test_the_json_waits_for_quiet_and_goes_once(page: FormPage) -> None:
    before = page.editor.input_value()
    place = before.index("11112") + 5
    page.editor.evaluate("(one, place) => { one.focus(); one.setSelectionRange(place, place); }", place)
    page.editor.press_sequentially("34", delay=20)
    seen = page.serve(until=lambda: "RemotePort" in page.form.errors)
    edits = [message["content"] for message in seen if message["content"]["kind"] == "edit"]
    assert [edit["json"] for edit in edits] == [before.replace("11112", "1111234")]
    assert page.editor.input_value() == before.replace("11112", "1111234")
    assert page.editor.evaluate("(one) => one.selectionStart") == place + 2
    assert page.field("Port").input_value() == "1111234"


def test_leaving_the_json_does_not_wait(page: FormPage) -> None:
    page.editor.fill(ODD)
    page.field("Host").press("End")
    page.exchange()
    assert page.form.json == ODD


def test_a_fault_in_the_json_is_pointed_at_and_can_be_gone_to(page: FormPage) -> None:
    page.editor.fill(page.form.json.replace('"MAIN"', '"MAIN'))
    page.serve(until=lambda: not page.form.valid)
    place = page.button("Line 12, column 22")
    faults = page.group.locator(".dk-json-faults")
    assert faults.get_attribute("role") == "status"
    assert "line break or control character inside a text" in faults.inner_text()
    lines = (page.group.locator(".dk-excerpt").text_content() or "").split("\n")
    assert lines[1] == " " * 21 + "^"
    assert page.field("Host").evaluate("(one) => one.readOnly")
    place.click()
    line = page.editor.evaluate("(one) => one.value.slice(0, one.selectionStart).split('\\n').length")
    assert line == 12
    page.button("Back to the last valid").click()
    page.serve()
    assert page.form.valid
    assert not page.field("Host").evaluate("(one) => one.readOnly")


def test_two_views_agree(page: FormPage) -> None:
    page.page.evaluate("show()")
    first, second = page.field("Host").all()
    first.fill("archive")
    assert second.input_value() == "archive"
    page.serve()
    for editor in page.editor.all():
        assert '"RemoteHost": "archive"' in editor.input_value()


def test_a_folded_group_opens_on_a_fault(page: FormPage) -> None:
    timeout = page.field("Timeout in seconds")
    assert not timeout.is_visible()
    page.form.type("TimeoutSeconds", "0")
    page.serve()
    assert timeout.is_visible()
    assert "1 fault" in page.group.locator("summary", has_text="Advanced").inner_text()


def test_a_switch_changes_its_property(page: FormPage) -> None:
    page.group.locator("summary", has_text="Advanced").click()
    page.field("Disabled").check()
    page.serve()
    assert page.form.value.disabled
    assert "nothing is sent" in page.group.locator('[data-field="Disabled"] [role="status"]').inner_text()


def test_files_are_chosen_and_overwritten_by_keyboard(page: FormPage, tmp_path: Path) -> None:
    (tmp_path / f"{NASTY.replace('/', '')}.json").write_text(ODD.replace("pacs", "other"))
    page.button("Browse…").press("Enter")
    page.serve()
    entry = page.group.get_by_role("button", name=f"{NASTY}.json")
    entry.press("Enter")
    page.serve()
    assert page.form.value.remote_host == "other"
    page.button("Save").press("Enter")
    page.serve()
    question = page.group.get_by_role("alertdialog")
    assert NASTY in question.inner_text()
    focused = question.get_by_role("button", name="Keep it")
    assert focused.evaluate("(one) => one === document.activeElement")
    focused.press("Escape")
    page.serve()
    assert not question.is_visible()
    assert page.page.locator("img").count() == 0


def test_values_of_a_setting_are_shown_as_text(page: FormPage) -> None:
    page.form.type("Name", NASTY)
    page.form.type_json(page.form.json.replace('"Version"', f'"{NASTY}": "{NASTY}", "Version"'))
    page.form.type("RemoteHost", NASTY)
    page.serve()
    assert page.field("Name").input_value() == NASTY
    assert page.page.locator("img").count() == 0


def test_every_control_has_a_name(page: FormPage) -> None:
    nameless = page.page.evaluate(
        """() => [...document.querySelectorAll("input, textarea, select, button")]
          .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim())
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    ids = page.page.evaluate("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_the_echo_answers_in_the_form(page: FormPage) -> None:
    with LocalSCP() as scp:
        page.form.value = scp.setting()
        page.serve()
        page.button("Echo").click()
        page.serve(until=lambda: page.form.echo_result is not None and not page.form.echoing)
        page.serve()
        assert page.group.get_by_text("answered in").is_visible()


def test_a_kernel_that_is_silent_is_spoken_of(page: FormPage) -> None:
    page.field("Host").fill("later")
    page.page.get_by_text("The kernel is busy or gone").wait_for(timeout=SECONDS * 1000)
    page.serve()
    assert page.page.get_by_text("The kernel is busy or gone").count() == 0
    assert page.form.value.remote_host == "later"


def test_a_kernel_that_is_gone_is_spoken_of(page: FormPage) -> None:
    page.page.evaluate("() => { model.send = () => { throw new Error('Cannot send'); }; }")
    page.field("Host").fill("never")
    assert page.page.get_by_text("Run the cell again").is_visible()
