"""Columns of text in Parquet and Arrow files, and Zstandard streams: what needs pyarrow, an extra."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nexus_tui.data.cache import CorpusError
from nexus_tui.data.sources import no_field

ROWS = 1024
"""Rows taken at once."""


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise CorpusError(
            f"{file} needs pyarrow to be read: pip install 'nexus-tui[corpora]', or convert it to JSON lines."
        ) from None
    return pyarrow


def decompressed(raw: BinaryIO, file: Path) -> BinaryIO:
    """The content of a Zstandard stream."""
    pyarrow = _pyarrow(file)
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "rb"), "zstd")
    return io.BufferedReader(stream)


def parquet(file: Path, field: str, done: Callable[[int], None]) -> Iterator[Iterator[bytes]]:
    """The texts of a Parquet file's column, row by row. Raises CorpusError."""
    pyarrow = _pyarrow(file)
    from pyarrow import parquet as reader

    try:
        with reader.ParquetFile(file, memory_map=True) as table:
            _require(file, field, table.schema_arrow)
            size, rows, groups = file.stat().st_size, 0, table.metadata.num_rows
            for batch in table.iter_batches(batch_size=ROWS, columns=[field]):
                yield from _texts(file, batch, field, rows)
                rows += batch.num_rows
                done(size * rows // groups)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise _damaged(file, error) from None


def arrow(file: Path, field: str, done: Callable[[int], None]) -> Iterator[Iterator[bytes]]:
    """The texts of a column of an Arrow stream, as `datasets` saves them, or of an Arrow file."""
    pyarrow = _pyarrow(file)
    try:
        with pyarrow.memory_map(str(file)) as source:
            if source.read(6) == b"ARROW1":
                source.seek(0)
                reader = pyarrow.ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                source.seek(0)
                batches = reader = pyarrow.ipc.open_stream(source)
            _require(file, field, reader.schema)
            rows = 0
            for batch in batches:
                for start in range(0, batch.num_rows, ROWS):
                    part = batch.slice(start, ROWS)
                    yield from _texts(file, part, field, rows)
                    rows += part.num_rows
                done(min(source.tell(), file.stat().st_size))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise _damaged(file, error) from None


def _require(file: Path, field: str, schema: Any) -> None:
    """Raise CorpusError unless the column is there and has text."""
    from pyarrow import types

    def texts(kind: Any) -> bool:
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))

    names = [column.name for column in schema if texts(column.type)]
    if field not in schema.names:
        raise CorpusError(f"{file}: {no_field(field, names)}")
    if field not in names:
        raise CorpusError(f"{file}: the column {field!r} is {schema.field(field).type}, no text.")


def _texts(file: Path, batch: Any, field: str, before: int) -> Iterator[Iterator[bytes]]:
    import pyarrow

    column = batch.column(batch.schema.get_field_index(field))
    # Bytes as they are: nothing says that a damaged file's strings are UTF-8.
    for number, text in enumerate(column.cast(pyarrow.large_binary()).to_pylist(), before + 1):
        if not text:
            continue
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{file}, row {number:,}: it is not UTF-8 text (at byte {error.start}): mend the row."
                ) from None
        yield iter((text,))


def _damaged(file: Path, error: Exception) -> CorpusError:
    return CorpusError(f"The corpus {file} cannot be read: {str(error).splitlines()[0].rstrip('.')}.")
