"""Vectors of channels as values in Numba code.

LLVM does not find the vectors in a scan by itself: the state must stay in registers while time goes by, and
the compiler cannot prove that arrays do not overlap. So the kernels say what they mean. A `Tile` is `rows`
vectors of `LANES` 32-bit floats, one row a state of the scan and one lane a channel; LLVM keeps it in
vector registers of whatever width the machine has. `+ - * /` work on tiles; where one side has a single
row, it is used for every row.

Array arguments are one-dimensional, contiguous and float32. Indices are not checked.
"""

# Numba prescribes the arguments of an intrinsic and of its builder, needed or not.
# ruff: noqa: ARG001
# mypy: disable-error-code="import-untyped, misc, no-untyped-call, untyped-decorator"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, models, register_model, type_callable

from nexus_tui.lm.selective_scan.compiled import intrinsic

# Two 256-bit registers (or four of 128 bits) on machines without AVX-512: wider rows would spill.
LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
ROWS = 4

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(ir.IntType(32), LANES)


class Tile(types.Type):
    """Numba's type of `rows` vectors."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(name=f"Tile({rows}x{LANES})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(_VECTOR, tile.rows))


def _row(builder: Any, tile: Any, row: int) -> Any:
    return builder.extract_value(tile, row if tile.type.count > 1 else 0)


def _map(builder: Any, operation: Callable[..., Any], *tiles: Any) -> Any:
    """Apply an operation on vectors to every row."""
    rows = max(tile.type.count for tile in tiles)
    result = ir.Constant(ir.ArrayType(_VECTOR, rows), ir.Undefined)
    for r in range(rows):
        vector = operation(*(_row(builder, tile, r) for tile in tiles))
        result = builder.insert_value(result, vector, r)
    return result


def _constant(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _bits(value: int) -> Any:
    return ir.Constant(_BITS, [value] * LANES)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # fmuladd and not fma: a machine without the instruction multiplies and adds, and calls no function.
    name = f"llvm.fmuladd.v{LANES}f32"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
    return builder.call(function, [a, b, c])


def _splat(builder: Any, scalar: Any) -> Any:
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_BITS, [0] * LANES))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _vector_pointer(builder: Any, pointer: Any) -> Any:
    return builder.bitcast(pointer, _VECTOR.as_pointer())


def _binary(symbol: Any, method: str) -> None:
    @type_callable(symbol)
    def typer(context: Any) -> Any:
        def resolve(a: Any, b: Any) -> Any:
            if isinstance(a, Tile) and isinstance(b, Tile):
                return Tile(max(a.rows, b.rows))
            return None

        return resolve

    @lower_builtin(symbol, Tile, Tile)
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda a, b: getattr(builder, method)(a, b), *args)


for _symbol, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _binary(_symbol, _method)


@intrinsic
def spread(typing: Any, scalar: Any) -> Any:
    """One row, the scalar in every lane."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = context.cast(builder, args[0], scalar, types.float32)
        return _map(
            builder,
            lambda _: _splat(builder, number),
            ir.Constant(ir.ArrayType(_VECTOR, 1), ir.Undefined),
        )

    return Tile(1)(scalar), build


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """One row: the LANES numbers from array[index]."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _vector_pointer(builder, _pointer(context, builder, array, *args))
        vector = builder.load(pointer, align=4)
        return builder.insert_value(ir.Constant(ir.ArrayType(_VECTOR, 1), ir.Undefined), vector, 0)

    return Tile(1)(array, types.intp), build


@intrinsic
def load_rows(typing: Any, array: Any, index: Any, stride: Any) -> Any:
    """ROWS rows: row r from array[index + r * stride]."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, stride = args
        result = ir.Constant(ir.ArrayType(_VECTOR, ROWS), ir.Undefined)
        for r in range(ROWS):
            at = builder.add(index, builder.mul(stride, stride.type(r)))
            pointer = _vector_pointer(builder, _pointer(context, builder, array, values, at))
            result = builder.insert_value(result, builder.load(pointer, align=4), r)
        return result

    return Tile(ROWS)(array, types.intp, types.intp), build


@intrinsic
def load_column(typing: Any, array: Any, index: Any) -> Any:
    """ROWS rows: array[index + r] in every lane of row r."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index = args
        result = ir.Constant(ir.ArrayType(_VECTOR, ROWS), ir.Undefined)
        for r in range(ROWS):
            scalar = builder.load(
                _pointer(context, builder, array, values, builder.add(index, index.type(r)))
            )
            result = builder.insert_value(result, _splat(builder, scalar), r)
        return result

    return Tile(ROWS)(array, types.intp), build


@intrinsic
def store(typing: Any, array: Any, index: Any, stride: Any, tile: Any) -> Any:
    """Row r of the tile to array[index + r * stride] and on."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, stride, rows = args
        for r in range(tile.rows):
            at = builder.add(index, builder.mul(stride, stride.type(r)))
            pointer = _vector_pointer(builder, _pointer(context, builder, array, values, at))
            builder.store(builder.extract_value(rows, r), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), build


@intrinsic
def store_row_sums(typing: Any, array: Any, index: Any, tile: Any) -> Any:
    """array[index + r] = sum of the lanes of row r, halves added to halves."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, rows = args
        for r in range(tile.rows):
            vector, width = builder.extract_value(rows, r), LANES
            while width > 1:
                width //= 2
                low, high = (
                    builder.shuffle_vector(
                        vector,
                        vector,
                        ir.Constant(ir.VectorType(ir.IntType(32), width), list(lanes)),
                    )
                    for lanes in (range(width), range(width, 2 * width))
                )
                vector = builder.fadd(low, high)
            total = builder.extract_element(vector, ir.IntType(32)(0))
            builder.store(
                total,
                _pointer(context, builder, array, values, builder.add(index, index.type(r))),
            )
        return context.get_dummy_value()

    return types.void(array, types.intp, tile), build


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda a, b, c: _fma(builder, a, b, c), *args)

    return Tile(max(a.rows, b.rows, c.rows))(a, b, c), build


@intrinsic
def dot(typing: Any, a: Any, b: Any, start: Any) -> Any:
    """One row: start + the sum over rows of a * b."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right, total = args
        vector = builder.extract_value(total, 0)
        for r in range(max(a.rows, b.rows)):
            vector = _fma(builder, _row(builder, left, r), _row(builder, right, r), vector)
        return builder.insert_value(total, vector, 0)

    return Tile(1)(a, b, start), build


def _bound(predicate: str) -> Callable[..., Any]:
    def typing(typing: Any, tile: Any, bound: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # The bound where the comparison holds, and not otherwise: a NaN stays.
            return _map(
                builder,
                lambda x, y: builder.select(builder.fcmp_ordered(predicate, y, x), y, x),
                *args,
            )

        return Tile(max(tile.rows, bound.rows))(tile, bound), build

    return typing


at_most = intrinsic(_bound("<"))
at_least = intrinsic(_bound(">"))


@intrinsic
def choose(typing: Any, sign: Any, positive: Any, negative: Any) -> Any:
    """`positive` where sign >= 0, `negative` elsewhere."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(
            builder,
            lambda s, x, y: builder.select(builder.fcmp_ordered(">=", s, _constant(0.0)), x, y),
            *args,
        )

    return Tile(max(sign.rows, positive.rows, negative.rows))(sign, positive, negative), build


# 2**f = 1 + c1 f + ... + c5 f**5 for -1/2 <= f <= 1/2: least maximum relative error, 1.1e-7 in 32 bits.
_EXP2 = (
    0.6931470036506653,
    0.24022242426872253,
    0.05550733581185341,
    0.009671512991189957,
    0.001326472731307149,
)
# Adding 1.5 * 2**23 rounds to an integer and leaves it in the low bits of the sum.
_ROUND = 12582912.0


def _exp2(builder: Any, x: Any) -> Any:
    shifted = builder.fadd(x, _constant(_ROUND))
    f = builder.fsub(x, builder.fsub(shifted, _constant(_ROUND)))
    power = _constant(_EXP2[-1])
    for coefficient in (*_EXP2[-2::-1], 1.0):
        power = _fma(builder, power, f, _constant(coefficient))
    exponent = builder.shl(builder.bitcast(shifted, _BITS), _bits(23))
    return builder.bitcast(builder.add(builder.bitcast(power, _BITS), exponent), _VECTOR)


@intrinsic
def exp2(typing: Any, tile: Any) -> Any:
    """2**x for -126 <= x <= 126; the caller clamps."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda x: _exp2(builder, x), *args)

    return tile(tile), build


@intrinsic
def take(typing: Any, counter: Any) -> Any:
    """The number in counter[0], which becomes one more in the same instant, whichever thread asks."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = context.make_array(counter)(context, builder, args[0]).data
        return builder.atomic_rmw("add", pointer, ir.IntType(64)(1), "monotonic")

    return types.int64(counter), build


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for array[index] to be brought into the second-level cache."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, array, *args), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build
