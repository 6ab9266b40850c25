"""`visaged doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

from dataclasses import asdict

import typer

from daemon.cli.common import ConfigOption, DeviceOption, JsonOption, configured, print_json, print_table


def doctor(as_json: JsonOption = False, device: DeviceOption = None, config: ConfigOption = None) -> None:
    """Checks device, speed, models, gallery, sockets, cameras and fonts; exits 1 if something is broken.

    Example: visaged doctor --json
    """
    from daemon.doctor import examine

    findings = list(examine(configured(config, device=device)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(
            ["check", "status", "detail", "advice"],
            [[finding.check, finding.status, finding.detail, finding.advice or ""] for finding in findings],
        )
    raise typer.Exit(1 if any(finding.status == "broken" for finding in findings) else 0)


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(doctor)
