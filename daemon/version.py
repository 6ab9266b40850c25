"""Which visaged this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The installed distribution's version; "unknown" for a source tree that was never installed."""
    try:
        return installed_version("visaged")
    except PackageNotFoundError:
        return "unknown"
