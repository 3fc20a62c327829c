"""`python -m fuzz [carriers|clients|headers] [SECONDS]`: inputs that atheris makes, guided by what
they reach in our code; `carriers` say PDUs, `clients` send SOAP requests, `headers` are those of
requests of all kinds.

Ends with status 0 when nothing was found; otherwise the input is in a file `crash-…` or
`timeout-…` of the current directory, and the error is shown.
"""

import sys
import tempfile
from pathlib import Path

import atheris

#: What our code does with an input is followed, what libraries do is not.
_FOLLOWED = [
    "sms_gateway.smpp",
    "sms_gateway.sms",
    "sms_gateway.upstream.smpp_messages",
    "sms_gateway.web",
    "sms_gateway.words",
    "soap_server",
]


def main() -> None:
    words = sys.argv[1:]
    who = words.pop(0) if words and not words[0].isdecimal() else "carriers"
    seconds = int(words[0]) if words else 60
    with atheris.instrument_imports(include=_FOLLOWED):
        if who == "clients":
            from . import soap_targets as targets
        elif who == "headers":
            from . import header_targets as targets  # type: ignore[no-redef]
        else:
            from . import targets  # type: ignore[no-redef]
    if who in ("clients", "headers"):
        begin, longest = targets.seeds(), 8192
    else:
        from .seeds import SEEDS as begin

        longest = 2048

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(begin):
            Path(corpus, str(number)).write_bytes(seed)
        limits = [
            f"-max_total_time={seconds}",
            f"-max_len={longest}",
            "-len_control=20",
            "-timeout=10",
        ]
        atheris.Setup([sys.argv[0], corpus, *limits], targets.try_all)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
