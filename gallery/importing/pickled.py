"""Reads plain data out of a pickle without ever unpickling: no class is looked up, no function is called.

pickletools takes a pickle apart into its opcodes and runs none of them. Those that build dicts, lists,
tuples, texts, bytes, numbers and numpy's arrays of floating-point numbers are followed; any other is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable

from gallery.importing.pickled_words import (
    ADVICE,
    ORDERS,
    Array,
    FloatType,
    Name,
    PickleRefused,
    Value,
    array_of,
    called,
    named,
    refuse,
)

MOST_BYTES = 512 << 20
MOST_OPCODES = 50_000_000

PROTOCOLS = (2, 3, 4, 5)


class _Mark:
    """Where a list on the stack begins."""


def read(content: bytes) -> Value:
    """What a pickle holds: dicts, lists, tuples, texts, bytes, numbers, and numpy arrays as Array.

    PickleRefused where it holds anything else.
    """
    if len(content) > MOST_BYTES:
        raise PickleRefused(f"it is larger than {MOST_BYTES >> 20} MB")
    if content[:1] != b"\x80" or content[1:2] not in [bytes([protocol]) for protocol in PROTOCOLS]:
        raise PickleRefused(f"it is no pickle of protocol {PROTOCOLS[0]} to {PROTOCOLS[-1]}; {ADVICE}")
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count > MOST_OPCODES:
                raise PickleRefused("it has too many parts")
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except PickleRefused:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, MemoryError) as error:
        raise PickleRefused(f"it is damaged: {error}") from error
    raise PickleRefused("it is damaged: its end is missing")


class _Machine:
    def __init__(self) -> None:
        self._stack: list[Value] = []
        self._memo: dict[int, Value] = {}

    def result(self) -> Value:
        (value,) = self._stack
        return value

    def step(self, name: str, argument: Value) -> None:
        if name in PUSHED:
            self._stack.append(argument)
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name]())
        elif name in IGNORED:
            return
        else:
            follow = FOLLOWED.get(name)
            if follow is None:
                refuse(f"the opcode {name}")
            follow(self, argument)

    def mark(self, _: Value) -> None:
        self._stack.append(_Mark())

    def remember(self, argument: Value) -> None:
        key = len(self._memo) if argument is None else argument
        assert isinstance(key, int)
        self._memo[key] = self._stack[-1]

    def recall(self, argument: Value) -> None:
        assert isinstance(argument, int)
        self._stack.append(self._memo[argument])

    def pop(self, _: Value) -> None:
        self._stack.pop()

    def pop_mark(self, _: Value) -> None:
        self._since_mark()

    def append(self, _: Value) -> None:
        value = self._stack.pop()
        self._list().append(value)

    def extend(self, _: Value) -> None:
        values = self._since_mark()
        self._list().extend(values)

    def set_item(self, _: Value) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._dict()[_key(key)] = value

    def set_items(self, _: Value) -> None:
        values = self._since_mark()
        target = self._dict()
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def make_list(self, _: Value) -> None:
        self._stack.append(self._since_mark())

    def make_dict(self, _: Value) -> None:
        values = self._since_mark()
        self._stack.append({_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)})

    def make_tuple(self, _: Value) -> None:
        self._stack.append(tuple(self._since_mark()))

    def make_short_tuple(self, count: int) -> None:
        values = tuple(self._stack[-count:])
        if len(values) != count:
            raise IndexError("too few values")
        del self._stack[-count:]
        self._stack.append(values)

    def name(self, argument: Value) -> None:
        module, _, attribute = str(argument).partition(" ")
        self._stack.append(named(module, attribute))

    def name_of_stack(self, _: Value) -> None:
        attribute, module = self._stack.pop(), self._stack.pop()
        self._stack.append(named(module, attribute))

    def reduce(self, _: Value) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            refuse("a call")
        self._stack.append(called(function.meaning, arguments))

    def build(self, _: Value) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, FloatType) and isinstance(state, tuple):
            target.order = ORDERS[state[1]]
        elif isinstance(target, Array) and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, is_fortran, raw = state
            target.content = array_of(raw, dtype, shape, "F" if is_fortran else "C")
        else:
            refuse("an object with a state of its own")

    def _since_mark(self) -> list[Value]:
        values: list[Value] = []
        while not isinstance(value := self._stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def _list(self) -> list[Value]:
        target = self._stack[-1]
        if not isinstance(target, list):
            refuse("a list that is none")
        return target

    def _dict(self) -> dict[Value, Value]:
        target = self._stack[-1]
        if not isinstance(target, dict):
            refuse("a dict that is none")
        return target


def _key(key: Value) -> Value:
    if not isinstance(key, str | int | bytes):
        refuse("a dict with keys that are no names")
    return key


PUSHED = frozenset(
    {
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "BINFLOAT",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINBYTES",
        "BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "SHORT_BINSTRING",
        "BINSTRING",
    }
)
CONSTANTS: dict[str, Callable[[], Value]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
IGNORED = frozenset({"PROTO", "FRAME"})
FOLLOWED: dict[str, Callable[[_Machine, Value], None]] = {
    "MARK": _Machine.mark,
    "MEMOIZE": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.make_short_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_short_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_short_tuple(3),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
