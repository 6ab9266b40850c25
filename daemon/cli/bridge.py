"""`visaged bridge mqtt`: events for other worlds."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.common import ConfigOption, configured
from daemon.cli.watch import ConnectOption, KeysOption, ReplayOption, journal_of
from daemon.errors import UsageError

PASSWORD_VARIABLE = "VISAGED_MQTT_PASSWORD"  # noqa: S105
PASSWORD_BYTES = 4_096

bridge = typer.Typer(name="bridge", rich_markup_mode=None)


@bridge.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Passes events on to other systems."""
    if context.invoked_subcommand is None:
        raise UsageError("bridge needs to know where to: bridge mqtt")


@bridge.command()
def mqtt(
    broker: Annotated[
        str,
        typer.Option("--broker", metavar="URL", help="Such as mqtt://user@192.0.2.7 or mqtts://host:8883."),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            metavar="FILE",
            help="Its first line is it.",
            show_default=f"${PASSWORD_VARIABLE}",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", metavar="FILE", help="For mqtts: who signed the broker's certificate."),
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Of every topic.")] = "visaged",
    discovery: Annotated[
        str,
        typer.Option("--discovery", metavar="PREFIX", help='Home Assistant\'s; "off": it is told nothing.'),
    ] = "homeassistant",
    cursor: Annotated[
        Path | None,
        typer.Option(
            "--cursor",
            metavar="FILE",
            help="Where it remembers what the broker has.",
            show_default="bridge-mqtt.cursor in the state folder",
        ),
    ] = None,
    connect: ConnectOption = None,
    replay: ReplayOption = None,
    keys: KeysOption = None,
    config: ConfigOption = None,
) -> None:
    """Publishes events, and who is present, on an MQTT broker, until a signal.

    The extra mqtt has to be installed. docs/bridges.md says which topics there are.

    Example: visaged bridge mqtt --broker mqtt://visaged@192.0.2.7 --password-file mqtt.password
    """
    settings = configured(config, chatty=True)
    try:
        from daemon.bridge_mqtt import Bridge, Broker, Bus
        from daemon.bridge_mqtt_state import House
        from daemon.client import load_keys
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("paho"):
            raise
        raise UsageError("the MQTT bridge needs the extra mqtt: uv sync --no-dev --extra mqtt") from None
    for option, value in (("--prefix", prefix), ("--discovery", discovery)):
        if not value.strip("/") or value != value.strip("/") or any(sign in value for sign in "+#\0"):
            raise UsageError(f"{option} must be part of a topic, without + and #, not {value!r}")
    bus = Bus(
        connect or settings.events.bind,
        journal_of(settings, connect, replay),
        keys or settings.client.keys,
        _cursor(cursor, settings.state_dir),
    )
    address = Broker.parse(broker, _password(password_file), ca_file)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    house = House(prefix, None if discovery == "off" else discovery)
    try:
        if bus.keys is not None:
            load_keys(bus.keys)
        Bridge(bus, address, house, prefix, stop).run()
    except ValueError as error:
        # What subscribing refuses.
        raise error if isinstance(error, UsageError) else UsageError(str(error)) from None


def _cursor(given: Path | None, state_dir: Path) -> Path:
    if given is not None:
        return given
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{state_dir}: {error.strerror}; --cursor names another place") from None
    return state_dir / "bridge-mqtt.cursor"


def _password(file: Path | None) -> str | None:
    """From the file or the environment: not from where the list of processes would show it."""
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE)
    try:
        with file.open("rb") as opened:
            text = opened.read(PASSWORD_BYTES).decode()
    except OSError as error:
        raise UsageError(f"--password-file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--password-file {file}: not UTF-8 text") from None
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise UsageError(f"--password-file {file}: its first line is empty; it should be the password")
    return password


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.add_typer(bridge)
