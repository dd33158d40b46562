"""C-STORE statuses against PS3.4 B.2.3, PS3.7 Annex C and pynetdicom's table."""

from __future__ import annotations

import re

import pytest
from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from dicomkit.dictionary.statuses import NOT_A_STORE_STATUS, status_category, status_meaning, status_remedy

EVERY_STATUS = range(0x10000)


def test_the_category_of_every_status_is_the_class_that_ps37_annex_c_gives_it() -> None:
    warnings = {0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)}
    assert {status for status in EVERY_STATUS if status_category(status) == "Success"} == {0x0000}
    assert {status for status in EVERY_STATUS if status_category(status) == "Warning"} == warnings
    assert {status_category(status) for status in EVERY_STATUS} == {"Success", "Warning", "Failure"}


def test_categories_agree_with_pynetdicom_wherever_it_has_a_storage_status() -> None:
    cancel = {"Cancel": "Failure"}
    for status, (category, _) in STORAGE_SERVICE_CLASS_STATUS.items():
        assert status_category(status) == cancel.get(category, category), hex(status)


def test_every_general_status_has_its_own_meaning() -> None:
    general = [status for status in GENERAL_STATUS if status != 0xFE00]
    meanings = [status_meaning(status) for status in general]
    assert NOT_A_STORE_STATUS not in meanings
    assert len(set(meanings)) == len(general)


@pytest.mark.parametrize(
    ("status", "category", "meaning"),
    [
        (0x0000, "Success", "Success"),
        (0x0001, "Warning", "Requested optional Attributes are not supported"),
        (0x0105, "Failure", "No such Attribute"),
        (0x0107, "Warning", "Attribute list error"),
        (0x0110, "Failure", "Processing failure"),
        (0x0111, "Failure", "Duplicate SOP Instance"),
        (0x0116, "Warning", "Attribute value out of range"),
        (0x0117, "Failure", "Invalid SOP Instance"),
        (0x0122, "Failure", "Refused: SOP Class not supported"),
        (0x0124, "Failure", "Refused: Not authorized"),
        (0x0210, "Failure", "Duplicate invocation"),
        (0x0211, "Failure", "Unrecognized operation"),
        (0x0212, "Failure", "Mistyped argument"),
        (0x0213, "Failure", "Resource limitation"),
        (0xA700, "Failure", "Refused: Out of Resources"),
        (0xA7FF, "Failure", "Refused: Out of Resources"),
        (0xA900, "Failure", "Error: Data Set does not match SOP Class"),
        (0xA9FF, "Failure", "Error: Data Set does not match SOP Class"),
        (0xC000, "Failure", "Error: Cannot understand"),
        (0xCFFF, "Failure", "Error: Cannot understand"),
        (0xB000, "Warning", "Coercion of Data Elements"),
        (0xB006, "Warning", "Elements Discarded"),
        (0xB007, "Warning", "Data Set does not match SOP Class"),
        (0xB123, "Warning", "Warning particular to the peer"),
        (0xFE00, "Failure", NOT_A_STORE_STATUS),
        (0xFF00, "Failure", NOT_A_STORE_STATUS),
        (0xFF01, "Failure", NOT_A_STORE_STATUS),
        (0x0002, "Failure", NOT_A_STORE_STATUS),
        (0x01FF, "Failure", NOT_A_STORE_STATUS),
        (0xA800, "Failure", NOT_A_STORE_STATUS),
        (0xD000, "Failure", NOT_A_STORE_STATUS),
    ],
)
def test_a_status_is_classed_and_named(status: int, category: str, meaning: str) -> None:
    assert (status_category(status), status_meaning(status)) == (category, meaning)


def test_every_status_has_a_remedy_in_whole_sentences() -> None:
    for remedy in {status_remedy(status) for status in EVERY_STATUS}:
        assert re.fullmatch(r"[A-Z].{10,}\.", remedy), remedy


def test_the_remedy_of_a_warning_says_that_the_instance_is_stored() -> None:
    for status in (0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xBFFF):
        assert "It is stored" in status_remedy(status), hex(status)


def test_cancel_pending_and_reserved_statuses_have_remedies_of_their_own() -> None:
    assert "pending" in status_remedy(0xFF00)
    assert status_remedy(0xFF01) == status_remedy(0xFF00)
    assert "cancelled" in status_remedy(0xFE00)
    assert "no meaning" in status_remedy(0xA800)
