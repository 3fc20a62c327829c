"""`python -m fuzz [SECONDS]`: inputs that atheris makes, guided by what they reach in our code.

Ends with status 0 when nothing was found; otherwise the input is in a file `crash-…` or
`timeout-…` of the current directory, and the error is shown.
"""

import sys
import tempfile
from pathlib import Path

import atheris

#: What our code does with an input is followed, what libraries do is not.
_FOLLOWED = ["sms_gateway.smpp", "sms_gateway.sms", "sms_gateway.upstream.smpp_messages"]


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with atheris.instrument_imports(include=_FOLLOWED):
        from . import targets
    from .seeds import SEEDS

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            Path(corpus, str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-max_len=2048", "-len_control=20", "-timeout=10"]
        atheris.Setup([sys.argv[0], corpus, *limits], targets.try_all)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
