"""The MQTT bridge as a process, between the daemon's bus and a real broker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daemon import events
from daemon.bridge_mqtt import Broker
from daemon.errors import UsageError
from daemon.events import Forgotten, Started
from daemon.keys import Keyring, new_pair, write_client_file
from tests.daemon.cli.conftest import Shell, visaged  # noqa: F401
from tests.daemon.event_samples import ANN, LEFT, NAMED, RECOGNIZED
from tests.daemon.journaling import numbered
from tests.daemon.mosquitto import Ear, Mosquitto, listening, mosquitto
from tests.daemon.real_bus import RealBus, real_bus
from tests.daemon.running import environment

YUNA = NAMED.person.id if NAMED.person else ""
PERSON = f"visaged/door/person/{YUNA}"
END_S = 30


@contextmanager
def bridge(folder: Path, broker: Mosquitto, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Between the bus in the folder and the broker; killed at the end of the block."""
    command = [sys.executable, "-m", "daemon", "bridge", "mqtt", "--broker", broker.url]
    command += ["--connect", f"ipc://{folder}/events", "--replay", f"ipc://{folder}/replay"]
    command += ["--cursor", str(folder / "cursor"), "--config", str(folder / "config.toml"), *arguments]
    (folder / "config.toml").write_text("")
    with (folder / "bridge.log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, text=True, env=_environment(broker))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _environment(broker: Mosquitto) -> dict[str, str]:
    secret = {} if broker.password is None else {"VISAGED_MQTT_PASSWORD": broker.password}
    return {**environment(), **secret}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as broker:
        yield broker


def begun(ear: Ear, bus: RealBus) -> None:
    """Until the bridge passes events on."""
    # It may be offline again: not every test's bus has a heart.
    ear.until(lambda: ("visaged/daemon/availability", "online") in ear.told)
    bus.await_subscriber()


def test_events_and_presence_reach_the_broker(tmp_path: Path, broker: Mosquitto) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear, bridge(tmp_path, broker):
        begun(ear, bus)
        bus.send(events.life(RECOGNIZED), numbered(1), events.sighting(NAMED))
        ear.until(lambda: "visaged/door/state" in ear.kept or "visaged/gate/state" in ear.kept)
        assert ear.json("visaged/door/face/recognized")["data"]["person"]["name"] == "김연아"
        assert ear.json(PERSON)["present"] is True
        assert ear.json("visaged/door/present")["count"] == 1
        assert f"homeassistant/binary_sensor/visaged/door_{YUNA}/config" in ear.kept
        bus.send(events.life(LEFT))
        ear.until(lambda: ear.json(PERSON)["present"] is False)
        with listening(broker) as late:
            late.until(lambda: PERSON in late.kept)
            assert late.json(PERSON)["present"] is False
            assert late.events == [], "events are not kept by the broker"
        assert [event["type"].rpartition(".")[2] for event in ear.events] == ["recognized", "online", "left"]


def test_who_is_forgotten_is_gone_from_the_broker(tmp_path: Path, broker: Mosquitto) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear, bridge(tmp_path, broker):
        begun(ear, bus)
        bus.send(events.life(RECOGNIZED), events.life(LEFT))
        ear.until(lambda: PERSON in ear.kept and ear.json(PERSON)["present"] is False)
        bus.send(events.daemon(Forgotten(YUNA, [], "asked", verified=True)))
        ear.until(lambda: not any(YUNA in topic for topic, text in ear.kept.items() if text))
        assert ear.json("visaged/daemon/forgotten")["data"]["id"] == YUNA
        with listening(broker) as late:
            late.until(lambda: "visaged/door/present" in late.kept)
            assert not any(YUNA in topic for topic, text in late.kept.items() if text)


def test_who_was_forgotten_while_the_bridge_was_away_is_gone_from_the_broker_when_it_is_back(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear:
        with bridge(tmp_path, broker):
            begun(ear, bus)
            bus.send(events.life(RECOGNIZED), events.life(LEFT))
            ear.until(lambda: PERSON in ear.kept and ear.json(PERSON)["present"] is False)
        bus.send(events.daemon(Forgotten(YUNA, [], "asked", verified=True)))
        bus.await_head(3)
        with bridge(tmp_path, broker):
            ear.until(lambda: not any(YUNA in topic for topic, text in ear.kept.items() if text))


def test_a_bridge_that_is_killed_is_told_by_its_last_will_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear:
        with bridge(tmp_path, broker) as process:
            begun(ear, bus)
            bus.send(events.life(RECOGNIZED))
            ear.until(lambda: PERSON in ear.kept)
            process.kill()
        ear.until(lambda: ear.kept["visaged/availability"] == "offline")
        bus.send(events.life(LEFT), *(numbered(number) for number in range(1, 40)))
        with bridge(tmp_path, broker):
            ear.until(lambda: len(ear.ids()) == 41)
            ear.until(lambda: ear.kept["visaged/availability"] == "online")
            ear.until(lambda: ear.json(PERSON)["present"] is False)
        numbers = [event["data"]["seq"] for event in ear.events]
        assert sorted(set(numbers)) == list(range(1, 42))
        assert numbers == sorted(numbers), "those that come again come in their place"


def test_an_orderly_end_says_goodbye(tmp_path: Path, broker: Mosquitto) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear, bridge(tmp_path, broker) as process:
        begun(ear, bus)
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0
        ear.until(lambda: ear.kept["visaged/availability"] == "offline")


def test_a_broker_that_goes_and_forgets_everything_is_told_again(tmp_path: Path, broker: Mosquitto) -> None:
    with real_bus(tmp_path) as bus, bridge(tmp_path, broker) as process:
        with listening(broker) as ear:
            begun(ear, bus)
            bus.send(events.life(RECOGNIZED))
            ear.until(lambda: len(ear.events) == 1)
        broker.stop()
        bus.send(numbered(2), numbered(4))
        broker.start()
        with listening(broker) as ear:
            ear.until(lambda: PERSON in ear.kept and len(ear.ids()) >= 1)
            bus.send(numbered(6))
            ear.until(lambda: (ear.events[-1]["data"].get("reason") or "").startswith("6"))
            assert ear.json(PERSON)["present"] is True
        assert process.poll() is None


def test_who_left_while_no_bridge_ran_is_present_no_more(tmp_path: Path, broker: Mosquitto) -> None:
    with listening(broker) as ear:
        with real_bus(tmp_path) as bus, bridge(tmp_path, broker):
            begun(ear, bus)
            bus.send(events.life(RECOGNIZED))
            ear.until(lambda: PERSON in ear.kept)
        # Another daemon, another journal, and a bridge that remembers nothing.
        for file in tmp_path.glob("journal*"):
            file.unlink()
        (tmp_path / "cursor").unlink(missing_ok=True)
        with real_bus(tmp_path) as bus, bridge(tmp_path, broker):
            ear.until(lambda: ear.json(PERSON)["present"] is False)


def test_a_daemon_that_falls_silent_is_told_and_nobody_is_there_when_it_starts_anew(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with real_bus(tmp_path) as bus, listening(broker) as ear, bridge(tmp_path, broker):
        begun(ear, bus)
        bus.send(events.life(RECOGNIZED))
        ear.until(lambda: PERSON in ear.kept)
        # This bus has no heart of its own.
        ear.until(lambda: ear.kept["visaged/daemon/availability"] == "offline")
        bus.send(events.daemon(Started("0.1.0", "CPU", "model", 1, ["door"])))
        ear.until(lambda: ear.kept["visaged/daemon/availability"] == "online")
        ear.until(lambda: ear.json(PERSON)["present"] is False)


def test_several_people_have_topics_of_their_own(tmp_path: Path, broker: Mosquitto) -> None:
    ann = replace(NAMED, person=replace(NAMED.person, id=ANN.id, name=ANN.name), track="another")  # type: ignore[type-var]
    with real_bus(tmp_path) as bus, listening(broker) as ear, bridge(tmp_path, broker, "--discovery", "off"):
        begun(ear, bus)
        bus.send(events.life(RECOGNIZED), events.life(replace(RECOGNIZED, face=ann)), events.life(LEFT))
        ear.until(lambda: len(ear.events) == 3 and ear.json(PERSON)["present"] is False)
        assert ear.json(f"visaged/door/person/{ANN.id}")["present"] is True
        assert not any(topic.startswith("homeassistant") for topic in ear.kept)


def test_a_password_is_neither_in_the_list_of_processes_nor_in_the_log(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "door", "s3cret-of-ours") as broker, real_bus(tmp_path) as bus:
        with listening(broker) as ear, bridge(tmp_path, broker) as process:
            begun(ear, bus)
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert b"mqtt://door@" in arguments
            assert b"s3cret" not in arguments
        assert "s3cret" not in (tmp_path / "bridge.log").read_text()
        file = tmp_path / "password"
        file.write_text("s3cret-of-ours\n")
        broker.password = None
        with bridge(tmp_path, broker, "--password-file", str(file)) as process:
            broker.password = "s3cret-of-ours"
            with listening(broker) as ear:
                begun(ear, bus)


def test_where_keys_are_asked_for_the_bridge_shows_its_own(tmp_path: Path, broker: Mosquitto) -> None:
    keyring, pair = Keyring.load(tmp_path), new_pair()
    keyring.add("bridge", pair.public, 0)
    write_client_file(tmp_path / "bridge.keys", "bridge", pair, keyring.server.public)
    with real_bus(tmp_path, keyring=keyring) as bus, listening(broker) as ear:
        with bridge(tmp_path, broker):
            ear.until(lambda: "the daemon is waited for" in (tmp_path / "bridge.log").read_text())
        with bridge(tmp_path, broker, "--keys", str(tmp_path / "bridge.keys")):
            begun(ear, bus)
            bus.send(events.life(RECOGNIZED))
            ear.until(lambda: PERSON in ear.kept)


def test_a_wrong_password_is_one_clear_line(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "door", "right") as broker:
        broker.password = "wrong-one"
        with bridge(tmp_path, broker) as process:
            assert process.wait(END_S) == 2
    log = (tmp_path / "bridge.log").read_text()
    assert f"visaged: the broker 127.0.0.1:{broker.port} refuses the bridge: Not authorized" in log
    assert "wrong-one" not in log
    assert "Traceback" not in log


def test_a_bridge_may_come_before_broker_and_daemon(tmp_path: Path, broker: Mosquitto) -> None:
    broker.stop()
    with bridge(tmp_path, broker) as process:
        deadline_s = time.monotonic() + END_S
        while "can't be reached" not in (tmp_path / "bridge.log").read_text():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        # It goes on trying.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        broker.start()
        with listening(broker) as ear:
            ear.until(lambda: ear.kept.get("visaged/daemon/availability") == "offline")
            ear.until(lambda: "the daemon is waited for" in (tmp_path / "bridge.log").read_text())
            with real_bus(tmp_path) as bus:
                begun(ear, bus)
                bus.send(events.life(RECOGNIZED))
                ear.until(lambda: len(ear.events) == 1)
    log = (tmp_path / "bridge.log").read_text()
    assert log.count("can't be reached") == 1
    assert log.count("the daemon is waited for") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker", ("broker", 1883, False, None)),
        ("broker:1884", ("broker", 1884, False, None)),
        ("mqtt://ann@192.0.2.7", ("192.0.2.7", 1883, False, "ann")),
        ("mqtts://[2001:db8::1]:8884/", ("2001:db8::1", 8884, True, None)),
        ("mqtts://broker", ("broker", 8883, True, None)),
        ("mqtt://ann%40home@broker", ("broker", 1883, False, "ann@home")),
    ],
)
def test_a_brokers_address_is_understood(text: str, expected: tuple[str, int, bool, str | None]) -> None:
    broker = Broker.parse(text)
    assert (broker.host, broker.port, broker.tls, broker.user) == expected


@pytest.mark.parametrize(
    "text", ["", "mqtt://", "http://x", "mqtt://x:0", "mqtt://x:port", "x:99999", "mqtt://x/topic"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--broker must be such as"):
        Broker.parse(text)


def test_a_certificate_is_not_given_in_vain() -> None:
    with pytest.raises(UsageError, match="mqtts://HOST"):
        Broker.parse("mqtt://ann@broker", ca_file=Path("ca.pem"))


def test_why_a_broker_cannot_be_reached_is_told_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    log = tmp_path / "bridge.log"
    with bridge(tmp_path, Mosquitto(tmp_path, port)) as process:
        deadline_s = time.monotonic() + END_S
        while "Connection refused" not in log.read_text():
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.1)
        # It tries again after a second.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
    assert log.read_text().count("can't be reached") == 1


def test_a_password_in_the_address_is_refused_without_being_repeated() -> None:
    with pytest.raises(UsageError) as refused:
        Broker.parse("mqtt://ann:s3cret@broker")
    assert "s3cret" not in str(refused.value)
    assert "--password-file" in str(refused.value)
    assert "s3cret" not in repr(Broker("x", 1, password="s3cret"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prefix", "a/#"], "--prefix must be part of a topic"),
        (["--discovery", "/x"], "--discovery must be part of a topic"),
        (["--password-file", "/nowhere"], "--password-file /nowhere: No such file"),
        (["--password-file", "/dev/null"], "its first line is empty"),
        (["--broker", "mqtts://127.0.0.1:1", "--ca-file", "/nowhere"], "--ca-file /nowhere: No such file"),
        (["--keys", "/nowhere"], "/nowhere: the keys can't be read"),
        (["--connect", "tcp://127.0.0.1:1"], "give --replay"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    visaged: Shell,  # noqa: F811
    arguments: list[str],
    told: str,
) -> None:
    replay = [] if "--connect" in arguments else ["--replay", "tcp://127.0.0.1:1"]
    done = visaged("bridge", "mqtt", "--broker", "ann@127.0.0.1:1", *replay, *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.err.strip().count("\n") == 0
