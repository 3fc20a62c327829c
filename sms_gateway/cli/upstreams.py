"""Defines the commands about the addresses to which providers push."""

import json
import secrets
from pathlib import Path

import click

from ..bootstrap.upstreams import pushing
from ..errors import UnavailableError
from ..web.pushes import address as push_address
from .options import CONFIG, settings_of
from .upstream_check import check


@click.group()
def upstream() -> None:
    """Upstreams: the carriers and providers by which messages leave."""


@upstream.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@CONFIG
@click.pass_context
def address(ctx: click.Context, /, name: str | None, config: Path | None, as_json: bool) -> None:
    """Show the address to which the provider of the upstream NAME pushes, or those of all.

    The address holds a secret: who knows it may say what became of messages.
    """
    settings = settings_of(ctx, config)
    found = {
        each: push_address(settings.external_url(), each, provider.options.push_secrets()[0])
        for each, provider in pushing(settings).items()
    }
    if name is not None and name not in found:
        known = name in settings.upstream_urls()
        raise UnavailableError(
            f"nothing is pushed to the upstream {name!r}: its URL has no push_secret, or its kind "
            "takes none; sendsmsnow upstream new-secret draws one"
            if known
            else f"there is no upstream {name!r}; the settings upstream and upstreams have them"
        )
    if not found and not as_json:
        click.echo(
            "nothing is pushed to any upstream: sendsmsnow upstream new-secret draws a push_secret "
            "for the URL of one",
            err=True,
        )
    for each, url in found.items():
        if name in (None, each):
            facts = {"upstream": each, "address": url}
            click.echo(json.dumps(facts) if as_json else url if name else f"{each}  {url}")


@upstream.command("new-secret")
def new_secret() -> None:
    """Draw a secret for the option push_secret of an upstream's URL.

    To change a secret, write the new one in front of the old one (push_secret=NEW,OLD), restart,
    give the provider the new address, and take the old secret out.
    """
    click.echo(secrets.token_urlsafe(32))


upstream.add_command(check)
