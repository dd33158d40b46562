"""A frozen class does what a data class does, `dataclasses` itself thinks so, and is not asked before it must be."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, fields, is_dataclass, replace

import pytest

from dicomkit._support.frozen import Frozen


class Point(Frozen):
    x: int
    y: int = 0


class Named(Frozen, kw_only=True, hidden=("secret",)):
    name: str = ""
    secret: str

    def __str__(self) -> str:
        return self.name


class Deep(Point):
    z: int = 5


class Plain(Point):
    @property
    def total(self) -> int:
        return self.x + self.y


class Parsed(Frozen):
    value: int

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "value", int(text))


class Nothing(Frozen):
    pass


@dataclass(frozen=True, slots=True)
class Twin:
    x: int
    y: int = 0


def test_values_are_equal_when_all_fields_are() -> None:
    assert Point(1, 2) == Point(1, y=2)
    assert Point(1) == Point(1, 0)
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != (1, 2)
    assert Point(1, 2) != Plain(1, 2)
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    assert Nothing() == Nothing()


def test_a_value_stays_as_it_was_made() -> None:
    point = Point(1, 2)
    with pytest.raises(FrozenInstanceError, match="x"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="x"):
        del point.x
    with pytest.raises(FrozenInstanceError, match="w"):
        point.w = 3  # type: ignore[attr-defined]
    assert point == Point(1, 2)
    assert not hasattr(point, "__dict__")


def test_it_is_shown_with_what_may_be_shown() -> None:
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"
    assert repr(Named(name="a", secret="b")) == "Named(name='a')"
    assert str(Named(name="a", secret="b")) == "a"


def test_fields_with_a_default_may_be_left_out_and_others_not() -> None:
    assert Named(secret="b").name == ""
    with pytest.raises(TypeError, match=r"Point.__init__.* 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        Named("a", "b")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="z"):
        Point(1, z=2)  # type: ignore[call-arg]


def test_a_class_may_have_a_constructor_of_its_own() -> None:
    assert Parsed("7").value == 7
    assert list(inspect.signature(Parsed).parameters) == ["text"]


def test_fields_are_inherited() -> None:
    assert repr(Deep(1, 2)) == "Deep(x=1, y=2, z=5)"
    assert Plain(1, 2).total == 3
    assert [field.name for field in fields(Deep)] == ["x", "y", "z"]
    assert [field.name for field in fields(Point)] == ["x", "y"]


@pytest.mark.parametrize("value", [Point(1, 2), Named(name="a", secret="b"), Deep(1), Parsed("7"), Nothing()])
def test_a_value_can_be_pickled_and_copied(value: Frozen) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


def test_dataclasses_takes_it_for_one() -> None:
    assert all(map(is_dataclass, (Point, Point(1), Named)))
    assert replace(Point(1, 2), y=3) == Point(1, 2).__replace__(y=3) == Point(1, 3)
    assert replace(Named(name="a", secret="b"), name="c") == Named(name="c", secret="b")
    assert asdict(Named(name="a", secret="b")) == {"name": "a", "secret": "b"}
    assert [(field.name, field.type, field.default) for field in fields(Point)] == [
        (field.name, field.type, field.default) for field in fields(Twin)
    ]


def test_help_shows_its_fields() -> None:
    assert inspect.signature(Point) == inspect.signature(Twin)
    assert [parameter.kind for parameter in inspect.signature(Named).parameters.values()] == [
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.KEYWORD_ONLY,
    ]


def test_patterns_match_it() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")
