"""Ends a command with an exit status, and one line about an error."""

from collections.abc import Callable

import click

from ..errors import UnavailableError
from ..log import error_facts
from ..settings import SettingsError


def exit_status(command: Callable[[], object]) -> int:
    """Run a command, print an error in one line, and return the exit status.

    0 when it worked, 2 for wrong use and wrong settings, 130 when interrupted, 1 for other errors.
    """
    try:
        status = command()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "sendsmsnow"
        click.echo(f"{path}: {error.format_message()} (see {path} --help)", err=True)
        return 2
    except SettingsError as error:
        click.echo(f"sendsmsnow: {error}", err=True)
        return 2
    except (UnavailableError, click.ClickException) as error:
        click.echo(f"sendsmsnow: {error}", err=True)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as error:
        status = error.code
    except Exception as error:
        facts = error_facts(error)
        click.echo(f"sendsmsnow: unexpected {facts['error']} at {facts['at']}", err=True)
        return 1
    return status if isinstance(status, int) else 0
