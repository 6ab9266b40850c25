"""The systemd unit: where it is found, and how it looks for the environment that visaged is installed in."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import UsageError

UNIT = Path("etc/systemd/system/visaged.service")
CONFIG = Path("etc/visaged/config.toml")
"""Below the root of the file system."""
_HERE = Path(__file__).resolve().parent
_EXECUTABLE = re.compile(r"^(ExecStart=)\S+/visaged ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one file."""

    path: Path
    """Where it is."""
    done: str
    """written, kept (it is the administrator's), unchanged, removed or missing."""


def unit_text(prefix: Path = Path(sys.prefix)) -> str:
    """The unit, with ExecStart in the environment at prefix."""
    program = prefix / "bin" / "visaged"
    if re.search(r"\s", str(program)):
        raise UsageError(f"{program}: systemd splits such a path; install visaged where no space is in it")
    # % begins a specifier of systemd's.
    return _EXECUTABLE.sub(
        lambda found: f"{found[1]}{str(program).replace('%', '%%')} ", _shipped("deploy/visaged.service")
    )


def install(root: Path, prefix: Path = Path(sys.prefix)) -> list[Put]:
    """Writes the unit, and a configuration where there is none."""
    unit, config = root / UNIT, root / CONFIG
    done = []
    text = unit_text(prefix)
    same = unit.is_file() and unit.read_text(encoding="utf-8") == text
    if not same:
        _write(unit, text)
    done.append(Put(unit, "unchanged" if same else "written"))
    if config.exists():
        return [*done, Put(config, "kept")]
    _write(config, _shipped("config.toml"))
    return [*done, Put(config, "written")]


def uninstall(root: Path) -> list[Put]:
    """Removes the unit; configuration and state stay."""
    unit = root / UNIT
    there = unit.exists()
    unit.unlink(missing_ok=True)
    return [Put(unit, "removed" if there else "missing"), Put(root / CONFIG, "kept")]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _shipped(name: str) -> str:
    """A file of the source tree, or its copy in the wheel (pyproject.toml, force-include)."""
    for folder in (_HERE / "shipped", _HERE.parent):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise UsageError(f"{name} is not part of this installation: install visaged anew")
