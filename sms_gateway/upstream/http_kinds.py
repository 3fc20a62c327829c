"""Makes providers by HTTP of what the settings say: of tables, and of names."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .http_provider import HttpProvider, provider_of
from .http_table import (
    CONNECTION,
    Accepted,
    HttpTable,
    Named,
    Option,
    checked,
    named,
    names,
    options_of,
)
from .template import Text

#: The kind of a table that describes a provider itself.
OWN = "http"
#: What the table of a provider by name may say beside its options: errors and states that its
#: documentation has not, and who the handset shows.
_MORE = ("errors", "states", "sender")


def provider(
    entries: Mapping[str, Any], address: Callable[[str], str], *, masked: bool = False
) -> HttpProvider:
    """The provider that a table of the settings describes.

    `entries`: the table, with its `kind`. `address`: the address that a provider pushes to, by the
    secret in it. `masked`: with *** for secrets. ValueError, in one line that begins with the
    entry and holds no value, for a wrong table.
    """
    kind = str(entries.get("kind"))
    rest = {name: value for name, value in entries.items() if name != "kind"}
    connection = {name: rest.pop(name) for name in CONNECTION if name in rest}
    if kind == OWN:
        if not connection.get("url"):
            raise ValueError("url: it is missing")
        table = checked(HttpTable, rest)
        given = {name: "***" if masked else value for name, value in table.secrets.items()}
    else:
        try:
            described = named(kind)
        except KeyError:
            raise ValueError(
                f"kind: {kind!r} is unknown; allowed: {', '.join([OWN, *names()])}"
            ) from None
        given = _options(described, rest, masked=masked)
        table = _with(described, rest)
        usual: dict[str, Any] = {"idempotent": described.idempotent, "url": described.url}
        if described.rate is not None:
            usual["rate"] = described.rate
        connection = usual | connection
        url = Text(connection["url"], list(given))
        connection["url"] = url.text(given.__getitem__)
    _check_url(connection["url"])
    options = options_of(connection)
    secrets = options.push_secrets()
    callback = address("***" if masked else secrets[0]) if secrets else ""
    most = table.callback_most if isinstance(table, Named) else None
    if most is not None and len(callback) > most:
        raise ValueError(
            f"push_secret: the address for receipts has {len(callback)} characters, of which the "
            f"provider takes {most}; shorten public_url, the upstream's name or the secret"
        )
    return provider_of(options, table, given, callback=callback)


def _check_url(url: object) -> None:
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?", url):
        raise ValueError("url: it is http://HOST or https://HOST, with a path where needed")


def _options(described: Named, rest: Mapping[str, Any], *, masked: bool) -> dict[str, str]:
    """The values of a provider's options."""
    allowed = [*described.options, *_MORE, *CONNECTION]
    for name in rest:
        if name not in allowed:
            raise ValueError(f"{name}: there is no such option; allowed: {', '.join(allowed)}")
    return {
        name: _value(name, option, rest.get(name), masked=masked)
        for name, option in described.options.items()
    }


def _value(name: str, option: Option, value: Any, *, masked: bool) -> str:
    if value in (None, ""):
        if option.required:
            raise ValueError(f"{name}: it is missing: {option.about}")
        return option.default
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"{name}: it is a text")
    text = str(value)
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"{name}: visible ASCII characters are allowed")
    if option.form and not re.fullmatch(option.form, text):
        raise ValueError(f"{name}: it is not {option.about}")
    return "***" if masked and option.secret else text


def _with(described: Named, rest: Mapping[str, Any]) -> HttpTable:
    """A provider's table with what the settings add to it."""
    more = {name: rest[name] for name in _MORE if name in rest}
    if not more:
        return described
    added = checked(_Added, more)
    return described.model_copy(
        update={
            "errors": described.errors | added.errors,
            "states": described.states | added.states,
            "sender": added.sender or described.sender,
        }
    )


class _Added(HttpTable):
    """Entries that are checked as those of any table; the rest stays as it is."""

    error: str = "-"
    accepted: Accepted = Accepted(id="-")
