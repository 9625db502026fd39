"""`python -m benchmarks [NAME …]`: run benchmarks, each in a process of its own, and write their sections."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.document import replace
from benchmarks.machine import busy
from benchmarks.sections import SECTIONS, Section

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


def printed(section: Section) -> str:
    """What a benchmark prints, shown line by line as it comes. Raises CalledProcessError."""
    command = [sys.executable, "-m", f"benchmarks.{section.name}", *section.arguments]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(lines)


def run(sections: Iterable[Section], document: Path) -> list[str]:
    """Run benchmarks and write their sections, each as soon as it is done. Returns who failed."""
    failed = []
    for section in sections:
        print(f"\n## {section.title} ({section.name})\n", flush=True)
        other_work, started = busy(), time.perf_counter()
        try:
            output = printed(section)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"\n{section.name} failed, its section stays as it was: {error}", file=sys.stderr)
            failed.append(section.name)
            continue
        replace(document, section, output, other_work)
        print(f"\n{section.name}: {time.perf_counter() - started:.0f} s", flush=True)
    return failed


def main() -> int:
    """Run all benchmarks, or those named. Returns the exit status."""
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="default: docs/performance.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - set(names):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [section for section in SECTIONS if not arguments.name or section.name in arguments.name]
    failed = run(chosen, arguments.document)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
