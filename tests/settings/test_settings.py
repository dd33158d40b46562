"""The setting: lossless JSON, faults that name field, value and remedy, and honest problems."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dicomkit
from dicomkit import DicomSenderSetting, MessageType
from dicomkit.errors import Problem, SettingError
from dicomkit.settings import FIELD_OF, FIELDS, JsonFault, locator, position
from dicomkit.settings._fields import ZERO_GUID, SettingFields, parse_field, parse_field_text
from dicomkit.settings._json import Places

TYPE = "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow"
GUID = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
OTHER = "11111111-1111-1111-1111-111111111111"

TYPICAL = """{
  "$type": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow",
  "Id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
  "Name": "Send to PACS",
  "Version": 3,
  "MessageType": 16,
  "MessageTypeOptions": null,
  "MessageTemplate": "${11111111-1111-1111-1111-111111111111 inbound}",
  "RemoteHost": "127.0.0.1",
  "RemotePort": 104,
  "OurAET": "HL7SOUP_SCU",
  "RemoteAET": "ANY_SCP",
  "TimeoutSeconds": 30,
  "Filters": "00000000-0000-0000-0000-000000000000",
  "Transformers": "00000000-0000-0000-0000-000000000000",
  "TransformersNotAvailable": false,
  "Disabled": false
}
"""
BASIC = """{
  "$type": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow",
  "Id": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
  "Name": "Send to PACS",
  "MessageType": 16,
  "MessageTemplate": "${11111111-1111-1111-1111-111111111111 inbound}",
  "RemoteHost": "10.0.0.25",
  "RemotePort": 104,
  "OurAET": "HL7SOUP_SCU",
  "RemoteAET": "ANY_SCP"
}"""
ALTERNATE = """{
  "$type": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow",
  "Id": "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb",
  "Name": "Send to Archive Node",
  "MessageType": 16,
  "MessageTemplate": "${22222222-2222-2222-2222-222222222222 outbound}",
  "RemoteHost": "dicom.archive.local",
  "RemotePort": 11112,
  "OurAET": "HL7SOUP_SCU",
  "RemoteAET": "ARCHIVE_SCP"
}"""
EXAMPLES = {"typical": TYPICAL, "basic": BASIC, "alternate": ALTERNATE}

VALID: dict[str, Any] = {
    "remote_host": "pacs.example.org",
    "remote_port": 11112,
    "our_aet": "US",
    "remote_aet": "THEM",
    "timeout_seconds": 7,
    "id": "12345678-1234-1234-1234-123456789abc",
    "name": "Größe, 日本語",
    "version": 2,
    "message_type": 13,
    "message_type_options": {"$type": "X, Y", "a": [1.5, None]},
    "message_template": "x",
    "filters": OTHER,
    "transformers": OTHER,
    "transformers_not_available": True,
    "disabled": True,
}


def with_property(name: str, literal: str) -> str:
    """A setting's JSON in which `name` is written as the JSON text `literal`."""
    shown = {name: literal} | ({} if name == "$type" else {"$type": json.dumps(TYPE)})
    return "{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in reversed(shown.items())) + "}"


def refused(text: str | bytes) -> Problem:
    with pytest.raises(SettingError) as caught:
        DicomSenderSetting.from_json(text)
    (problem,) = caught.value.problems
    assert problem.severity == "error"
    return problem


def by_field(setting: DicomSenderSetting, column: str) -> dict[str, Any]:
    """One column of the explanation, by field."""
    frame = setting.explain()
    return dict(zip(frame["field"], frame[column], strict=True))


def problems_of(field: str, **changes: Any) -> list[tuple[str, str]]:
    """Severity and text of the problems of one field, in a setting that otherwise has none of its own there."""
    setting = DicomSenderSetting.from_json(TYPICAL).replace(**changes)
    return [
        (found.severity, f"{found.message}; {found.remedy}")
        for found in setting.problems()
        if found.field == field
    ]


# --- defaults, names and types -----------------------------------------------------------------------------------


def test_a_new_setting_writes_every_field_of_the_typical_shape_in_its_order() -> None:
    setting = DicomSenderSetting()
    assert list(json.loads(setting.to_json())) == list(json.loads(TYPICAL))
    expected = json.loads(TYPICAL) | {"Id": setting.id, "Name": "", "MessageTemplate": ""}
    assert json.loads(setting.to_json()) == expected
    assert UUID(setting.id).version == 4
    assert setting.id != DicomSenderSetting().id


def test_every_attribute_reads_as_it_is_written() -> None:
    setting = DicomSenderSetting(**VALID)
    assert {name: getattr(setting, name) for name in VALID} == VALID
    assert setting.type_name == TYPE
    assert setting.message_type is MessageType.TEXT


@pytest.mark.parametrize("attribute", VALID)
def test_python_and_json_names_mean_the_same(attribute: str) -> None:
    by_json_name: dict[str, Any] = {
        info.json_name: VALID[attribute] for info in FIELDS if info.attribute == attribute
    }
    base = DicomSenderSetting(id=GUID)
    assert base.replace(**{attribute: VALID[attribute]}) == base.replace(**by_json_name)
    assert DicomSenderSetting(**({"id": GUID} | {attribute: VALID[attribute]})) == base.replace(
        **by_json_name
    )


def test_the_typed_keywords_are_the_table_s_names() -> None:
    names = {info.attribute for info in FIELDS} | {info.json_name for info in FIELDS} - {"$type"}
    assert set(SettingFields.__annotations__) == names


def test_an_unknown_keyword_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match=r"'remote_prt' is not a field .* did you mean remote_port\?"):
        DicomSenderSetting(remote_prt=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"the fields are type_name, id, name"):
        DicomSenderSetting().replace(zzz=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="RemoteHost is given twice"):
        DicomSenderSetting(remote_host="a", RemoteHost="b")


def test_absent_properties_read_as_defaults_and_stay_absent() -> None:
    setting = DicomSenderSetting.from_json(json.dumps({"$type": TYPE}))
    assert (setting.remote_host, setting.remote_port, setting.timeout_seconds) == ("127.0.0.1", 104, 30)
    assert (setting.id, setting.version, setting.message_type) == (ZERO_GUID, 3, 16)
    assert json.loads(setting.to_json()) == {"$type": TYPE}
    assert setting.property_names == ("$type",)
    assert not setting.is_written("RemotePort")


def test_a_setting_cannot_be_changed() -> None:
    setting = DicomSenderSetting(message_type_options={"a": [1]})
    with pytest.raises(AttributeError):
        setting.remote_port = 1  # type: ignore[misc]
    setting.message_type_options["a"].append(2)
    assert setting.message_type_options == {"a": [1]}


def test_a_setting_survives_pickle_and_copy() -> None:
    setting = DicomSenderSetting.from_json(TYPICAL)
    for twin in (pickle.loads(pickle.dumps(setting)), copy.copy(setting), copy.deepcopy(setting)):
        assert twin == setting
        assert twin.to_json() == TYPICAL


def test_equal_settings_are_the_same_json_value_however_laid_out() -> None:
    value = json.loads(TYPICAL)
    setting = DicomSenderSetting.from_json(TYPICAL)
    same = DicomSenderSetting.from_json(json.dumps(dict(reversed(value.items())), ensure_ascii=True))
    assert setting == same
    assert hash(setting) == hash(same)
    assert setting != setting.replace(timeout_seconds=31)
    assert setting != DicomSenderSetting.from_json(TYPICAL.replace("30,", '30, "X": 1,'))
    assert DicomSenderSetting.from_json(with_property("X", "1")) != DicomSenderSetting.from_json(
        with_property("X", '"1"')
    )
    assert setting != TYPICAL


def test_python_values_with_one_plain_meaning_are_taken() -> None:
    numpy = pytest.importorskip("numpy")
    setting = DicomSenderSetting(
        id=UUID(GUID), remote_port=numpy.int64(11112), message_type=MessageType.DICOM
    )
    assert (setting.id, setting.remote_port) == (GUID, 11112)


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), b"bytes", {1, 2}, 10**5000],
    ids=["object", "nan", "bytes", "set", "huge"],
)
def test_a_python_value_that_json_does_not_have_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match=r"RemoteHost: .*cannot be written as JSON; give a text"):
        DicomSenderSetting(remote_host=value)


# --- lossless ----------------------------------------------------------------------------------------------------

unhurried = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first text made takes long

names = st.text(max_size=12)  # hypothesis leaves lone surrogates out: they come as escapes below
# Every JSON text, not only those that Python would write: numbers keep how they are spelled.
numbers = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["-0", "-0.0", "1.0", "1.10", "1e400", "-1E+400", "0e0", "1" + "0" * 5000, "9007199254740993"]
    ),
)
texts = st.one_of(
    st.text().map(json.dumps), st.sampled_from(['"\\ud800"', '"\\/"', '"\\u0000"', '"é日本\\n"'])
)
spaces = st.sampled_from(["", " ", "\n", "\r\n\t", "  "])


def arrays_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda items, gap: f"[{gap}{f',{gap}'.join(items)}{gap}]", st.lists(values, max_size=3), spaces
    )


def objects_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.dictionaries(names | st.just("$type"), values, max_size=3)
    return st.builds(write_object, members.map(lambda found: list(found.items())), spaces)


def write_object(members: list[tuple[str, str]], gap: str) -> str:
    written = (
        f"{gap}{json.dumps(name, ensure_ascii=False)}{gap}:{gap}{value}{gap}" for name, value in members
    )
    return "{" + ",".join(written) + "}"


json_texts = st.recursive(
    st.one_of(numbers, texts, st.sampled_from(["null", "true", "false"])),
    lambda values: arrays_of(values) | objects_of(values),
    max_leaves=8,
)


@st.composite
def setting_texts(draw: st.DrawFn) -> str:
    """JSON of a setting: some of its fields, unknown properties between them, in any order and layout."""
    fields = {name: json.dumps(value) for name, value in json.loads(TYPICAL).items()}
    chosen = draw(st.sets(st.sampled_from(sorted(set(fields) - {"$type"}))))
    members = {name: fields[name] for name in chosen} | {"$type": fields["$type"]}
    if "Name" in members:
        members["Name"] = json.dumps(draw(names), ensure_ascii=draw(st.booleans()))
    if "MessageTypeOptions" in members:
        members["MessageTypeOptions"] = draw(json_texts)
    unknown = draw(st.dictionaries(names.filter(lambda name: name not in fields), json_texts, max_size=4))
    ordered = draw(st.permutations(list((members | unknown).items())))
    return draw(spaces) + write_object(ordered, draw(spaces)) + draw(spaces)


def exact(text: str) -> Any:
    """The value of a JSON text as nested pairs and literals, so that key order and the spelling of numbers count."""
    return json.loads(
        text, object_pairs_hook=tuple, parse_int=lambda n: ("n", n), parse_float=lambda n: ("n", n)
    )


@unhurried
@given(setting_texts())
def test_json_read_and_written_is_the_same_value_in_the_same_order(text: str) -> None:
    written = DicomSenderSetting.from_json(text).to_json()
    assert exact(written) == exact(text)
    assert DicomSenderSetting.from_json(written) == DicomSenderSetting.from_json(text)


@unhurried
@given(setting_texts(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_bytes_of_any_unicode_encoding_are_read_alike(text: str, encoding: str) -> None:
    assert (
        DicomSenderSetting.from_json(text.encode(encoding)).to_json()
        == DicomSenderSetting.from_json(text).to_json()
    )


@unhurried
@given(setting_texts(), st.sets(st.sampled_from(sorted(VALID)), min_size=1))
def test_replace_changes_those_properties_and_nothing_else(text: str, attributes: set[str]) -> None:
    changes: dict[str, Any] = {name: VALID[name] for name in attributes}
    setting = DicomSenderSetting.from_json(text)
    changed = setting.replace(**changes)
    json_names = {info.json_name for info in FIELDS if info.attribute in attributes}

    before, after = exact(setting.to_json()), exact(changed.to_json())
    assert [pair for pair in after if pair[0] not in json_names] == [
        pair for pair in before if pair[0] not in json_names
    ]
    kept = [name for name, _ in before]
    assert [name for name, _ in after if name in kept] == kept
    assert {name for name, _ in after} == {*kept, *json_names}
    for name, value in changes.items():
        assert getattr(changed, name) == value


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_documented_examples_come_back_letter_by_letter(example: str, tmp_path: Path) -> None:
    text = EXAMPLES[example]
    path = tmp_path / "setting.json"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    setting = DicomSenderSetting.load(path)
    assert setting.to_json() == text.replace("\n", "\r\n")
    setting.save(path)
    assert json.loads(path.read_bytes()) == json.loads(text)
    assert DicomSenderSetting.load(path) == setting


def test_replace_writes_an_absent_property_at_its_usual_place_and_in_the_layout_around_it() -> None:
    setting = DicomSenderSetting.from_json(ALTERNATE).replace(version=2, disabled=True)
    assert '  "Name": "Send to Archive Node",\n  "Version": 2,\n  "MessageType": 16,\n' in setting.to_json()
    assert setting.to_json().endswith('  "RemoteAET": "ARCHIVE_SCP",\n  "Disabled": true\n}')
    minified = DicomSenderSetting.from_json(f'{{"$type":"{TYPE}","X":1}}').replace(remote_port=1)
    assert minified.to_json() == f'{{"$type":"{TYPE}","RemotePort":1,"X":1}}'


def test_spaces_of_an_ae_title_and_the_form_of_a_guid_are_kept() -> None:
    text = write_object(
        [
            ("$type", f'"{TYPE}"'),
            ("RemoteAET", '" PACS  "'),
            ("Id", '"{AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA}"'),
        ],
        " ",
    )
    setting = DicomSenderSetting.from_json(text)
    assert (setting.remote_aet, setting.id) == ("PACS", GUID)
    assert setting.written_value("RemoteAET") == " PACS  "
    assert setting.to_json() == text


def test_a_lone_surrogate_can_be_saved(tmp_path: Path) -> None:
    for setting in (
        DicomSenderSetting(name="\ud800"),
        DicomSenderSetting.from_json(with_property("Name", '"\ud800"')),
    ):
        setting.save(tmp_path / "setting.json")
        assert DicomSenderSetting.load(tmp_path / "setting.json").name == "\ud800"


def test_non_ascii_is_saved_readably_and_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "setting.json"
    DicomSenderSetting(name="Röntgen 日本").save(path)
    assert '"Name": "Röntgen 日本"' in path.read_text(encoding="utf-8")
    assert [found.name for found in tmp_path.iterdir()] == ["setting.json"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no such permissions, and links need privilege"
)
def test_saving_keeps_permissions_and_links(tmp_path: Path) -> None:
    path, link = tmp_path / "real.json", tmp_path / "link.json"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    DicomSenderSetting(name="new").save(link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert DicomSenderSetting.load(path).name == "new"


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "setting.json"
    folder.mkdir()
    with pytest.raises(OSError, match=r"setting\.json"):
        DicomSenderSetting().save(folder)
    assert list(tmp_path.iterdir()) == [folder]


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "line 1, column 1", "empty"),
        ("[]", "line 1, column 1", "not a JSON object"),
        ("null", "line 1, column 1", "not a JSON object"),
        ('{\n  "Id": "a",\n}', "line 2, column 12", "remove the comma"),
        ('{\n  "Id": "a"\n  "Name": "b"\n}', "line 3, column 3", "a comma or } is missing after 'Id'"),
        ('{"Id" "a"}', "line 1, column 7", "colon after 'Id'"),
        ("{'Id': 1}", "line 1, column 2", "double quotes"),
        ("{\"Id\": 'a'}", "line 1, column 8", "single quotes"),
        ('{"Disabled": True}', "line 1, column 14", "write true"),
        ('{"Name": "a\nb"}', "line 1, column 12", "line break"),
        ('{"Name": "C:\\dicom"}', "line 1, column 13", r"write \\"),
        ('{"Name": "a', "line 1, column 10", "closing"),
        ('{"Name": 1', "line 1, column 11", "not closed"),
        ('{"Name":', "line 1, column 9", "ends too early"),
        ('{"Name": // here\n 1}', "line 1, column 10", "comment"),
        ("{} {}", "line 1, column 4", "more follows"),
        ('{"X": NaN}', "line 1, column 7", "JSON has no NaN"),
        ('{"X": [-Infinity]}', "line 1, column 7", "JSON has no -Infinity"),
        ('{"X": [1 2]}', "line 1, column 10", "correct the JSON"),
        ('{"X": ' + "[" * 200_000, "line 1, column 7", "nested too deeply"),
    ],
)
def test_a_syntax_fault_says_where_and_what(text: str, place: str, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        DicomSenderSetting.from_json(text)
    (problem,) = caught.value.problems
    assert problem.field == "JSON"
    assert f"{problem} ".startswith(f"JSON: {place}:")
    assert words in str(problem)
    fault = caught.value.__cause__
    assert isinstance(fault, JsonFault)
    assert f"line {fault.line}, column {fault.column}" == place


def test_bytes_that_are_not_utf_8_are_refused_with_the_byte_and_its_place() -> None:
    problem = refused('{\n "Name": "Röntgen"}'.encode("latin-1"))
    assert str(problem) == "JSON: line 2, column 12: the byte 0xF6 is not UTF-8 text; save the file as UTF-8"


def test_a_property_written_twice_is_refused_with_both_lines() -> None:
    text = TYPICAL.replace('"Version": 3', '"Version": 3,\n  "Name": "again"')
    problem = refused(text)
    assert problem.field == "Name"
    assert "twice, at line 4 and at line 6" in problem.message


def test_a_fault_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(SettingError, match=r"broken\.json:\nJSON: line 1, column 2"):
        DicomSenderSetting.load(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        DicomSenderSetting.load(tmp_path / "missing.json")


def test_a_value_s_place_can_be_found_though_it_is_refused() -> None:
    text = TYPICAL.replace("104", '"104"')
    assert refused(text).field == "RemotePort"
    assert locator(text)("RemotePort") == (10, 17)
    assert locator(text)("Nothing") is None


def test_all_faults_are_told_at_once_and_by_field() -> None:
    with pytest.raises(SettingError) as caught:
        DicomSenderSetting(remote_port=0, our_aet="", message_type="DICOM")  # type: ignore[arg-type]
    assert [problem.field for problem in caught.value.problems] == ["MessageType", "RemotePort", "OurAET"]


MLLP = "HL7Soup.Functions.Settings.Senders.MLLPSenderSetting, HL7SoupWorkflow"
REFUSED = [
    ("$type", json.dumps(MLLP), "MLLPSenderSetting", "whose $type is"),
    ("$type", "7", "7", "write"),
    ("$type", '"DicomSenderSetting"', '"DicomSenderSetting"', TYPE),
    ("Id", '"not-a-guid"', '"not-a-guid"', "8-4-4-4-12"),
    ("Id", "5", "5", ZERO_GUID),
    ("Filters", '"{aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa)"', "aaaa)", "8-4-4-4-12"),
    ("Transformers", '""', '""', ZERO_GUID),
    ("Id", '"aaaaaaaa-aaaaaaaa-aaaa-aaaaaaaaaaaa"', "is not a GUID", "8-4-4-4-12"),
    ("Name", "5", "5 is not text", '"5"'),
    ("MessageTemplate", "[]", "[]", "double quotes"),
    ("Version", '"3"', '"3"', "write 3 without quotes"),
    ("Version", "3.0", "3.0", "write 3"),
    ("Version", "null", "null", "3"),
    ("MessageType", '"DICOM"', '"DICOM"', "write its number, 16"),
    ("MessageType", '"Dicom"', '"Dicom"', "write its number, 16"),
    ("MessageType", '"MessageStructure"', '"MessageStructure"', "15"),
    ("MessageType", '"HL7V2Path"', '"HL7V2Path"', "8"),
    ("MessageType", '"Picture"', '"Picture"', "16"),
    ("MessageType", '"16"', '"16"', "write 16 without quotes"),
    ("MessageType", "16.5", "16.5", "16"),
    ("RemoteHost", '""', '""', "name or IP address"),
    ("RemoteHost", '"  "', '"  "', "name or IP address"),
    ("RemoteHost", "null", "null", '"127.0.0.1"'),
    ("RemoteHost", '"pacs "', '"pacs "', 'write "pacs"'),
    ("RemoteHost", '"pa cs"', '"pa cs"', "host name alone"),
    ("RemoteHost", '"http://pacs:104/x"', '"http://pacs:104/x"', 'write "pacs" here and 104 as RemotePort'),
    ("RemoteHost", '"http://pacs"', '"http://pacs"', 'write "pacs" here'),
    ("RemoteHost", '"pacs:104"', '"pacs:104"', 'write "pacs" here and 104 as RemotePort'),
    ("RemoteHost", '"[::1]:104"', '"[::1]:104"', 'write "::1" here and 104 as RemotePort'),
    ("RemoteHost", '"[::1]"', '"[::1]"', 'write "::1" here'),
    ("RemoteHost", '"1:2:3"', '"1:2:3"', "RemotePort"),
    ("RemoteHost", '"10.0.0.256"', '"10.0.0.256"', "0 to 255"),
    ("RemoteHost", '"pacs..local"', '"pacs..local"', "DNS"),
    ("RemoteHost", json.dumps("a" * 64), "aaa", "63"),
    ("RemoteHost", json.dumps("é" * 64), "ééé", "IP address"),
    ("RemotePort", "0", "0", "1 to 65535"),
    ("RemotePort", "65536", "65536", "1 to 65535"),
    ("RemotePort", "-1", "-1", "1 to 65535"),
    ("RemotePort", '"11112"', '"11112"', "write 11112 without quotes"),
    ("RemotePort", "104.0", "104.0", "write 104"),
    ("RemotePort", "1e400", "too large", "104"),
    ("RemotePort", "1" * 5000, "too large", "104"),
    ("RemotePort", "true", "true", "whole number"),
    ("RemotePort", "null", "null", "whole number"),
    ("RemotePort", "[1e400]", "[Infinity]", "whole number"),
    ("OurAET", '""', '""', "1 to 16"),
    ("OurAET", '"    "', '"    "', "not all spaces"),
    ("OurAET", "null", "null", "1 to 16"),
    ("OurAET", '"A\\\\B"', "backslash", "remove it"),
    ("OurAET", '"A\\tB"', "U+0009", "ASCII"),
    ("OurAET", '"A\\u007f"', "U+007F", "ASCII"),
    ("RemoteAET", '"KLINIK_MÜNCHEN"', '"Ü" (U+00DC)', "ASCII"),
    ("RemoteAET", '"ABCDEFGHIJKLMNOPQ"', "17 characters", "shorten"),
    ("TimeoutSeconds", '"30"', '"30"', "write 30 without quotes"),
    ("TimeoutSeconds", "30.5", "30.5", "30"),
    ("TimeoutSeconds", "null", "null", "30"),
    ("TransformersNotAvailable", "1", "1", "write true, without quotes"),
    ("TransformersNotAvailable", "null", "null", "true or false"),
    ("Disabled", "0", "0", "write false, without quotes"),
    ("Disabled", '"true"', '"true"', "write true, without quotes"),
    ("Disabled", '"maybe"', '"maybe"', "true or false"),
]


@pytest.mark.parametrize(("field", "literal", "value", "remedy"), REFUSED)
def test_a_refusal_names_the_field_the_value_and_the_remedy(
    field: str, literal: str, value: str, remedy: str
) -> None:
    problem = refused(with_property(field, literal))
    assert problem.field == field
    assert value in problem.message
    assert remedy in problem.remedy


def test_a_setting_without_type_is_refused_with_the_line_to_add() -> None:
    assert f'"$type": "{TYPE}"' in refused('{"RemoteHost": "pacs"}').remedy


def test_a_whole_workflow_is_told_from_a_setting() -> None:
    assert "whole workflow" in refused('{"Name": "W", "WorkflowPattern": []}').message


ACCEPTED = [
    ("$type", '"HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7Soup"', None),
    ("$type", f'"{TYPE}, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null"', None),
    ("Id", '"{AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA}"', GUID),
    ("Id", '"(aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa)"', GUID),
    ("Id", f'"{"A" * 32}"', GUID),
    ("Filters", "null", ZERO_GUID),
    ("Name", "null", ""),
    ("MessageTemplate", "null", ""),
    ("MessageType", "8", 8),
    ("MessageType", "99", 99),
    ("Version", "-4", -4),
    ("RemoteHost", '"::1"', "::1"),
    ("RemoteHost", '"fe80::1%eth0"', "fe80::1%eth0"),
    ("RemoteHost", '"pacs_1.local."', "pacs_1.local."),
    ("RemoteHost", '"bücher.example"', "bücher.example"),
    ("RemotePort", "1", 1),
    ("RemotePort", "65535", 65535),
    ("OurAET", '"  A B  "', "A B"),
    ("OurAET", '" ABCDEFGHIJKLMNOP "', "ABCDEFGHIJKLMNOP"),
    ("OurAET", '"~!\\"#$%&()*+,-./"', '~!"#$%&()*+,-./'),
    ("TimeoutSeconds", "0", 0),
    ("TimeoutSeconds", "-99999999999999999999", -99999999999999999999),
]


@pytest.mark.parametrize(("field", "literal", "value"), ACCEPTED)
def test_what_is_unusual_but_right_is_accepted_and_kept(field: str, literal: str, value: object) -> None:
    text = with_property(field, literal)
    setting = DicomSenderSetting.from_json(text)
    expected = json.loads(literal) if value is None else value
    assert getattr(setting, FIELD_OF[field].attribute) == expected
    assert setting.to_json() == text


@unhurried
@given(st.sampled_from(FIELDS), json_texts)
def test_any_json_value_is_taken_or_refused_by_the_field_s_name(info: Any, literal: str) -> None:
    try:
        setting = DicomSenderSetting.from_json(with_property(info.json_name, literal))
    except SettingError as error:
        assert {problem.field for problem in error.problems} == {info.json_name}
    else:
        assert setting.explain().shape[0] == len(FIELDS)
        assert all(str(problem) for problem in setting.problems())


# --- a form's fields ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RemotePort", " 11112 ", 11112),
        ("remote_port", "104", 104),
        ("MessageType", "16", 16),
        ("MessageType", "dicom", 16),
        ("Disabled", "TRUE", True),
        ("RemoteHost", " pacs ", "pacs"),
        ("OurAET", "ABC ", "ABC"),
        ("Name", " x ", " x "),
        ("MessageTypeOptions", "", None),
        ("MessageTypeOptions", '{"a": 1}', {"a": 1}),
        ("TimeoutSeconds", "-5", -5),
        ("Id", GUID.upper(), GUID),
    ],
)
def test_typed_text_becomes_the_field_s_value(name: str, text: str, value: object) -> None:
    assert parse_field_text(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RemotePort", ""),
        ("RemotePort", "1e3"),
        ("RemotePort", "70000"),
        ("RemotePort", "٣"),
        ("RemotePort", "1" * 5000),
        ("MessageType", "nothing"),
        ("Disabled", "perhaps"),
        ("RemoteHost", ""),
        ("MessageTypeOptions", "{"),
        ("MessageTypeOptions", "1 2"),
        ("RemoteAET", "ABCDEFGHIJKLMNOPQ"),
    ],
)
def test_typed_text_that_will_not_do_is_a_problem_of_that_field(name: str, text: str) -> None:
    problem = parse_field_text(name, text)
    assert isinstance(problem, Problem)
    assert problem.field == name
    assert problem.message
    assert problem.remedy


def test_a_field_that_does_not_exist_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="is not a field"):
        parse_field("Port", 1)


@pytest.mark.parametrize("info", FIELDS, ids=lambda info: info.json_name)
def test_every_field_is_described_and_takes_its_default(info: Any) -> None:
    assert info.meaning.endswith(".")
    assert info.effect.endswith(".")
    assert parse_field(info.json_name, info.default) == info.default


# --- problems ----------------------------------------------------------------------------------------------------


PROBLEMS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("$type", {}, []),
    (
        "$type",
        {"type_name": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7Soup"},
        [("info", '"HL7Soup"')],
    ),
    ("$type", {"type_name": TYPE.partition(",")[0]}, [("warning", "names no assembly")]),
    ("Id", {}, []),
    ("Id", {"id": ZERO_GUID}, [("warning", "all zeros")]),
    ("Id", {"id": None}, [("warning", "null or all zeros")]),
    ("Name", {}, []),
    ("Name", {"name": " "}, [("info", "empty")]),
    ("Version", {"version": 2}, []),
    ("Version", {"version": 4}, [("warning", "4 is none that is in use")]),
    ("MessageType", {}, []),
    ("MessageType", {"message_type": 8}, [("warning", "FromType HL7V2Path")]),
    ("MessageType", {"message_type": 13}, [("warning", "13 is TEXT, not DICOM")]),
    ("MessageType", {"message_type": 99}, [("warning", "no known message type; write 16")]),
    ("MessageTypeOptions", {}, []),
    ("MessageTypeOptions", {"message_type_options": {}}, [("info", "no effect")]),
    ("MessageTemplate", {}, []),
    ("MessageTemplate", {"message_template": f"${{{OTHER.upper()} OUTBOUND}}"}, []),
    ("MessageTemplate", {"message_template": ""}, [("info", "send itself does not need it")]),
    ("MessageTemplate", {"message_template": f" ${{{OTHER} inbound}}"}, [("warning", "around its binding")]),
    ("MessageTemplate", {"message_template": f"${{{OTHER} inbound}}" * 2}, [("warning", "2 bindings")]),
    ("MessageTemplate", {"message_template": "${PatientID}"}, [("warning", "variable")]),
    ("MessageTemplate", {"message_template": "hello"}, [("warning", "no binding")]),
    ("MessageTemplate", {"message_template": f"${{{ZERO_GUID} inbound}}"}, [("warning", "all-zero")]),
    ("MessageTemplate", {"message_template": f"${{{GUID} inbound}}"}, [("warning", "this activity itself")]),
    ("RemoteHost", {"remote_host": "pacs"}, []),
    ("RemoteHost", {}, [("info", "this machine")]),
    ("RemoteHost", {"remote_host": "0.0.0.0"}, [("warning", "listen")]),
    ("RemoteHost", {"remote_host": "010.0.0.25"}, [("warning", 'write "10.0.0.25"')]),
    ("RemotePort", {"remote_port": 11112}, []),
    ("RemotePort", {}, [("info", "privilege")]),
    ("OurAET", {"our_aet": "US"}, []),
    ("OurAET", {}, [("info", "default")]),
    ("OurAET", {"our_aet": "Us"}, [("info", "lower-case")]),
    ("OurAET", {"our_aet": " US"}, [("info", 'the spaces around " US" do not count')]),
    ("RemoteAET", {"remote_aet": "THEM"}, []),
    ("RemoteAET", {}, [("warning", "default")]),
    ("RemoteAET", {"remote_aet": "HL7SOUP_SCU"}, [("warning", "our own title")]),
    ("TimeoutSeconds", {}, [("info", "enforced by dicomkit, not by the original")]),
    ("TimeoutSeconds", {"timeout_seconds": 60}, [("warning", "puts 30 back")]),
    ("TimeoutSeconds", {"timeout_seconds": 0}, [("error", "no time"), ("warning", "30")]),
    ("TimeoutSeconds", {"timeout_seconds": 86400}, [("warning", "24.0 hours"), ("warning", "30")]),
    (
        "TimeoutSeconds",
        {"timeout_seconds": 10**12},
        [("error", "longer than a system can wait"), ("warning", "30")],
    ),
    ("Filters", {}, []),
    ("Filters", {"filters": OTHER}, [("info", "not applied by send")]),
    ("Filters", {"filters": None}, [("warning", "null")]),
    ("Transformers", {"transformers_not_available": True}, []),
    ("Transformers", {"transformers": OTHER}, [("info", "not run by send")]),
    (
        "Transformers",
        {"transformers": OTHER, "transformers_not_available": True},
        [("warning", "TransformersNotAvailable is true")],
    ),
    ("Disabled", {}, []),
    ("Disabled", {"disabled": True}, [("warning", "skipped")]),
]


@pytest.mark.parametrize(("field", "changes", "expected"), PROBLEMS)
def test_what_will_surprise_is_named_with_its_severity(
    field: str, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = problems_of(field, **changes)
    assert [severity for severity, _ in found] == [severity for severity, _ in expected]
    for (_, message), (_, words) in zip(found, expected, strict=True):
        assert words in message


def test_a_sound_setting_has_no_problems() -> None:
    setting = DicomSenderSetting.from_json(ALTERNATE).replace(our_aet="SCANNER_1")
    assert setting.problems() == []


def test_problems_come_in_the_order_of_the_fields_and_unknown_properties_last() -> None:
    text = '{"remoteport": 7, "Vendor": 1, "Disabled": true, "$type": "' + TYPE + '"}'
    problems = DicomSenderSetting.from_json(text).problems()
    order = [info.json_name for info in FIELDS] + ["remoteport", "Vendor"]
    places = [order.index(problem.field) for problem in problems]
    assert places == sorted(places)
    found = {problem.field: problem for problem in problems}
    assert found["$type"].message == "it is not the first property"
    assert found["Id"].severity == "warning"
    assert (found["remoteport"].severity, found["remoteport"].remedy) == (
        "warning",
        "write it as RemotePort",
    )
    assert found["Vendor"].severity == "info"
    assert "TimeoutSeconds" not in found


def test_only_errors_make_a_setting_unusable() -> None:
    setting = DicomSenderSetting.from_json(TYPICAL)
    assert setting.usability_problems() == []
    unusable = setting.replace(timeout_seconds=0)
    assert unusable.usability_problems() == [
        found for found in unusable.problems() if found.severity == "error"
    ]
    assert len(unusable.usability_problems()) == 1


def test_a_template_that_is_one_binding_names_its_activity() -> None:
    binding = DicomSenderSetting.from_json(ALTERNATE).binding
    assert binding is not None
    assert (binding.guid, binding.direction) == ("22222222-2222-2222-2222-222222222222", "outbound")
    assert DicomSenderSetting(message_template="${PatientID}").binding is None


# --- teaching ----------------------------------------------------------------------------------------------------


def test_explain_has_a_row_for_every_field_and_unknown_property() -> None:
    text = BASIC.replace('"Name"', '"Vendor": {"$type": "V"}, "Name"')
    setting = DicomSenderSetting.from_json(text)
    frame = setting.explain()
    assert list(frame.columns) == ["field", "value", "default", "meaning", "effect at runtime"]
    assert list(frame["field"]) == [*(info.json_name for info in FIELDS), "Vendor"]
    values, defaults = by_field(setting, "value"), by_field(setting, "default")
    assert (values["RemoteHost"], defaults["RemoteHost"]) == ("10.0.0.25", "127.0.0.1")
    assert defaults["Id"] == "a new GUID"
    assert values["Vendor"] == {"$type": "V"}
    assert values["MessageTypeOptions"] is None
    assert by_field(setting, "effect at runtime")["TimeoutSeconds"].endswith(
        "Not in the JSON: the default counts."
    )


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("TimeoutSeconds", "dicomkit enforces it"),
        ("TimeoutSeconds", "The original does not"),
        ("MessageTemplate", "send sends the object it is given; only run_workflow resolves the template"),
        ("Filters", "Only run_workflow applies filters"),
        ("Transformers", "Only run_workflow runs transformers"),
        ("RemoteAET", "a warning status counts as stored"),
        ("MessageType", "the message object decides"),
    ],
)
def test_explain_says_where_we_and_the_original_differ(field: str, words: str) -> None:
    assert words in by_field(DicomSenderSetting(), "effect at runtime")[field]


def test_the_dialog_puts_the_timeout_back_and_leaves_the_rest() -> None:
    setting = DicomSenderSetting.from_json(TYPICAL.replace("30", "90"))
    assert setting.as_saved_by_dialog().to_json() == TYPICAL
    absent = DicomSenderSetting.from_json(BASIC)
    assert absent.as_saved_by_dialog() is absent


def test_representations_are_short_and_escaped() -> None:
    setting = DicomSenderSetting.from_json(TYPICAL).replace(name="<b>&", remote_host="::1", remote_aet="A<B")
    assert repr(setting) == "<DicomSenderSetting '<b>&': HL7SOUP_SCU -> A<B at [::1]:104>"
    html = setting._repr_html_()
    assert "&lt;b&gt;&amp;" in html
    assert "<b>" not in html
    assert "A&lt;B" in html


def test_the_settings_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, dicomkit.settings as s; s.DicomSenderSetting().problems();"
        "print(*sorted({'pandas', 'numpy', 'pydantic', 'pydicom', 'pynetdicom', 'html', 'pathlib'} & set(sys.modules)))"
    )
    here = os.environ | {"PYTHONPATH": str(Path(dicomkit.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env=here)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


# Sizes and odd texts


def seconds_of(work: Callable[[int], object], size: int) -> float:
    """The processor time that some work takes, the best of three."""
    best = math.inf
    for _ in range(3):
        before = process_time()
        work(size)
        best = min(best, process_time() - before)
    return best


def of_text(**fields: object) -> str:
    return json.dumps({"$type": TYPE} | fields)


def unreadable(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        DicomSenderSetting.from_json(text)
    assert str(caught.value)


def alike(number: int) -> str:
    """A name of its own that is meant for RemotePort: up to three underscores between any two letters."""
    return "".join(letter + "_" * (number >> 2 * place & 3) for place, letter in enumerate("RemotePort"))


@pytest.mark.parametrize(
    ("work", "size"),
    [
        *(
            (
                lambda n, part=part: DicomSenderSetting.from_json(
                    of_text(MessageTemplate=part * n)
                ).problems(),
                n,
            )
            for part, n in (("${", 50_000), ("${" + GUID + " ", 2500), ("${ ", 30_000), ("${\n", 30_000))
        ),
        (lambda n: unreadable(of_text()[:-1] + ', "a": 1\n' * n + "}"), 4000),
        (
            lambda n: DicomSenderSetting.from_json(of_text(**{alike(k): 1 for k in range(1, n)})).problems(),
            3000,
        ),
        (
            lambda n: DicomSenderSetting.from_json(of_text(**{f"x{k}": 1 for k in range(n)})).problems(),
            10_000,
        ),
        (lambda n: DicomSenderSetting.from_json(of_text(**{f"x{k}": 1 for k in range(n)})).explain(), 4000),
        (lambda n: unreadable(" " * n + of_text()[:-1] + "," + "\n" * n), 50_000),
    ],
    ids=["variables", "bindings", "spaces", "lines", "twice", "alike", "unknown", "explained", "blank"],
)
def test_reading_and_judging_take_time_in_proportion(work: Callable[[int], object], size: int) -> None:
    # Eight times the size takes eight times as long, and sixty-four times where it goes with the square.
    assert seconds_of(work, 8 * size) < 30 * max(seconds_of(work, size), 0.002)


@pytest.mark.parametrize("within", ["[", '{"a":'])
def test_what_is_nested_too_deeply_is_refused_with_its_place(within: str) -> None:
    for text in (within * 100_000, of_text()[:-1] + f', "a": {within * 100_000}'):
        unreadable(text)
    closing = {"[": "1]", '{"a":': "1}"}[within][1]
    whole = of_text()[:-1] + f', "a": {within * 201}1{closing * 201}}}'
    with pytest.raises(SettingError, match=r"line 1, column \d+: the value is nested too deeply"):
        DicomSenderSetting.from_json(whole)
    fits = DicomSenderSetting.from_json(of_text()[:-1] + f', "a": {within * 200}1{closing * 200}}}')
    assert fits == DicomSenderSetting.from_json(fits.to_json())
    assert fits.replace(remote_port=105).unknown_properties == fits.unknown_properties


def test_options_that_are_nested_too_deeply_are_refused_by_name() -> None:
    options: list[object] = []
    for _ in range(300):
        options = [options]
    with pytest.raises(SettingError, match="MessageTypeOptions"):
        DicomSenderSetting(message_type_options=options)


def test_lone_surrogates_anywhere_can_be_explained_shown_and_saved(tmp_path: Path) -> None:
    text = of_text(
        **{
            "\ud800x": {"\udfff": ["\ud800"]},
            "Name": "\udfff",
            "MessageTemplate": "${\udfff}",
            "Remote_Port\ud800": 2,
        }
    )
    setting = DicomSenderSetting.from_json(text)
    for problem in setting.problems():
        str(problem).encode()
    frame = setting.explain()
    frame.to_string().encode()
    frame.to_csv(tmp_path / "explained.csv")
    assert "\\ud800x" in list(frame["field"])
    setting._repr_html_().encode()
    repr(setting).encode()
    setting.save(tmp_path / "setting.json")
    assert DicomSenderSetting.load(tmp_path / "setting.json") == setting
    assert setting.unknown_properties["\ud800x"] == {"\udfff": ["\ud800"]}
    unreadable(text[:-1] + r', "\ud800x": 1}')


@given(st.text(alphabet="ab\n\r\t {}", max_size=60), st.data())
def test_places_are_positions(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    assert Places(text).at(offset) == position(text, offset)
