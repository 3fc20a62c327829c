"""The settings as text: the reference for docs/settings.md, and the values in force."""

import textwrap
from collections.abc import Mapping
from datetime import timedelta

from .sources import ENV_PREFIX, FILE_ONLY, Given
from .table import Settings, allowed
from .values import show_duration

# Words for defaults that depend on the machine or on other settings.
_COMPUTED = {
    "database_url": "sqlite:///$XDG_DATA_HOME/sendsmsnow/sendsmsnow.sqlite3",
    "public_url": "made of bind",
    "workers": "right for the database",
}


def reference() -> str:
    """All settings in Markdown: purpose, allowed values, default, variable and option of each."""
    sections = []
    for name, field in Settings.model_fields.items():
        default = _COMPUTED.get(name) or show(field.get_default(call_default_factory=True))
        lines = [
            f"### `{name}`",
            "",
            textwrap.fill(" ".join((field.description or "").split()), 100),
            "",
            f"- Allowed: {allowed(field)}",
            f"- Default: {default}",
        ]
        if name not in FILE_ONLY:
            lines.append(f"- Environment: `{ENV_PREFIX}{name.upper()}`")
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


def in_force(settings: Settings, found: Mapping[str, Given]) -> str:
    """The value of every setting, secrets masked, and where it was set; a line each."""
    made = {"public_url": settings.external_url(), "workers": settings.web_processes()}
    lines = []
    for name in Settings.model_fields:
        value = show(made.get(name, getattr(settings, name)))
        origin = found[name].origin if name in found else "default"
        lines.append(f"{name:16} {value}  ({origin})")
    return "\n".join(lines) + "\n"


def show(value: object) -> str:
    """A value as it is written in settings, secrets masked."""
    if value in (None, (), {}, ""):
        return "none"
    if isinstance(value, timedelta):
        return show_duration(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {show(each)}" for name, each in value.items())
    if isinstance(value, tuple) and isinstance(value[0], str):
        return " / ".join(value)
    if isinstance(value, tuple):
        return f"{len(value)} in the file"
    return str(value)
