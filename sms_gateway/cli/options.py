"""Defines the options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .. import log
from ..settings import Settings, load
from ..sms.address import Address, AddressError, parse_recipients

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file with settings (also SENDSMSNOW_CONFIG).",
)

_LISTENING = (
    click.option("--bind", metavar="HOST:PORT", help="Where to listen (127.0.0.1:8000)."),
    click.option("--workers", metavar="N", help="How many web processes."),
    click.option("--certfile", metavar="FILE", help="Serve HTTPS with this certificate."),
    click.option("--keyfile", metavar="FILE", help="The certificate's private key."),
)


def listening(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of listening processes to a command."""
    for option in reversed(_LISTENING):
        command = option(command)
    return command


def e164(number: str, region: str | None) -> Address:
    """Read one number; UsageError for any other text."""
    try:
        (address,) = parse_recipients(number, region)
    except ValueError as error:
        reason = error if isinstance(error, AddressError) else "that is more than one number"
        raise click.UsageError(f"NUMBER: {reason}") from None
    return address


def config_of(ctx: click.Context, config: Path | None) -> Path | None:
    """The file of --config, which may stand after or before the command."""
    found: Path | None = config or ctx.find_root().params.get("config")
    return found


def settings_of(ctx: click.Context, config: Path | None, **overrides: object) -> Settings:
    """The settings, with the options of the command on top."""
    return load(config_of(ctx, config), overrides)


def logging_to(settings: Settings) -> None:
    """Set the log up by the settings."""
    log.setup(settings.log_level, settings.log_format)
