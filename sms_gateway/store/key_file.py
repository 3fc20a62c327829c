"""Reads the file of encryption keys: one a line; the first encrypts, all of them decrypt."""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ..errors import GatewayError
from .sealed import KEY_OCTETS, Seal

#: The prefix before the name of a systemd credential.
CREDENTIAL = "credential:"
#: A first line that turns encryption off. The keys after it still decrypt.
NO_KEY = "none"

_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: The most octets that are read, in case the name is that of a huge file.
_MOST = 100_000


class KeyFileError(GatewayError):
    """The keys cannot be read. The text says why, and contains nothing of the file."""


def seal_from(file: str, environ: Mapping[str, str] = os.environ) -> Seal:
    """The seal with the keys in a file, or in the credential that `credential:NAME` names.

    KeyFileError when it has no key, others may read it, or a line is not a key.
    """
    if file.startswith(CREDENTIAL):
        text = _read(_credential(file.removeprefix(CREDENTIAL), environ))
    else:
        path = Path(file)
        text = _read(path)
        if mode := stat.S_IMODE(path.stat().st_mode) & _BY_OTHERS:
            raise KeyFileError(f"others may use it (mode {mode:04o}); run chmod 600 {str(path)!r}")
    return Seal(*_parsed(text))


def _credential(name: str, environ: Mapping[str, str]) -> Path:
    """The path of a credential (systemd.exec, LoadCredential=)."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise KeyFileError("there are no credentials here: only systemd's services have them")
    if not name or "/" in name:
        raise KeyFileError("a credential has a name without slashes")
    return Path(folder, name)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("ascii")
    except OSError as error:
        raise KeyFileError(error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise KeyFileError("it is no text") from None


def _parsed(text: str) -> tuple[list[bytes], bool]:
    """The keys, and whether none of them encrypts."""
    secrets: list[bytes] = []
    in_clear = False
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip()
        if word == NO_KEY and not secrets and not in_clear:
            in_clear = True
        elif word:
            secret = _secret(word)
            if secret is None:
                raise KeyFileError(
                    f"line {number} is no key, which is {KEY_OCTETS} octets in base64; "
                    "openssl rand -base64 32 makes one"
                )
            if secret in secrets:
                raise KeyFileError(f"line {number} is a key that stands there already")
            secrets.append(secret)
    if not secrets:
        raise KeyFileError("there is no key in it; openssl rand -base64 32 makes one")
    return secrets, in_clear


def _secret(word: str) -> bytes | None:
    try:
        secret = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if len(secret) == KEY_OCTETS else None
