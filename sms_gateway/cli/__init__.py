"""Defines the `sendsmsnow` command."""

import importlib
import sys
from functools import partial
from pathlib import Path

import click

from .. import __version__, callers, garbage
from .ending import exit_status
from .options import CONFIG
from .who import operator

#: The module of each command, which is imported when the command runs.
COMMANDS = {
    "serve": "run",
    "web": "run",
    "worker": "run",
    "mail": "run",
    "soap": "run",
    "migrate": "run",
    "grants": "grants",
    "settings": "configuration",
    "key": "keys",
    "send": "messages",
    "message": "messages",
    "number": "numbers",
    "forget": "forget",
    "route": "routes",
    "upstream": "upstreams",
    "connect": "connect",
    "modem": "modems",
    "event": "callbacks",
    "stop": "stops",
    "cap": "caps",
    "counts": "counts",
    "audit": "audit",
    "encryption": "encryption",
    "demo": "demo",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with garbage.frozen():
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
    callers.is_now(operator())


def main() -> None:
    """Run the command line."""
    sys.exit(exit_status(partial(cli.main, prog_name="sendsmsnow", standalone_mode=False)))
