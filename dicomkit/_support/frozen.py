"""`Frozen`, the record class of whatever `dicomkit send` loads: a frozen data class with slots that is quick to make.

The command lives for a tenth of a second. Importing `dataclasses`, and `inspect` behind it, takes 6 to 10 ms of that,
and writing the methods of forty data classes 25 ms more; forty of these take 10 ms, all of them used. Here all methods
are shared but the constructor, and that one is written when the first value of a class is made: by `exec`, as
`dataclasses` does it, since one that loops over its fields takes four times as long for each row that is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import ClassVar, Self


@dataclass_transform(frozen_default=True)
class _FrozenType(type):
    """Makes slots of the annotations of a class; an annotation with a value is a field with a default."""

    _fields: tuple[str, ...] = ()
    _defaults: tuple[tuple[str, Any], ...] = ()
    _hidden: tuple[str, ...] = ()
    _kw_only = False

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        kw_only: bool = False,
        hidden: tuple[str, ...] = (),
    ) -> _FrozenType:
        own = tuple(namespace.get("__annotations__", ()))
        defaults = tuple((field, namespace.pop(field)) for field in own if field in namespace)
        if own:
            # Without a signature `inspect` takes that of `__init__`.
            namespace["__signature__"] = None if "__init__" in namespace else _AsDataClass()
            namespace["__dataclass_fields__"] = _AsDataClass()
            namespace.setdefault("__init__", _first_init)
        made = super().__new__(cls, name, bases, {"__slots__": own, **namespace})
        # What stands there before is inherited.
        made._fields += own
        made._defaults += defaults
        made._hidden += hidden
        made._kw_only |= kw_only
        made.__match_args__ = () if made._kw_only else made._fields  # type: ignore[attr-defined, misc]
        return made


def _first_init(self: Frozen, *values: object, **named: object) -> None:
    """Stands in for the constructor of a class until it is called for the first time."""
    made = type(self)
    made.__init__ = _written_init(made)  # type: ignore[method-assign]
    made.__init__(self, *values, **named)


def _written_init(made: _FrozenType) -> Callable[..., None]:
    """The constructor: a parameter for each field, which goes into its slot."""
    defaults = dict(made._defaults)
    known: dict[str, Any] = {f"_set_{field}": getattr(made, field).__set__ for field in made._fields}
    known |= {f"_default_{field}": value for field, value in defaults.items()}
    parameters = [f"{field}=_default_{field}" if field in defaults else field for field in made._fields]
    if made._kw_only:
        parameters.insert(0, "*")
    lines = [f"_set_{field}(self, {field})" for field in made._fields]
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(['self', *parameters])}):\n " + "\n ".join(lines), known)
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


class _AsDataClass:
    """An attribute that `dataclasses` or `inspect` asks a class for: what a data class of these fields has."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, value: object, made: _FrozenType) -> object:
        from dataclasses import MISSING, field, make_dataclass
        from inspect import get_annotations, signature

        defaults = dict(made._defaults)
        types: dict[str, Any] = {}
        for base in reversed(made.__mro__):
            types |= get_annotations(base)
        fields = [
            (name, types[name], field(default=defaults.get(name, MISSING), repr=name not in made._hidden))
            for name in made._fields
        ]
        twin = make_dataclass(made.__name__, fields, kw_only=made._kw_only, frozen=True)
        answer = signature(twin) if self._name == "__signature__" else getattr(twin, self._name)
        setattr(made, self._name, answer)
        return answer


class Frozen(metaclass=_FrozenType):
    """The base of a class whose annotations are its fields; its values are equal when all fields are, and stay as made.

    It is written, checked by type checkers, compared, hashed, shown, pickled and replaced as a class under
    ``@dataclass(frozen=True, slots=True)`` is. ``class C(Frozen, kw_only=True)`` takes its fields by name alone, and
    ``hidden=("content",)`` leaves some out of what `repr` shows.
    """

    if TYPE_CHECKING:
        __slots__: ClassVar[tuple[str, ...]]
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:  # or type checkers would let any name be assigned to

        def __setattr__(self, name: str, value: object) -> NoReturn:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> NoReturn:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash(tuple(self.__getstate__()))

    def __repr__(self) -> str:
        made = type(self)
        shown = [f"{field}={getattr(self, field)!r}" for field in made._fields if field not in made._hidden]
        return f"{made.__qualname__}({', '.join(shown)})"

    def __replace__(self, **changes: Any) -> Self:
        from dataclasses import replace

        return replace(self, **changes)

    def __getstate__(self) -> list[object]:
        return [getattr(self, field) for field in type(self)._fields]

    def __setstate__(self, state: list[object]) -> None:
        for field, value in zip(type(self)._fields, state, strict=True):
            object.__setattr__(self, field, value)
