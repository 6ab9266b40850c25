"""`enroll --camera`, `strangers` and `name` without a daemon: what is wrong with a command is one line."""

from __future__ import annotations

import pytest

from daemon.cli.life import known_cameras, known_strangers
from tests.daemon.cli.conftest import Shell

NO_DAEMON = "no daemon is running"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("enroll", "Ann", "--camera", "door"), NO_DAEMON),
        (("enroll", "Ann", "--camera", "door", "--json"), NO_DAEMON),
        (("enroll", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "Ann", "ann.jpg", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "--from", "people", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "Ann", "--camera", "door", "--not"), "--camera takes one person's pictures itself"),
        (("strangers",), NO_DAEMON),
        (("strangers", "--forget"), NO_DAEMON),
        (("name", "1", "Ann"), NO_DAEMON),
    ],
)
def test_a_command_that_can_not_be_done_is_one_line(
    visaged: Shell, words: tuple[str, ...], said: str
) -> None:
    done = visaged(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (visaged.folder / "state").exists()


def test_a_shell_completes_cameras_from_the_configuration_and_strangers_only_of_a_daemon(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    visaged.configure("[[camera]]\nname = 'door'\nsource = 0\n[[camera]]\nname = 'yard'\nsource = 1\n")
    monkeypatch.setenv("VISAGED_CONFIG", str(visaged.config))
    assert known_cameras("") == ["door", "yard"]
    assert known_cameras("y") == ["yard"]
    assert known_strangers("") == []
    visaged.config.write_text("no configuration")
    assert known_cameras("") == []
