"""The errors that a user can mend: told in one line, exit code 2."""

from __future__ import annotations


class UsageError(ValueError):
    """Wrong usage, configuration or start; its text is one clear line that says what would be right."""


class ConfigError(UsageError):
    """A setting that can't be: names the file, the key, the value and what would be right."""
