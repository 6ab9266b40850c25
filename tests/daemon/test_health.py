"""What monitoring reads over real HTTP."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon import events
from daemon.endpoint import BindRefused
from daemon.health import TURN_S, HealthServer
from daemon.metrics import Metrics
from tests.daemon.event_samples import NAMED, STAMP


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", "dlib-mtcnn-0", "CPU, 2 threads")


@pytest.fixture
def server(metrics: Metrics) -> Iterator[HealthServer]:
    with HealthServer("127.0.0.1:0", metrics) as server:
        yield server


def get(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(page: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def heartbeat() -> events.Event:
    pulse = events.CameraPulse(
        *("door", "online", 30, 20, 10, [events.Unfit("blurred", 4)]),
        frame_age_s=0.25,
        reopened=[events.Reopened("silent", 2)],
    )
    refused = [events.Refused("unknown_key", 3)]
    return events.daemon(
        events.Heartbeat(12.5, 2, [pulse], refused, events.GalleryPulse(12, 2, 7), 412.5, 130.0)
    )


def test_what_was_published_is_counted(server: HealthServer, metrics: Metrics) -> None:
    metrics.note(heartbeat())
    metrics.note(events.sighting(NAMED, STAMP))
    metrics.saw("door", 2)
    with metrics.stage("detect"):
        pass
    code, page = get(server, "/metrics")
    assert code == 200
    found = samples(page)
    camera = NAMED.camera
    assert found["visaged_events_total", tuple(sorted(("face", "sighting", camera)))] == 1
    assert found["visaged_latency_seconds_count", (camera,)] == 1
    assert found["visaged_faces_total", ("door",)] == 2
    assert found["visaged_stage_seconds_count", ("detect",)] == 1
    assert found["visaged_frames_read_total", ("door",)] == 30
    assert found["visaged_frames_replaced_total", ("door",)] == 10
    assert found["visaged_unfit_faces_total", ("blurred", "door")] == 4
    assert found["visaged_camera_state", ("door", "online")] == 1
    assert found["visaged_refused_peers_total", ("unknown_key",)] == 3
    assert found["visaged_subscriber_overruns_total", ()] == 2
    assert found["visaged_uptime_seconds", ()] == 12.5
    assert found["visaged_frame_age_seconds", ("door",)] == 0.25
    assert found["visaged_reopened_total", ("door", "silent")] == 2
    assert found["visaged_gpu_memory_bytes", ()] == 130e6
    assert found["visaged_gallery_people", ()] == 2
    assert found["visaged_memory_bytes", ()] > 10_000_000
    assert found["visaged_build_info", tuple(sorted(("1.2.3", "dlib-mtcnn-0", "CPU, 2 threads")))] == 1


def test_before_the_first_heartbeat_there_are_numbers_already(server: HealthServer) -> None:
    assert ("visaged_memory_bytes", ()) in samples(get(server, "/metrics")[1])


def test_it_is_ready_once_it_says_so(server: HealthServer) -> None:
    assert get(server, "/readyz")[0] == 503
    server.ready()
    assert get(server, "/readyz") == (200, "alive\n")


def test_a_loop_that_does_not_turn_is_neither_healthy_nor_ready(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ready()
    server.turned()
    assert get(server, "/healthz") == (200, "alive\n")
    server._turned_s -= TURN_S + 1
    assert get(server, "/healthz")[0] == 503
    assert get(server, "/readyz")[0] == 503
    server.turned()
    assert get(server, "/healthz")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/../etc/passwd"])
def test_there_is_nothing_else(server: HealthServer, path: str) -> None:
    code, told = get(server, path)
    assert (code, told) == (404, "there are /metrics, /healthz, /readyz\n")


def test_a_client_that_says_nothing_is_hung_up_on(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.health._Handler.timeout", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.settimeout(10)
        assert get(server, "/healthz")[0] == 200
        assert silent.recv(1) == b""


def test_a_port_that_is_taken_is_refused(metrics: Metrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindRefused, match=f"127.0.0.1:{port}: Address already in use"):
            HealthServer(f"127.0.0.1:{port}", metrics)
