"""TLS as a client: whom we trust, and who we are."""

import ssl


def client_context(cafile: str = "", certfile: str = "", keyfile: str = "") -> ssl.SSLContext:
    """A context that verifies the other side's certificate and name.

    `cafile`: the certificates to trust; empty is the system's. `certfile`, `keyfile`: our own, for
    whom asks for one; the key may be in the same file. All are PEM. Raises ValueError, in one line
    that begins with the option.
    """
    try:
        context = ssl.create_default_context(cafile=cafile or None)
    except OSError as error:
        raise ValueError(f"cafile: no certificates can be read ({error.strerror})") from None
    if keyfile and not certfile:
        raise ValueError("keyfile: there is no certfile with it")
    if certfile:
        try:
            context.load_cert_chain(certfile, keyfile or None, password=_no_passphrase)
        except OSError as error:
            told = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(
                f"certfile, keyfile: no certificate with its key can be read ({told})"
            ) from None
    return context


def _no_passphrase() -> str:
    # Without this OpenSSL would ask for one at the terminal, and wait.
    raise ValueError("keyfile: it is encrypted; write it without a passphrase")
