"""Keys by which values of a database are encrypted."""

import base64
from pathlib import Path

#: The first encrypts.
SECRETS = [bytes(range(32)), bytes(range(32, 64))]
#: The same as a file has them.
LINES = [base64.b64encode(secret).decode() for secret in SECRETS]


def key_file(folder: Path, *lines: str) -> str:
    """A file with these lines that nobody else may open."""
    file = folder / "keys"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    return str(file)
