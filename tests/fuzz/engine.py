"""`python -m fuzz.engine TARGET [OPTION|FOLDER]…`: one process of libFuzzer, by atheris.

It takes libFuzzer's options. `python -m fuzz` starts it.
"""

import sys

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
    with atheris.instrument_imports(include=_FOLLOWED):
        from .corpora import TARGETS
    target, *arguments = sys.argv[1:]
    try_all, _ = TARGETS[target]
    # By these words libFuzzer starts itself again when it merges.
    again = f"'{sys.executable}' -m fuzz.engine {target}"
    atheris.Setup([again, *arguments], try_all)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
