"""`python -m chaos --messages N --kills K --seed S --database sqlite|postgresql`"""

import argparse
import asyncio
import random
import sys

from .rounds import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="audits in between")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two kills")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    good = asyncio.run(chaos(**vars(options), tell=lambda line: print(line, flush=True)))
    print("all books agree" if good else "THE BOOKS DO NOT AGREE", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
