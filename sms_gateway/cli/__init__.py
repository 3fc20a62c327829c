"""The `sendsmsnow` command."""

import importlib
import sys
from pathlib import Path

import click

from .. import __version__
from ..failure import Failure
from ..log import error_facts
from ..settings import SettingsError
from .options import CONFIG

#: Each command and the module that has it, which is read when the command is run.
COMMANDS = {
    "serve": "run",
    "web": "run",
    "worker": "run",
    "mail": "run",
    "soap": "run",
    "migrate": "run",
    "settings": "configuration",
    "key": "keys",
    "send": "messages",
    "message": "messages",
    "number": "numbers",
    "forget": "forget",
    "route": "routes",
    "event": "callbacks",
    "stop": "stops",
    "demo": "demo",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name]}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="sendsmsnow", message="%(prog)s %(version)s")
@CONFIG
def cli(config: Path | None) -> None:
    """An SMS gateway with a SOAP and an HTTP face.

    Settings come from a TOML file (--config), then SENDSMSNOW_* variables, then options;
    `sendsmsnow settings` shows them. `sendsmsnow demo` shows the whole at work.
    """


def main() -> None:
    """Run the command line; whatever goes wrong is told in one line.

    Exit status: 0 when it worked, 2 for wrong use and wrong settings, 1 for everything else.
    """
    try:
        status = cli.main(prog_name="sendsmsnow", standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "sendsmsnow"
        click.echo(f"{path}: {error.format_message()} (see {path} --help)", err=True)
        status = 2
    except SettingsError as error:
        click.echo(f"sendsmsnow: {error}", err=True)
        status = 2
    except (Failure, click.ClickException) as error:
        click.echo(f"sendsmsnow: {error}", err=True)
        status = 1
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except Exception as error:
        facts = error_facts(error)
        click.echo(f"sendsmsnow: unexpected {facts['error']} at {facts['at']}", err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)
