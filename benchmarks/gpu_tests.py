"""The tests that need a GPU, on this one.

Of the files that have such tests, whatever a condition can skip is run.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.gpu_case import place
from benchmarks.harness import goal

ROOT = Path(__file__).parents[1]
NEED = "needs a GPU"
"""What such a test says when it is skipped."""


def files(root: Path = ROOT) -> list[Path]:
    """The files of tests that have some, from the root."""
    found = sorted((root / "tests").rglob("test_*.py"))
    return [path.relative_to(root) for path in found if f'reason="{NEED}"' in path.read_text("utf-8")]


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
    where = place(__doc__, repetitions=1)
    if not (chosen := files()):
        raise SystemExit(f"No test says {NEED!r}.")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "skipif", "--tb=short", "-p", "no:cacheprovider"]
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
    if where.gpu:
        print(goal("tests of a GPU that pass are", 1, len(found["passed"]), "", least=True))


if __name__ == "__main__":
    main()
