"""A real MQTT broker on loopback, and somebody who listens to it."""

from __future__ import annotations

import json
import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

START_S = 20.0
SBIN = "/usr/sbin/mosquitto"


@dataclass(slots=True)
class Mosquitto:
    """A broker that keeps nothing when it ends."""

    folder: Path
    port: int
    user: str | None = None
    password: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        return f"mqtt://{user}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it takes connections."""
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(self.user is None).lower()}",
            "user root",
        ]
        if self.user is not None:
            file = self.folder / "passwords"
            file.write_text(f"{self.user}:{self.password}\n")
            subprocess.run([shutil.which("mosquitto_passwd") or "", "-U", str(file)], check=True)
            lines.append(f"password_file {file}")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([_binary(), "-v", "-c", str(config)], stdout=log, stderr=log)
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline_s, (self.folder / "mosquitto.log").read_text()
                assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Everything that it held is forgotten."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text()


@contextmanager
def mosquitto(folder: Path, user: str | None = None, password: str | None = None) -> Iterator[Mosquitto]:
    """A running one; skips the test where there is none."""
    if not Path(_binary()).exists():
        pytest.skip("no mosquitto (apt-get install mosquitto)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    broker = Mosquitto(folder, port, user, password)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Ear:
    """An MQTT client that hears everything."""

    def __init__(self, broker: Mosquitto) -> None:
        self.kept: dict[str, str] = {}
        """The newest payload of each topic."""
        self.told: set[tuple[str, str]] = set()
        """Each topic with each payload that it ever had."""
        self.events: list[dict[str, Any]] = []
        """Everything that was not to be kept, in order."""
        self._changed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if broker.user is not None:
            self._client.username_pw_set(broker.user, broker.password)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_message = self._note
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def until(self, is_so: Callable[[], bool], timeout_s: float = 40.0) -> None:
        """Waits until it is."""
        deadline_s = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < deadline_s, (self.kept, self.events)
            try:
                self._changed.get(timeout=0.1)
            except queue.Empty:
                continue

    def json(self, topic: str) -> Any:
        """The newest payload; None: none came."""
        return json.loads(self.kept[topic]) if topic in self.kept else None

    def ids(self) -> list[str]:
        """Of all events that came, each once."""
        return list(dict.fromkeys(event["id"] for event in self.events))

    def _note(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        assert message.qos == 1
        text = message.payload.decode()
        # Another one: who goes through it is in another thread.
        self.kept = {**self.kept, message.topic: text}
        self.told.add((message.topic, text))
        if '"specversion"' in text:
            self.events.append(json.loads(text))
        self._changed.put(None)


@contextmanager
def listening(broker: Mosquitto) -> Iterator[Ear]:
    ear = Ear(broker)
    try:
        yield ear
    finally:
        ear.close()


def _binary() -> str:
    return shutil.which("mosquitto") or SBIN
