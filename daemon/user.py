"""Who gives a command."""

from __future__ import annotations

import getpass


def user_name() -> str:
    """The login name, for the gallery's trail; '' where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A number without an entry in the list of users, as in many containers.
        return ""
