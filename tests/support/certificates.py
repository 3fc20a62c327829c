"""Certificates for tests, made by openssl.

Those of an authority have all that RFC 5280 asks for: Python 3.13 and newer look at that strictly.
"""

import subprocess
from pathlib import Path


def authority(folder: Path) -> tuple[Path, Path]:
    """The certificate of a CA, and its key."""
    cert, key = folder / "ca.pem", folder / "ca-key.pem"
    uses = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _run(*_NEW, "-x509", *uses, "-subj", "/CN=Test CA", "-days", 2, "-out", cert, "-keyout", key)
    return cert, key


def issued(folder: Path, name: str, *, days: int = 2) -> tuple[Path, Path]:
    """A certificate for a host name by the folder's `authority`, and its key; expired with fewer
    days than none."""
    stem = f"{name}{days}"
    cert, key, request = (folder / f"{stem}{end}" for end in (".pem", "-key.pem", ".csr"))
    _run(*_NEW, "-subj", f"/CN={name}", "-out", request, "-keyout", key)
    extensions = folder / f"{stem}.ext"
    extensions.write_text(
        f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n"
        "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n"
    )
    by = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca-key.pem", "-CAcreateserial"]
    told = ["-in", request, "-extfile", extensions, "-days", days, "-out", cert]
    _run("openssl", "x509", "-req", *by, *told)
    return cert, key


_NEW = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _run(*command: object) -> None:
    subprocess.run([str(each) for each in command], check=True, capture_output=True)


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a host name, trusted where it is itself the CA file, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    subprocess.run(
        [*openssl, "-nodes", "-out", str(cert), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )
    return cert, key
