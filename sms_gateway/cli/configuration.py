"""Defines the command that shows the settings."""

from pathlib import Path

import click

from ..settings import given, in_force, load, reference
from .options import CONFIG, config_of


@click.command()
@CONFIG
@click.option("--reference", "wanted", is_flag=True, help="Print what each is, in Markdown.")
@click.pass_context
def settings(ctx: click.Context, /, config: Path | None, wanted: bool) -> None:
    """Show the settings in force and where each was set."""
    if wanted:
        click.echo(reference(), nl=False)
        return
    file = config_of(ctx, config)
    click.echo(in_force(load(file), given(file, {})), nl=False)
