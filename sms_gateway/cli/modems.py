"""Defines the commands about GSM modems."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..errors import UnavailableError
from ..upstream.modem_options import options_from_url
from ..upstream.modem_process import ask
from .options import CONFIG, settings_of

# What a handset dials for credit and the like (3GPP TS 22.030).
_CODE = re.compile(r"[*#][0-9*#]{1,30}#")


@click.group()
def modem() -> None:
    """GSM modems: the upstreams that begin with modem:."""


@modem.command()
@click.argument("name")
@CONFIG
@click.pass_context
def status(ctx: click.Context, /, name: str, config: Path | None) -> None:
    """Show the signal, the network and the SIM of the modem that the upstream NAME is.

    A worker has to run: its process has the modem.
    """
    click.echo(json.dumps(_asked(ctx, config, name)))


@modem.command()
@click.argument("name")
@click.argument("code")
@CONFIG
@click.pass_context
def ussd(ctx: click.Context, /, name: str, code: str, config: Path | None) -> None:
    """Dial the USSD CODE, such as *100#, and show what the network answers: the credit, mostly.

    Some codes cost money or change the contract. No message is sent meanwhile.
    """
    if not _CODE.fullmatch(code):
        raise click.BadParameter("a code is digits, * and #, with # at its end, such as *100#")
    told = _asked(ctx, config, name, code)
    if "reply" not in told:
        raise UnavailableError(f"the network did not answer: {told.get('error', '')}")
    click.echo(told["reply"])


def _asked(ctx: click.Context, config: Path | None, name: str, code: str = "") -> dict[str, object]:
    urls = settings_of(ctx, config).upstream_urls()
    url = urls[name].get_secret_value() if name in urls else ""
    if not isinstance(url, str) or urlsplit(url).scheme != "modem":
        raise UnavailableError(
            f"there is no modem {name!r}; the settings upstream and upstreams have them"
        )
    try:
        told = ask(options_from_url(url).device, code)
    except OSError as error:
        raise UnavailableError(f"the modem could not be asked: {error}") from None
    if told is None:
        raise UnavailableError("no worker on this machine has the modem open; start one first")
    return told
