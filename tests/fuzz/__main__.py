"""`python -m fuzz [TARGET]… [--seconds 60] [--keep]`: inputs that atheris makes.

They are guided by what they reach in our code. `carriers` say PDUs, `clients` send SOAP requests,
`headers` are those of requests of all kinds. The targets run at once, each for so many seconds;
without a name all do.

A run begins with the seeds and the kept inputs, and prints how many inputs it tried. Ends with
status 0 when nothing was found. Otherwise the error is shown, and the input is in a file
`TARGET-crash-…` or `TARGET-timeout-…` of the current directory.

`--keep` writes `tests/fuzz/kept/` anew: the fewest inputs that reach all that was reached.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .corpora import TARGETS, keep, kept

#: Octets of the longest input.
_LONGEST = {"carriers": 2048, "clients": 8192, "headers": 8192}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="write tests/fuzz/kept/ anew")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no target: {', '.join(sorted(unknown))}. There are {', '.join(TARGETS)}.")
    chosen = given.targets or list(TARGETS)
    with ThreadPoolExecutor(len(chosen)) as pool:
        sound = pool.map(lambda target: _run(target, given.seconds, keeping=given.keep), chosen)
    return 0 if all(sound) else 1


def _run(target: str, seconds: int, *, keeping: bool) -> bool:
    """Whether nothing was found."""
    with tempfile.TemporaryDirectory() as found:
        _write(Path(found), [*TARGETS[target][1](), *kept(target)])
        done = _engine(
            target,
            found,
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST[target]}",
            f"-artifact_prefix={target}-",
            "-len_control=20",
            "-timeout=10",
            "-print_final_stats=1",
        )
        executions = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout)
        reached = re.findall(r" cov: (\d+) .* corp: (\d+)/", done.stdout)
        if done.returncode or not executions or not reached:
            print(f"{target}: failed with status {done.returncode}\n{done.stdout}", flush=True)
            return False
        print(
            f"{target}: {int(executions[1]):,} executions in {seconds} s; "
            "{} branches reached, by {} inputs".format(*reached[-1]),
            flush=True,
        )
        if keeping:
            keep(target, _fewest(target, found))
        return True


def _fewest(target: str, found: str) -> list[bytes]:
    """The inputs that together reach what those of a folder do, by branches alone."""
    with tempfile.TemporaryDirectory() as merged:
        done = _engine(target, merged, found, "-merge=1", "-use_counters=0")
        inputs = [file.read_bytes() for file in Path(merged).iterdir()]
        if done.returncode or not inputs:
            raise RuntimeError(f"{target}: nothing was kept\n{done.stdout}")
        return inputs


def _engine(target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzz.engine", target, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _write(folder: Path, inputs: Iterable[bytes]) -> None:
    for number, each in enumerate(inputs):
        (folder / str(number)).write_bytes(each)


if __name__ == "__main__":
    sys.exit(main())
