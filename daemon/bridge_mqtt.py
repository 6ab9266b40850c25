"""Passes events on to an MQTT broker. An ordinary subscriber: a cursor, and nothing the daemon knows of."""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from daemon.bridge_mqtt_state import OFF, House
from daemon.client import Received, Subscription, ask, subscribe
from daemon.errors import UsageError

logger = logging.getLogger(__name__)

PORTS = {"mqtt": 1883, "mqtts": 8883}
AT_LEAST_ONCE = 1
POLL_S = 0.2
"""How soon a stop, or a word of the broker, is noticed."""
RETRY_S, ANSWER_S = 1.0, 3.0
KEEPALIVE_S = 30
RECONNECT_S, RECONNECT_MAX_S = 1, 30
GOODBYE_S = 3.0
"""For the last word to the broker."""
TOPICS = ("face/", "camera/", "daemon/")
LEFT_OUT = ("visaged.face.sighting", "visaged.daemon.heartbeat")
"""Too many, and nothing that they tell is missing without them."""
HOPELESS = ("Bad user name or password", "Not authorized", "Client identifier not valid", "Banned")
"""A refusal that will be the same next time."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and how to get in."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    """Nowhere but in memory."""
    ca_file: Path | None = None
    """Who signed its certificate; None: somebody whom this host trusts."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, password: str | None = None, ca_file: Path | None = None) -> Broker:
        """Of mqtt://user@host:1883, mqtts://host, or host; UsageError that says what would be right."""
        parts = urlsplit(text if "://" in text else f"mqtt://{text}")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.password is not None:
            raise UsageError(
                "--broker must not hold the password, which others would see in the list of processes: "
                "use --password-file, or $VISAGED_MQTT_PASSWORD"
            )
        if parts.scheme not in PORTS or not parts.hostname or port == 0 or parts.path not in ("", "/"):
            raise UsageError(
                f"--broker must be such as mqtt://user@192.0.2.7:1883 or mqtts://host, not {text}"
            )
        if password is not None and parts.username is None:
            raise UsageError("there is a password but no user: --broker mqtt://USER@HOST")
        if ca_file is not None and parts.scheme != "mqtts":
            raise UsageError(f"--ca-file is for TLS, and {text} is without: --broker mqtts://HOST")
        return cls(
            parts.hostname,
            port or PORTS[parts.scheme],
            parts.scheme == "mqtts",
            None if parts.username is None else unquote(parts.username),
            password,
            ca_file,
        )


@dataclass(frozen=True, slots=True)
class Bus:
    """Where the daemon is."""

    events: str
    journal: str
    keys: Path | None
    cursor: Path


class Stopped(Exception):
    """The program is to end; the event at hand is not done."""


class Bridge:
    """One run, from the first connection to the last word."""

    def __init__(self, bus: Bus, broker: Broker, house: House, prefix: str, stop: threading.Event) -> None:
        self._bus, self._broker, self._house, self._prefix, self._stop = bus, broker, house, prefix, stop
        self._told: dict[str, str] = {}
        self._under_way: set[int] = set()
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._refusal: str | None = None
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._unreached: set[str] = set()
        """Why the broker could not be reached, each reason once until it is."""

    def run(self) -> None:
        """Until the stop; UsageError where broker or daemon can't be had for good."""
        try:
            with self._connected():
                self._house.daemon_heard = False
                self._tell()
                since = self._resync()
                logger.info("events of %s go to %s from now on", self._bus.events, self._broker)
                with subscribe(
                    self._bus.events,
                    replay=self._bus.journal,
                    topics=TOPICS,
                    cursor=self._bus.cursor,
                    keys=self._bus.keys,
                    since=since,
                    notices=True,
                ) as events:
                    self._pass_on(events)
        except Stopped:
            pass

    def _pass_on(self, events: Subscription) -> None:
        while not self._stop.is_set():
            event = events.receive(POLL_S)
            if event is not None:
                self._handle(event)
            self._tell()
            if event is not None:
                # The broker has all of it.
                event.acknowledge()

    def _handle(self, event: Received) -> None:
        if event.topic in ("client/lost/", "client/back/"):
            self._house.daemon_heard = event.kind == "back"
        elif event.topic == "client/gap/":
            self._resync()
        else:
            if event.type not in LEFT_OUT:
                self._publish(self._topic(event), json.dumps(event.event, ensure_ascii=False), retain=False)
            self._house.apply(event)

    def _topic(self, event: Received) -> str:
        """Such as visaged/door/face/recognized, visaged/daemon/started."""
        area = event.type.split(".")[1]
        return "/".join([self._prefix, *([event.camera] if event.camera else []), area, event.kind])

    def _resync(self) -> int:
        """Takes over who is present, as soon as the daemon says it; up to which seq that goes."""
        warned = False
        while True:
            try:
                answer = ask(
                    {"op": "present"}, replay=self._bus.journal, keys=self._bus.keys, timeout_s=ANSWER_S
                )
                return self._house.begin(answer)
            except (TimeoutError, ValueError) as error:
                if not warned:
                    logger.warning("the daemon is waited for: %s", error)
                warned = True
            except (KeyError, TypeError, AttributeError):
                raise UsageError(
                    f"{self._bus.journal} is no visaged: it does not say who is present"
                ) from None
            self._tell()
            if self._stop.wait(RETRY_S):
                raise Stopped

    def _tell(self) -> None:
        """Brings the broker up to date, and waits until it has everything."""
        self._listen()
        for topic, payload in self._house.retained().items():
            if self._told.get(topic) != payload:
                self._publish(topic, payload, retain=True)
                self._told[topic] = payload
        while self._under_way:
            self._await_broker()
            self._listen()

    def _listen(self) -> None:
        """What the broker said since the last time."""
        while not self._heard.empty():
            message = self._heard.get()
            if message is None:
                # A new connection: the broker may have forgotten everything.
                self._told.clear()
            else:
                self._house.learn(*message)
        if self._refusal is not None:
            raise UsageError(f"the broker {self._broker} refuses the bridge: {self._refusal}")

    def _publish(self, topic: str, payload: str, *, retain: bool) -> None:
        # Without a connection it is kept, and sent with the next one.
        info = self._client.publish(topic, payload.encode(errors="replace"), AT_LEAST_ONCE, retain)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise RuntimeError(f"{topic}: {mqtt.error_string(info.rc)}")
        self._under_way.add(info.mid)

    def _await_broker(self) -> None:
        """Until it has one message more, or for a moment."""
        if self._stop.is_set():
            raise Stopped
        with suppress(queue.Empty):
            self._under_way.discard(self._acknowledged.get(timeout=POLL_S))

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """While this lasts, paho's thread keeps up the connection."""
        client, broker = self._client, self._broker
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_publish = self._on_message, self._on_publish
        client.on_connect_fail = self._on_connect_fail
        client.will_set(f"{self._prefix}/availability", OFF, AT_LEAST_ONCE, retain=True)
        client.reconnect_delay_set(RECONNECT_S, RECONNECT_MAX_S)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        try:
            if broker.tls:
                client.tls_set(ca_certs=None if broker.ca_file is None else str(broker.ca_file))
        except OSError as error:
            raise UsageError(f"--ca-file {broker.ca_file}: {error.strerror or error}") from None
        try:
            client.connect_async(broker.host, broker.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise UsageError(f"the broker {broker} can't be connected to: {error}") from None
        client.loop_start()
        try:
            yield
        finally:
            self._say_goodbye()
            client.disconnect()
            client.loop_stop()

    def _say_goodbye(self) -> None:
        """What the last will says, which an orderly end does not."""
        if not self._client.is_connected():
            return
        self._publish(f"{self._prefix}/availability", OFF, retain=True)
        deadline_s = time.monotonic() + GOODBYE_S
        while self._under_way and (left_s := deadline_s - time.monotonic()) > 0:
            with suppress(queue.Empty):
                self._under_way.discard(self._acknowledged.get(timeout=left_s))

    # Called from paho's thread, which holds a lock of its own meanwhile: nothing here may wait.

    def _on_connect(
        self, client: mqtt.Client, _: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, __: Properties | None
    ) -> None:
        if reason.is_failure:
            logger.warning("the broker %s refuses the bridge: %s", self._broker, reason)
            if str(reason) in HOPELESS:
                self._refusal = str(reason)
            return
        logger.info("connected to %s", self._broker)
        self._unreached.clear()
        self._heard.put(None)
        client.subscribe(f"{self._prefix}/+/person/+", AT_LEAST_ONCE)

    def _on_connect_fail(self, client: mqtt.Client, _: Any) -> None:
        # paho calls this while it handles what went wrong, and says it nowhere else.
        error = sys.exception()
        reason = getattr(error, "strerror", None) or str(error)
        if reason not in self._unreached:
            logger.warning("the broker %s can't be reached (%s); it is tried again", self._broker, reason)
        self._unreached.add(reason)

    def _on_disconnect(
        self, client: mqtt.Client, _: Any, flags: mqtt.DisconnectFlags, reason: ReasonCode, __: object
    ) -> None:
        # A broker that refuses hangs up as well; that was told.
        if reason.is_failure and self._refusal is None:
            logger.warning("the connection to %s is lost: %s; it is tried again", self._broker, reason)

    def _on_message(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        if message.retain:
            self._heard.put((message.topic, bytes(message.payload)))

    def _on_publish(self, client: mqtt.Client, _: Any, mid: int, reason: ReasonCode, __: Properties) -> None:
        self._acknowledged.put(mid)
