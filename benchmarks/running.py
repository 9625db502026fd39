"""Running the programs of a document, each as a process of its own, and writing what they print."""

import argparse
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from benchmarks.document import Document, missed, replace
from benchmarks.machine import busy, has_gpu
from benchmarks.sections import ROOT, Section

_MARK = "NEXUS_SECTION"


def printed(section: Section, limit: float | None = None) -> str:
    """What a section's program prints, shown line by line as it comes.

    Raises CalledProcessError if it fails without saying which goal it missed, TimeoutExpired if it has not
    ended after `limit` seconds. Whatever it started is ended with it.
    """
    command = [sys.executable, "-m", f"{section.package}.{section.name}", *section.arguments]
    name, lines = f"{os.getpid()}-{time.monotonic_ns()}", list[str]()
    environment = os.environ | {_MARK: name}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT, env=environment, start_new_session=True
    ) as process:
        # In a thread: what outlives the program may keep its output open.
        echo = threading.Thread(target=_echo, args=(process.stdout, lines))
        echo.start()
        try:
            process.wait(limit)
        finally:
            _end(name)
            echo.join()
    output = "".join(lines)
    if process.returncode and not missed(output):
        raise subprocess.CalledProcessError(process.returncode, command)
    return output


def _echo(output: IO[str], lines: list[str]) -> None:
    for line in output:
        print(line, end="", flush=True)
        lines.append(line)


def _end(name: str) -> None:
    """End every process of a section, also those that left its session: they inherited its mark."""
    mark = f"{_MARK}={name}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)


def possible(sections: Sequence[Section]) -> list[Section]:
    """Those sections that can be run here; which cannot, for want of a GPU, is said in a sentence."""
    if not any(section.gpu for section in sections) or has_gpu():
        return list(sections)
    skipped = ", ".join(section.name for section in sections if section.gpu)
    print(f"Skipped, for they need a GPU and torch finds none here: {skipped}.", flush=True)
    return [section for section in sections if not section.gpu]


def run(
    document: Document, sections: Iterable[Section], whole: float | None = None
) -> tuple[list[str], list[str]]:
    """Run sections and write each as soon as it is done. Returns who failed, and which goals were missed.

    All of them together take no longer than `whole` seconds, by default the document's limit: those that have
    no time left fail.
    """
    whole = whole or document.limit
    failed, not_met, began = [], [], time.monotonic()
    for section in sections:
        print(f"\n## {section.title} ({section.name})\n", flush=True)
        other_work, started = busy(), time.monotonic()
        limits = [section.limit or float("inf")]
        if whole:
            limits.append(max(whole - (started - began), 1.0))
        limit = min(limits)
        try:
            output = printed(section, limit if limit < float("inf") else None)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"\n{section.name} failed, its section stays as it was: {error}", file=sys.stderr)
            failed.append(section.name)
            continue
        seconds = time.monotonic() - started
        replace(document, section, output, other_work, seconds)
        not_met += [f"{section.name}: {what}" for what in missed(output)]
        print(f"\n{section.name}: {seconds:.0f} s", flush=True)
    return failed, not_met


def main(document: Document, program: str, about: str, *, strict: bool = False) -> int:
    """Run all sections of a document, or those named. Returns the exit status.

    That is 1 if one failed, and with `strict` if a goal was missed.
    """
    names = [section.name for section in document.sections]
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--document", type=Path, default=document.path, help=f"default: {document.path.name}")
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - set(names):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [
        section
        for section in document.sections
        if section.name in arguments.name or not (arguments.name or section.alone)
    ]
    failed, not_met = run(dataclasses.replace(document, path=arguments.document), possible(chosen))
    tell(failed, not_met)
    return 1 if failed or (strict and not_met) else 0


def tell(failed: list[str], not_met: list[str]) -> None:
    """Say once more, on the error output, who failed and which goals were missed."""
    for what, of in (("failed", failed), ("not met", not_met)):
        if of:
            print(f"\n{what}: {', '.join(of)}", file=sys.stderr)
