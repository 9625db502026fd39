"""The tests that need a GPU, or use one where there is one, on this one.

Of a file that has such tests all are run: what elsewhere Triton interprets, or is done piece by piece, is
here compiled and captured.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.gpu_case import place
from benchmarks.harness import goal

ROOT = Path(__file__).parents[1]
USES = ('reason="needs a GPU"', "cuda.is_available()")
"""Of which a file of such tests has one."""


def files(root: Path = ROOT) -> list[Path]:
    """The files of tests that have some, from the root."""
    found = sorted((root / "tests").rglob("test_*.py"))
    texts = {path.relative_to(root): path.read_text("utf-8") for path in found}
    return [path for path, text in texts.items() if any(use in text for use in USES)]


def counts(report: Path) -> dict[str, list[str]]:
    """Which tests passed, failed and were skipped, of a JUnit file."""
    found: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        kind = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[kind].append(f"{case.get('classname')}.{case.get('name')}")
    return found


def main() -> None:
    """Run them, and print how many passed, and what those that did not said."""
    place(__doc__, repetitions=1)
    chosen = files()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "--tb=short", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", *map(str, chosen)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not report.exists():
            raise SystemExit(f"pytest did not run:\n{done.stdout[-4000:]}")
        found = counts(report)
    said = ", ".join(f"{len(names)} {kind}" for kind, names in found.items())
    print(f"{said}; of {', '.join(f'`{path}`' for path in chosen)}.\n")
    for name in found["failed"]:
        print(f"- failed: `{name}`")
    if found["failed"]:
        print(f"\n```\n{done.stdout[-6000:].strip()}\n```\n")
    print(goal("tests of a GPU that fail are", 0, len(found["failed"]), ""))


if __name__ == "__main__":
    main()
