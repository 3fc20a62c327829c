"""Defines `sendsmsnow connect`: asks for a provider and its account, and writes the settings."""

import json
import os
import re
import secrets
import tempfile
import tomllib
from pathlib import Path

import click

from ..bootstrap.upstreams import check, pushing
from ..errors import UnavailableError
from ..settings import Settings, SettingsError, load
from ..upstream.http_table import Named, named, names
from ..web.pushes import address
from .options import CONFIG, config_of


@click.command()
@click.argument("provider", required=False)
@click.option("--name", help="The upstream's name in the settings (that of the provider).")
@CONFIG
@click.pass_context
def connect(
    ctx: click.Context, /, provider: str | None, name: str | None, config: Path | None
) -> None:
    """Connect to a PROVIDER by its name: asks for the account, and writes the settings file.

    The file is written only if a server could start with it; what stands in it stays.
    """
    file = config_of(ctx, config)
    if file is None:
        raise click.UsageError("say which file to write: --config FILE, or SENDSMSNOW_CONFIG")
    kind = provider or click.prompt("Provider", type=click.Choice(names()))
    if kind not in names():
        raise UnavailableError(
            f"no provider is named {kind!r}; there are {', '.join(names())}. Any other is "
            'described by a table: kind = "http" (docs/use/http.md)'
        )
    table, name = named(kind), name or kind
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        raise click.UsageError("--name: letters, digits, - and _")
    click.echo(f"{table.name}: {' '.join(table.about.split())}\n")
    before = file.read_text("utf-8") if file.exists() else ""
    given = _asked(table)
    is_only = click.confirm("Send all messages by it?", default=not _has_way(before))
    after = before + ("\n" if before else "") + _written(kind, name, given, is_only=is_only)
    settings = _tried(after, name, before)
    _replace(file, after)
    click.echo(f"\nwritten to {file}; try it: sendsmsnow --config {file} upstream check {name}")
    pusher = pushing(settings).get(name)
    if pusher is not None:
        click.echo(f"\n{' '.join(table.pushes.split())}\nOur address, which holds a secret:")
        url = address(settings.external_url(), name, pusher.options.push_secrets()[0])
        click.echo(url)
    click.echo("\nRestart the server to use it.")


def _asked(table: Named) -> dict[str, str]:
    """The options that somebody gives."""
    found: dict[str, str] = {}
    for name, option in table.options.items():
        about = f"{name}, {option.about}"
        usual = None if option.required else option.default
        while True:
            value = str(
                click.prompt(
                    about,
                    default=usual,
                    hide_input=option.secret,
                    show_default=bool(usual),
                    type=str,
                )
            ).strip()
            if not value or not option.form or re.fullmatch(option.form, value):
                break
            click.echo(f"it is not {option.about}")
        if value and value != option.default:
            found[name] = value
    sender = click.prompt("sender, who the handset shows", default="", show_default=False).strip()
    found |= {"sender": sender} if sender else {}
    if table.receipts:
        found["push_secret"] = secrets.token_urlsafe(32)
    return found


def _has_way(text: str) -> bool:
    """Whether a file says already by which way messages leave."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnavailableError(f"the settings file is not TOML: {error}") from None
    return "upstream" in told or "routes" in told


def _written(kind: str, name: str, given: dict[str, str], *, is_only: bool) -> str:
    lines = [f"[upstreams.{name}]", f"kind = {json.dumps(kind)}"]
    lines += [f"{option} = {json.dumps(value)}" for option, value in given.items()]
    if is_only:
        lines += ["", "[[routes]]", 'prefix = ""', f"upstreams = [{json.dumps(name)}]"]
    return "\n".join(lines) + "\n"


def _tried(text: str, name: str, before: str) -> Settings:
    """The settings that a file with this text has; UnavailableError where they are wrong."""
    if name in tomllib.loads(before).get("upstreams", {}):
        raise UnavailableError(f"the file has an upstream {name!r}: take another --name")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.toml")
        file.touch(0o600)
        file.write_text(text, "utf-8")
        try:
            settings = load(file, {}, {})
            check(settings)
        except SettingsError as error:
            told = str(error).replace(str(file), "the file")
            raise UnavailableError(f"nothing was written: {told}") from None
    return settings


def _replace(file: Path, text: str) -> None:
    """Write a file with secrets: whole or not at all, and only for its owner where it is new."""
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    new.chmod(mode)
    new.replace(file)
