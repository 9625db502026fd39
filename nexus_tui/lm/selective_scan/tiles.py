"""Vectors of channels as values in Numba code.

LLVM does not find the vectors in a scan by itself: the state must stay in registers while time goes by, and
the compiler cannot prove that arrays do not overlap. So the kernels say what they mean. A `Tile` is `rows`
vectors of `LANES` or `WIDE` 32-bit floats, one row a state of the scan and one lane a channel; LLVM keeps it
in vector registers of whatever width the machine has. `+ - * /` work on tiles; where one side has a single
row, it is used for every row, and where one has `LANES` and the other `WIDE`, for every part of a wide row.

Array arguments are one-dimensional, contiguous and float32. Indices are not checked.
"""

# Numba prescribes the arguments of an intrinsic and of its builder, needed or not.
# ruff: noqa: ARG001
# mypy: disable-error-code="import-untyped, misc, no-untyped-call, untyped-decorator"

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from typing import Any

from nexus_tui.jit import (
    binding,
    cgutils,
    ir,
    lower_builtin,
    models,
    register_model,
    type_callable,
    types,
)
from nexus_tui.lm.selective_scan.compiled import intrinsic

AVX512 = bool(binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if AVX512 else 8
# A wide row is two of AVX-512's 32 registers: what is read for a state then serves both. Elsewhere there are
# 16 registers, and tiles of such rows would spill.
WIDE = 2 * LANES if AVX512 else LANES
ROWS = 4
LINE = 16  # numbers that memory delivers at once

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)


class Tile(types.Type):
    """Numba's type of `rows` vectors of `lanes` numbers."""

    def __init__(self, rows: int, lanes: int = LANES) -> None:
        self.rows, self.lanes = rows, lanes
        super().__init__(name=f"Tile({rows}x{lanes})")


def _common(*tiles: Tile) -> Tile:
    return Tile(max(tile.rows for tile in tiles), max(tile.lanes for tile in tiles))


def _vectors(rows: int, lanes: int) -> Any:
    return ir.ArrayType(ir.VectorType(_FLOAT, lanes), rows)


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, _vectors(tile.rows, tile.lanes))


def _lanes(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """These lanes of two vectors side by side."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT, len(lanes)), lanes))


def _row(builder: Any, tile: Any, row: int, lanes: int) -> Any:
    vector = builder.extract_value(tile, row if tile.type.count > 1 else 0)
    narrow = vector.type.count
    if narrow < lanes:
        vector = _lanes(builder, vector, vector, [*range(narrow)] * (lanes // narrow))
    return vector


def _map(builder: Any, operation: Callable[..., Any], *tiles: Any) -> Any:
    """Apply an operation on vectors to every row."""
    rows = max(tile.type.count for tile in tiles)
    lanes = max(tile.type.element.count for tile in tiles)
    result = ir.Constant(_vectors(rows, lanes), ir.Undefined)
    for r in range(rows):
        vector = operation(*(_row(builder, tile, r, lanes) for tile in tiles))
        result = builder.insert_value(result, vector, r)
    return result


def _constant(value: float, like: Any) -> Any:
    return ir.Constant(like.type, [value] * like.type.count)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # fmuladd and not fma: a machine without the instruction multiplies and adds, and calls no function.
    name = f"llvm.fmuladd.v{a.type.count}f32"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [a, b, c])


def _splat(builder: Any, scalar: Any) -> Any:
    single = builder.insert_element(ir.Constant(ir.VectorType(_FLOAT, LANES), ir.Undefined), scalar, _INT(0))
    return _lanes(builder, single, single, [0] * LANES)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _vector_pointer(builder: Any, pointer: Any, lanes: int) -> Any:
    return builder.bitcast(pointer, ir.VectorType(_FLOAT, lanes).as_pointer())


def _binary(symbol: Any, method: str) -> None:
    @type_callable(symbol)
    def typer(context: Any) -> Any:
        def resolve(a: Any, b: Any) -> Any:
            if isinstance(a, Tile) and isinstance(b, Tile):
                return _common(a, b)
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
        return builder.insert_value(ir.Constant(_vectors(1, LANES), ir.Undefined), _splat(builder, number), 0)

    return Tile(1)(scalar), build


@intrinsic
def widen(typing: Any, tile: Any) -> Any:
    """Every row as often as it takes to make it WIDE."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(_vectors(1, WIDE), None)
        return _map(builder, lambda x, _: x, *args, zero)

    return Tile(tile.rows, WIDE)(tile), build


def _loads(rows: int, lanes: int) -> Callable[..., Any]:
    def typing(typing: Any, array: Any, index: Any, stride: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values, index, stride = args
            result = ir.Constant(_vectors(rows, lanes), ir.Undefined)
            for r in range(rows):
                at = builder.add(index, builder.mul(stride, stride.type(r)))
                pointer = _pointer(context, builder, array, values, at)
                vector = builder.load(_vector_pointer(builder, pointer, lanes), align=4)
                result = builder.insert_value(result, vector, r)
            return result

        return Tile(rows, lanes)(array, types.intp, types.intp), build

    return typing


# Of an array, an index and a stride: ROWS rows of LANES or WIDE numbers, row r from array[index + r stride].
load_rows = intrinsic(_loads(ROWS, LANES))
load_wide_rows = intrinsic(_loads(ROWS, WIDE))


def _load(lanes: int) -> Callable[..., Any]:
    def typing(typing: Any, array: Any, index: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _vector_pointer(builder, _pointer(context, builder, array, *args), lanes)
            vector = builder.load(pointer, align=4)
            return builder.insert_value(ir.Constant(_vectors(1, lanes), ir.Undefined), vector, 0)

        return Tile(1, lanes)(array, types.intp), build

    return typing


# One row: the LANES or WIDE numbers from array[index].
load = intrinsic(_load(LANES))
load_wide = intrinsic(_load(WIDE))


@intrinsic
def load_column(typing: Any, array: Any, index: Any) -> Any:
    """ROWS rows: array[index + r] in every lane of row r."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index = args
        result = ir.Constant(_vectors(ROWS, LANES), ir.Undefined)
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
            pointer = _vector_pointer(builder, _pointer(context, builder, array, values, at), tile.lanes)
            builder.store(builder.extract_value(rows, r), pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), build


@intrinsic
def add_products(typing: Any, array: Any, index: Any, a: Any, b: Any) -> Any:
    """LANES sums a row from array[index + r * LANES]: row r of a * b added, of wide rows both halves."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, *tiles = args
        rows, lanes = signature.args[2:], max(a.lanes, b.lanes)
        for r in range(max(tile.rows for tile in rows)):
            at = builder.add(index, index.type(r * LANES))
            pointer = _vector_pointer(builder, _pointer(context, builder, array, values, at), LANES)
            total = builder.load(pointer, align=4)
            x, y = (_row(builder, tile, r, lanes) for tile in tiles)
            for start in range(0, lanes, LANES):
                part = [*range(start, start + LANES)]
                total = _fma(builder, _lanes(builder, x, x, part), _lanes(builder, y, y, part), total)
            builder.store(total, pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, b), build


def _merge(builder: Any, vectors: list[Any]) -> Any:
    """One vector: the sum of the lanes of each of 2**n vectors, halves added to halves, all in one go."""
    width, count = vectors[0].type.count, 1  # every vector holds `count` segments of `width` lanes
    while width > 1:
        width //= 2
        pairs = (
            [*zip(vectors[::2], vectors[1::2], strict=True)] if len(vectors) > 1 else [(*vectors, *vectors)]
        )
        count *= min(2, len(vectors))
        starts = range(0, 2 * width * count, 2 * width)
        low = [start + i for start in starts for i in range(width)]
        high = [lane + width for lane in low]
        vectors = [builder.fadd(_lanes(builder, a, b, low), _lanes(builder, a, b, high)) for a, b in pairs]
    return vectors[0]


@intrinsic
def store_row_sums(typing: Any, array: Any, index: Any, tile: Any) -> Any:
    """array[index + r] = the sum of the lanes of row r, halves added to halves."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, index, rows = args
        total = _merge(builder, [builder.extract_value(rows, r) for r in range(tile.rows)])
        pointer = _pointer(context, builder, array, values, index)
        builder.store(total, _vector_pointer(builder, pointer, tile.rows), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, tile), build


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda a, b, c: _fma(builder, a, b, c), *args)

    return _common(a, b, c)(a, b, c), build


@intrinsic
def dot(typing: Any, a: Any, b: Any, start: Any) -> Any:
    """One row: start + the sum over rows of a * b."""
    lanes = _common(a, b, start).lanes

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right, total = args
        vector = _row(builder, total, 0, lanes)
        for r in range(max(a.rows, b.rows)):
            vector = _fma(builder, _row(builder, left, r, lanes), _row(builder, right, r, lanes), vector)
        return builder.insert_value(ir.Constant(_vectors(1, lanes), ir.Undefined), vector, 0)

    return Tile(1, lanes)(a, b, start), build


def _bound(predicate: str) -> Callable[..., Any]:
    def typing(typing: Any, tile: Any, bound: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # The bound where the comparison holds, and not otherwise: a NaN stays.
            return _map(
                builder,
                lambda x, y: builder.select(builder.fcmp_ordered(predicate, y, x), y, x),
                *args,
            )

        return _common(tile, bound)(tile, bound), build

    return typing


at_most = intrinsic(_bound("<"))
at_least = intrinsic(_bound(">"))


@intrinsic
def choose(typing: Any, sign: Any, positive: Any, negative: Any) -> Any:
    """`positive` where sign >= 0, `negative` elsewhere."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(
            builder,
            lambda s, x, y: builder.select(builder.fcmp_ordered(">=", s, _constant(0.0, s)), x, y),
            *args,
        )

    return _common(sign, positive, negative)(sign, positive, negative), build


# 2**x = 2**n 2**f, n a multiple of 1/32 where an instruction looks up 2**n's fraction, else an integer, and
# 2**f = 1 + c1 f + c2 f**2 + ... for |f| <= 1/64 or 1/2: least maximum relative error, 1.2e-7 in 32 bits.
_FRACTION = 5 if AVX512 else 0
_EXP2 = (
    (0.6931573297916319, 0.24022649738175494)
    if AVX512
    else (
        0.6931470036506653,
        0.24022242426872253,
        0.05550733581185341,
        0.009671512991189957,
        0.001326472731307149,
    )
)
# Adding this rounds to a multiple of 2**-_FRACTION and leaves that multiple in the low bits of the sum.
_ROUND = 1.5 * 2.0 ** (23 - _FRACTION)


def _as_bits(value: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def _whole(value: int, like: Any) -> Any:
    return ir.Constant(like.type, [value] * like.type.count)


def _fractions(builder: Any, bits: Any) -> Any:
    """The bits of 2**(j/32), j the five low bits, less what j adds when the bits move up to the exponent."""
    if not AVX512:
        return _whole(_as_bits(1.0), bits)
    words = [_as_bits(2 ** (j / 32)) - (j << 18) for j in range(32)]
    register = ir.VectorType(_INT, LANES)
    kind = ir.FunctionType(register, [register] * 3)
    look_up = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpermi2var.d.512")
    low, high = ir.Constant(register, words[:16]), ir.Constant(register, words[16:])
    found = [
        builder.call(look_up, [low, _lanes(builder, bits, bits, [*range(start, start + LANES)]), high])
        for start in range(0, bits.type.count, LANES)
    ]
    return _lanes(builder, found[0], found[-1], [*range(bits.type.count)])


def _exp2(builder: Any, a: Any, b: Any) -> Any:
    shifted = _fma(builder, a, b, _constant(_ROUND, a))
    whole = builder.fsub(shifted, _constant(_ROUND, a))
    f = _fma(builder, a, b, builder.fneg(whole))
    series = _constant(_EXP2[-1], a)
    for coefficient in _EXP2[-2::-1]:
        series = _fma(builder, series, f, _constant(coefficient, a))
    bits = builder.bitcast(shifted, ir.VectorType(_INT, a.type.count))
    for predicate, limit in (("<", -125.0), (">", 126.0)):
        bound = _whole(_as_bits(_ROUND + limit), bits)
        bits = builder.select(builder.icmp_signed(predicate, bits, bound), bound, bits)
    exponent = builder.shl(bits, _whole(23 - _FRACTION, bits))
    power = builder.bitcast(builder.add(_fractions(builder, bits), exponent), a.type)
    return _fma(builder, power, builder.fmul(series, f), power)


@intrinsic
def exp2_product(typing: Any, a: Any, b: Any) -> Any:
    """2**(a b) where -125 <= a b <= 126; no less and no more beyond, while |a b| < 1e20. A NaN stays."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda a, b: _exp2(builder, a, b), *args)

    return _common(a, b)(a, b), build


@intrinsic
def exp2(typing: Any, tile: Any) -> Any:
    """2**x, as `exp2_product` has it."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _map(builder, lambda x: _exp2(builder, x, _constant(1.0, x)), *args)

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
