"""Writes docs/use/providers: a page for each provider that is known by name, from its table.

`python tests/support/provider_pages.py` writes them anew.
"""

from pathlib import Path

from sms_gateway.upstream.http_table import Named, meaning_of, named, names

FOLDER = Path(__file__).parents[2] / "docs/use/providers"

_MEANINGS = {
    "refused": "fails for good",
    "retry": "is tried again",
    "throttled": "is tried again, and the pace becomes slower",
    "busy": "is tried again, and others to its number wait",
    "locked": "waits until somebody has put it right",
    "uncertain": "is `uncertain`",
}


def page(kind: str) -> str:
    """The page of a provider."""
    table = named(kind)
    return (
        "\n\n".join(
            [
                f"# {table.name}",
                _plain(table.about),
                "## Configuration",
                f"```toml\n{_sample(kind, table)}```",
                _address(kind) if table.receipts else "",
                _plain(table.pushes),
                "## Options",
                "| Option | Default | |\n|---|---|---|\n" + _options(table),
                "The [options of the connection](../http.md#the-request) go beside them, as do "
                "`errors` and `states` for words that are missing below.",
                "## Repeats",
                _plain(table.repeats),
                "## What its errors mean",
                "| Code | Meaning | The message |\n|---|---|---|\n" + _errors(table),
                "Other codes are judged by their HTTP status, "
                "[as everywhere](../http.md#what-an-answer-means).",
                "## What became of a message",
                "| Its word | State |\n|---|---|\n"
                + "\n".join(f"| {word} | `{state}` |" for word, state in table.states.items()),
                "## What was checked",
                _plain(table.verified),
                "## Sources",
                "\n".join(f"- <{source}>" for source in table.sources),
            ]
        ).replace("\n\n\n\n", "\n\n")
        + "\n"
    )


def _address(kind: str) -> str:
    return f"`sendsmsnow upstream address {kind}` shows the address for receipts and messages."


def _plain(text: str) -> str:
    return text.strip()


def _sample(kind: str, table: Named) -> str:
    lines = [f"[upstreams.{kind}]", f'kind = "{kind}"']
    for name, option in table.options.items():
        if option.required:
            lines.append(f'{name} = "{SAMPLES.get((kind, name), "…")}"')
    if table.receipts:
        lines.append('push_secret = "Fm0Kc9hQ3vZt8xWb2Jr5Ls7N"')
    lines += ["", "[[routes]]", 'prefix = ""', f'upstreams = ["{kind}"]']
    return "\n".join(lines) + "\n"


#: Values of options in samples, where their form matters.
SAMPLES = {
    ("twilio", "sid"): "AC0123456789abcdef0123456789abcdef",
    ("twilio", "user"): "SK0123456789abcdef0123456789abcdef",
    ("infobip", "host"): "x1y2z3.api.infobip.com",
    ("sinch", "plan"): "e61d4b6f8cd64f9aa4a2e3b1c9d0a7f5",
    ("plivo", "auth_id"): "MAMJI4NJG2YTG3NTZKZT",
    ("ovhcloud", "account"): "sms-ab12345-1",
}


def _options(table: Named) -> str:
    rows = [
        f"| `{name}` | {option.default} | {option.about}"
        f"{'' if option.required else ' (may be left out)'} |"
        for name, option in table.options.items()
    ]
    rows.append("| `sender` | | who the handset shows where the message names nobody |")
    if table.receipts:
        rows.append("| `push_secret` | | lets receipts and messages in: [pushes](../pushes.md) |")
    usual = str(int(table.idempotent))
    rows.append(f"| `idempotent` | {usual} | 1: an unanswered request is repeated |")
    return "\n".join(rows)


def _errors(table: Named) -> str:
    rows = []
    codes = {**table.errors, **{f"HTTP {code}": words for code, words in table.statuses.items()}}
    for code, words in codes.items():
        meaning, told = meaning_of(words)
        rows.append(f"| {code} | {told} | {_MEANINGS[meaning]} |")
    return "\n".join(rows)


def index() -> str:
    """The page that leads to the others."""
    rows = "\n".join(
        f"| [{named(kind).name}]({kind}.md) | `{kind}` | "
        f"{'yes' if named(kind).idempotent else 'no'} | "
        f"{'yes' if named(kind).signature else 'no'} | {'yes' if named(kind).messages else 'no'} |"
        for kind in names()
    )
    links = "\n".join(names())
    return f"""# Providers by name

Each is a table of the same words as [any provider by HTTP](../http.md), with its errors, states,
senders and signatures. *What was checked* on its page says what of them was read in its public
documentation, and what was not found. None of them was tried with an account: they are tested
against servers that behave as the tables say. `sendsmsnow connect` asks for
the account and writes the settings; `sendsmsnow upstream check NAME` shows what would be sent, and
tries the account.

| Provider | `kind` | Knows repeats | Signs what it pushes | Received messages |
|---|---|---|---|---|
{rows}

In the environment a provider is a URL: `SENDSMSNOW_UPSTREAM="bulksms:?token_id=…&token_secret=…"`.

```{{toctree}}
:hidden:

{links}
```
"""


def write() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for kind in names():
        (FOLDER / f"{kind}.md").write_text(page(kind), "utf-8")
    (FOLDER / "index.md").write_text(index(), "utf-8")


if __name__ == "__main__":
    write()
