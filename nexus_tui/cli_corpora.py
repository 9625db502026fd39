"""The command that says what a corpus is, and what is kept of large ones."""

import dataclasses
import json
from datetime import datetime
from typing import Annotated, Any

import typer

from nexus_tui.cli_options import JsonOption

app = typer.Typer()


@app.command(epilog="Example: nexus-tui corpora texts/")
def corpora(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="A corpus, to say what it is.", show_default=False)
    ] = "",
    field: Annotated[str, typer.Option(help="The field of a row that has its text.")] = "text",
    kept: Annotated[bool, typer.Option("--kept", help="What the cache has of large corpora.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove that: it can be made again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the corpora that `nexus-tui train --corpus` knows by name, or say what a path stands for."""
    from nexus_tui.data import cache, described
    from nexus_tui.data.corpus import corpora as known

    if clear:
        freed = cache.clear()
        _say({"freed_bytes": freed}, f"Removed {described.size(freed)} from {cache.cache_folder()}.", as_json)
    elif kept:
        found = described.kept()
        for entry in found:
            used = datetime.fromtimestamp(entry.used)
            line = f"{used:%Y-%m-%d %H:%M}  {described.size(entry.bytes):>9}  {entry.what:6}  {entry.path}"
            _say(dataclasses.asdict(entry), line, as_json)
        if not found and not as_json:
            print(f"Nothing is kept in {cache.cache_folder()}: only large corpora are.")
    elif path:
        about = described.described(path, field)
        if about.wrong and not as_json:
            raise cache.CorpusError(about.wrong)
        _say(dataclasses.asdict(about), f"{about}.", as_json)
    else:
        _say(known(), "\n".join(known()), as_json)


def _say(value: Any, text: str, as_json: bool) -> None:
    from nexus_tui.untrusted import visible

    print(json.dumps(value, ensure_ascii=False) if as_json else visible(text))
