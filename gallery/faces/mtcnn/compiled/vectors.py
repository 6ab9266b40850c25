"""The processor's vectors, and how LLVM is told to compute with them.

numba turns loops into vector instructions where it finds out that it may. The innermost loops of the nets
don't leave that to chance: they are written here in LLVM's own instructions, for vectors of the processor's
length, with all sums held in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from gallery.faces.machine_code.processor import LANES

FLOAT, INTEGER, INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)

Value = Any
"""Something computed, in LLVM's terms; llvmlite has no types of its own."""


class Code:
    """Writes instructions where numba's builder stands."""

    vector = ir.VectorType(FLOAT, LANES)

    def __init__(self, context: Any, builder: Any, signature: Any, given: Sequence[Value]) -> None:
        self.builder = builder
        self._context = context
        self._kinds = signature.args
        self._given = given

    def element(self, argument: int, index: Value) -> Value:
        """Where an element of an array argument lies."""
        array = self._context.make_array(self._kinds[argument])
        return self.after(array(self._context, self.builder, self._given[argument]).data, index)

    def after(self, place: Value, count: Value) -> Value:
        """The place so many floats later."""
        return self.builder.gep(place, [INDEX(count) if isinstance(count, int) else count])

    def load(self, place: Value, count: int = 0) -> Value:
        vector = self.builder.load(self._as_vector(place, count))
        vector.align = 4
        return vector

    def store(self, vector: Value, place: Value, count: int = 0) -> None:
        self.builder.store(vector, self._as_vector(place, count)).align = 4

    def spread(self, place: Value) -> Value:
        """The float there in all lanes."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, self.builder.load(place), INTEGER(0))
        lanes = ir.Constant(ir.VectorType(INTEGER, LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, nothing, lanes)

    def number(self, value: float) -> Value:
        return ir.Constant(self.vector, [float(value)] * LANES)

    def add(self, a: Value, b: Value) -> Value:
        return self.builder.fadd(a, b)

    def subtract(self, a: Value, b: Value) -> Value:
        return self.builder.fsub(a, b)

    def multiply_add(self, a: Value | float, b: Value, c: Value) -> Value:
        """a * b + c, in one instruction where the processor has it."""
        a = self.number(a) if isinstance(a, int | float) else a
        return self.builder.call(self._function("fmuladd", self.vector, [self.vector] * 3), [a, b, c])

    def activated(self, vector: Value, slopes: Value) -> Value:
        """PReLU."""
        positive = self.builder.fcmp_ordered(">", vector, self.number(0))
        return self.builder.select(positive, vector, self.builder.fmul(vector, slopes))

    def larger(self, a: Value, b: Value) -> Value:
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def total(self, vector: Value) -> Value:
        """The sum over all lanes."""
        function = self._function("vector.reduce.fadd", FLOAT, [FLOAT, self.vector])
        return self.builder.call(function, [FLOAT(-0.0), vector], fastmath=("reassoc",))

    def repeat(self, times: int, body: Callable[..., Sequence[Value]], *carried: Value) -> Sequence[Value]:
        """A loop: the body gets the values that it gave the last time round; what it gave at the end."""
        if times == 1:
            return body(*carried)
        before, loop = self.builder.block, self.builder.append_basic_block("loop")
        self.builder.branch(loop)
        self.builder.position_at_end(loop)
        values = [self.builder.phi(value.type) for value in (INDEX(0), *carried)]
        results = body(*values[1:])
        results = [self.builder.add(values[0], INDEX(1)), *results]
        end = self.builder.block
        for value, first, later in zip(values, (INDEX(0), *carried), results, strict=True):
            value.add_incoming(first, before)
            value.add_incoming(later, end)
        after = self.builder.append_basic_block("after")
        self.builder.cbranch(self.builder.icmp_signed("<", results[0], INDEX(times)), loop, after)
        self.builder.position_at_end(after)
        return results[1:]

    def _function(self, name: str, result: Any, arguments: Sequence[Any]) -> Value:
        kind = ir.FunctionType(result, arguments)
        name = f"llvm.{name}.v{LANES}f32"
        return cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call]

    def _as_vector(self, place: Value, count: int) -> Value:
        return self.builder.bitcast(self.after(place, count), self.vector.as_pointer())
