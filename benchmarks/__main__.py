"""`python -m benchmarks [NAME …]`: run benchmarks, each in a process of its own."""

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run all benchmarks of this folder, or those named."""
    here = Path(__file__).parent
    names = sorted(path.stem for path in here.glob("[a-z]*.py") if path.stem != "harness")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name", nargs="*", default=names, choices=[*names, []], help=f"default: {' '.join(names)}"
    )
    for name in parser.parse_args().name:
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
