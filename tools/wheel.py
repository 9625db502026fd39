"""Builds what people install, installs it into an empty environment outside the checkout, and uses it there.

    python -m tools.wheel [--python python3.12] [--lowest]

The wheel is built from the sdist, so that both are known to work. With `--lowest` every dependency but torch
is the oldest that pyproject.toml allows. What is installed then runs without a network, where the machine
lets a process be cut off from it. Prints what docs/install.md shows.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_MB = 40
OFFLINE = ["unshare", "--user", "--map-root-user", "--net"]
USED = [
    ["--version"],
    ["runs"],
    ["checkpoints", "nexus-bpe-tuned"],
    ["sample", "nexus-byte-tuned", "To be", "--max-tokens", "60"],
    ["sample", "nexus-bpe-tuned", "To be", "--max-tokens", "30"],
]


def run(*command: str | Path, **more: object) -> str:
    """Run a command to its end. Exits with what it said if it fails."""
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, **more)  # type: ignore[call-overload]
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")
    return str(ended.stdout)


def build(folder: Path) -> Path:
    """The sdist of the checkout and the wheel of that sdist, in a folder. Returns the wheel."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    sdist = next(folder.glob("*.tar.gz"))
    run("tar", "xzf", sdist, "-C", folder)
    unpacked = sdist.with_name(sdist.name.removesuffix(".tar.gz"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    wheel = next(folder.glob("*.whl"))
    for file in (sdist, wheel):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    if wheel.stat().st_size > LIMIT_MB * 1e6:
        sys.exit(f"the wheel is larger than {LIMIT_MB} MB")
    return wheel


def lowest(folder: Path) -> Path:
    """A constraints file with the oldest version that is allowed of each dependency but torch."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    found = (re.match(r"([\w-]+)>=([\d.]+)", each) for each in wanted)
    pins = [f"{match[1]}=={match[2]}" for match in found if match and match[1] != "torch"]
    path = folder / "lowest.txt"
    path.write_text("\n".join([*pins, f"torch=={_pinned('torch')}"]) + "\n")
    return path


def _pinned(name: str) -> str:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))


def install(wheel: Path, python: str, constraints: Path) -> Path:
    """Install into a new environment. Returns its folder of programs."""
    place = wheel.with_name("environment")
    run(python, "-m", "venv", place)
    run(place / "bin" / "python", "-m", "pip", "install", "-q", "-c", constraints, wheel)
    version = run(place / "bin" / "python", "--version").strip()
    print(f"installed by {version}:")
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=]", each)[0] for each in direct}
    frozen = run(place / "bin" / "python", "-m", "pip", "list", "--format", "freeze").splitlines()
    print(
        "  " + ", ".join(line.replace("==", " ") for line in frozen if line.split("==")[0].lower() in names)
    )
    return place / "bin"


def use(programs: Path, home: Path) -> None:
    """Run commands of the installed program in an empty folder, with a home of its own, without a network."""
    home.mkdir()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
    cut_off = subprocess.run([*OFFLINE, "true"], capture_output=True).returncode == 0
    print(f"without a network: {'yes, cut off from it' if cut_off else 'not cut off here'}\n")
    for words in USED:
        told = run(*(OFFLINE if cut_off else []), programs / "nexus-tui", *words, cwd=home, env=env)
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        print(f"$ nexus-tui {shown}\n{told.rstrip()}\n")
    left = sorted(str(path.relative_to(home)) for path in home.iterdir())
    print(f"written below the home folder: {', '.join(left) or 'nothing'}")


def main() -> None:
    """Build, install, use."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--lowest", action="store_true")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        constraints = lowest(folder) if arguments.lowest else ROOT / "constraints.txt"
        use(install(wheel, arguments.python, constraints), folder / "home")


if __name__ == "__main__":
    main()
