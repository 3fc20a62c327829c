"""Typed settings: defaults < TOML file < SENDSMSNOW_* environment < command line."""

from .reference import in_force, reference
from .sources import ENV_CONFIG, ENV_PREFIX, Given, SettingsError, config_file, given, load
from .table import DEFAULT_UPSTREAM, TEST_UPSTREAM, Settings
from .values import SecretTable, SecretUrl, masked, milliseconds, split_address

__all__ = [
    "DEFAULT_UPSTREAM",
    "ENV_CONFIG",
    "ENV_PREFIX",
    "TEST_UPSTREAM",
    "Given",
    "SecretTable",
    "SecretUrl",
    "Settings",
    "SettingsError",
    "config_file",
    "given",
    "in_force",
    "load",
    "masked",
    "milliseconds",
    "reference",
    "split_address",
]
