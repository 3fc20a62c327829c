"""The sources of settings; later ones win.

Defaults < TOML file < SENDSMSNOW_* environment < command line.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import GatewayError
from .route_table import RouteTable
from .table import Settings, allowed
from .values import masked

#: The prefix of every setting's environment variable.
ENV_PREFIX = "SENDSMSNOW_"
#: The one variable that is not a setting: where the file is.
ENV_CONFIG = "SENDSMSNOW_CONFIG"
#: Settings that are tables, which one variable cannot hold.
FILE_ONLY = ("upstreams", "routes", "prefix_caps", "stop_words", "start_words")


class SettingsError(GatewayError):
    """A setting is wrong; the text is one line for the person who set it, without secrets."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody set, and where."""

    value: object
    origin: str


def load(
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings; SettingsError for the first that is wrong."""
    found = given(config, overrides or {}, environ)
    try:
        return Settings.model_validate({name: each.value for name, each in found.items()})
    except ValidationError as exc:
        raise SettingsError(_complaint(exc, found)) from None


def given(
    config: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str] = os.environ
) -> dict[str, Given]:
    """The values set by file, environment and command line, the later source winning.

    Without `config` the file is what SENDSMSNOW_CONFIG names. Empty variables and overrides that
    are None count as not set. SettingsError for a file that cannot be read and for names of no
    setting.
    """
    config = config_file(config, environ)
    found: dict[str, Given] = {}
    for name, value in _read_toml(config).items() if config else ():
        _check_name(name, Settings.model_fields, str(config))
        found[name] = Given(value, str(config))
    variables = {ENV_PREFIX + name.upper(): name for name in Settings.model_fields}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable == ENV_CONFIG or not text:
            continue
        _check_name(variable, [*variables, ENV_CONFIG], "the environment")
        name = variables[variable]
        if name in FILE_ONLY:
            raise SettingsError(f"{variable}: {name} is a table; allowed: only in the file")
        found[name] = Given(text, variable)
    for name, value in overrides.items():
        if value is not None:
            found[name] = Given(value, "--" + name)
    return found


def config_file(config: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file with the settings: `config`, or the one that SENDSMSNOW_CONFIG names."""
    return config or (Path(environ[ENV_CONFIG]) if environ.get(ENV_CONFIG) else None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        reason = exc.strerror or "cannot be read"
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except tomllib.TOMLDecodeError as exc:
        reason = f"not TOML: {exc}"
    raise SettingsError(f"config = {str(path)!r}: {reason}; allowed: a TOML file")


def _check_name(name: str, names: Collection[str], origin: str) -> None:
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"allowed: {', '.join(sorted(names))}"
        raise SettingsError(f"{name} (in {origin}) is not a setting; {hint}")


def _complaint(exc: ValidationError, found: Mapping[str, Given]) -> str:
    """The first error in one line: the setting, its bad value, where it is set, what is allowed."""
    errors = exc.errors(include_url=False)
    # A name that is not known explains why the right one is missing.
    error = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    reason = str(error["ctx"]["error"]) if error["type"] == "value_error" else ""
    if not error["loc"]:
        return reason  # settings that do not fit together; the words name them
    name, *inner = error["loc"]
    place, field = str(name), Settings.model_fields[str(name)]
    if name == "routes" and inner:
        place += f", table {int(inner[0]) + 1}"
        if len(inner) > 1 and inner[1] not in RouteTable.model_fields:
            return f"{place}: {inner[1]} is unknown; allowed: {', '.join(RouteTable.model_fields)}"
        if len(inner) > 1:
            place, field = f"{place}, {inner[1]}", RouteTable.model_fields[str(inner[1])]
    elif inner:
        place += f".{inner[0]}"
    value = error["input"]
    if error["type"] == "missing":
        shown = "nothing"
    elif isinstance(value, str | int | float):
        shown = repr(masked(str(value))[:80])
    else:
        shown = f"a {type(value).__name__}"
    origin = found[str(name)].origin
    return f"{place} = {shown} (from {origin}) is wrong; {reason or 'allowed: ' + allowed(field)}"
