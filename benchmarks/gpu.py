"""`python -m benchmarks.gpu [NAME …]`: all figures of a GPU, within some minutes.

Each section is a process of its own, so that what fails, for want of memory or of a package, costs one
section; it is printed and written as it ends. On a machine that is given back, write a document there and
take it here:

    python -m benchmarks.gpu --document gpu.md     # there
    python -m benchmarks.gpu --take gpu.md         # here, into docs/performance.md

`--device cpu --quick` tries the script without a GPU, at tiny sizes, and writes nothing.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

from benchmarks.document import PERFORMANCE, take
from benchmarks.machine import has_gpu
from benchmarks.running import run, tell
from benchmarks.sections import GPU_SECTIONS

MINUTES = 8.0


def arguments() -> argparse.Namespace:
    """What is asked for."""
    names = [section.name.removeprefix("gpu_") for section in GPU_SECTIONS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which show that it works")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for all of it, default: {MINUTES:g}")
    parser.add_argument("--document", type=Path, help=f"default: {PERFORMANCE.path.name}; with --quick, none")
    parser.add_argument("--take", type=Path, metavar="FILE", help="measure nothing: take what is in FILE")
    said = parser.parse_args()
    if unknown := set(said.name) - set(names):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return said


def main() -> int:
    """Run the sections, or take what was written elsewhere. Returns the exit status, 1 if one failed."""
    said = arguments()
    if said.take:
        document = dataclasses.replace(PERFORMANCE, path=said.document or PERFORMANCE.path)
        titles = take(document, said.take.read_text("utf-8"))
        print("\n".join([f"Taken into {document.path}:", *(f"- {title}" for title in titles)]))
        return 0
    if said.device.startswith("cuda") and not has_gpu():
        print("torch finds no GPU here; --device cpu --quick tries the script without one.", file=sys.stderr)
        return 1
    options = [*(["--device", said.device] if said.device != "cuda" else [])]
    options += ["--quick"] if said.quick else []
    chosen = [
        dataclasses.replace(section, arguments=(*section.arguments, *options))
        for section in GPU_SECTIONS
        if not said.name or section.name.removeprefix("gpu_") in said.name
    ]
    with tempfile.TemporaryDirectory() as nowhere:
        usual = Path(nowhere) / "gpu.md" if said.quick else PERFORMANCE.path
        document = dataclasses.replace(PERFORMANCE, path=said.document or usual)
        failed, not_met = run(document, chosen, 60 * said.minutes)
    tell(failed, not_met)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
