"""`identify --save-annotated`: boxes, landmarks, names in Hangul, distances and reasons are to be seen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from daemon.drawing import KNOWN_RGB, UNKNOWN_RGB
from daemon.fonts import NoFont, font_for
from daemon.lettering import draw_line, set_line
from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell
from tests.daemon.cli.photographs import read

SAMPLES = REPOSITORY / "samples"


def is_written(text: str, size_px: int, drawn: NDArray[np.uint8], ground: tuple[int, int, int]) -> bool:
    line = set_line(text, size_px, 10_000, [])
    picture = Image.new("RGB", (round(line.width_px) + 2, round(line.height_px)), ground)
    draw_line(ImageDraw.Draw(picture), (1, 0), line, (0, 0, 0))
    wanted = np.asarray(picture)[:, :, ::-1].astype(np.uint8)
    return float(cv2.matchTemplate(drawn, wanted, cv2.TM_CCOEFF_NORMED).max()) > 0.99


def test_the_saved_picture_shows_all_that_is_told_of_a_face(visaged: Shell, tmp_path: Path) -> None:
    try:
        font_for("김철수", 21)
    except NoFont as missing:
        pytest.skip(str(missing))
    assert visaged("enroll", "김철수", SAMPLES / "barack-obama.jpg").code == 0
    blurred = tmp_path / "blurred.jpg"
    cv2.imwrite(str(blurred), cv2.GaussianBlur(read(SAMPLES / "barack-obama-2.jpg"), (0, 0), 14))
    images = (SAMPLES / "barack-obama-2.jpg", SAMPLES / "joe-biden.jpg", blurred)
    done = visaged("identify", *images, "--save-annotated", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert "no font" not in done.err
    seen: set[str] = set()
    for image, told in zip(images, done.document, strict=True):
        drawn = read(tmp_path / "out" / f"{image.stem}.png")
        size_px = round(min(drawn.shape[:2]) / 28)
        (face,) = told["faces"]
        named = face["person"] is not None
        colour = KNOWN_RGB if named else UNKNOWN_RGB
        for x, y in face["landmarks"]:
            assert tuple(drawn[round(y), round(x), ::-1]) == colour
        left, top, right, bottom = map(round, face["box"])
        assert tuple(drawn[(top + bottom) // 2, left, ::-1]) == colour
        assert tuple(drawn[top, (left + right) // 2, ::-1]) == colour
        texts = ["김철수" if named else "unknown", f"{face['distance']:.3f} of {face['threshold']:.2f}"]
        for text in [*texts, *face["reasons"]]:
            assert is_written(text, size_px, drawn, colour), (image.name, text)
        assert not is_written("unknown" if named else "김철수", size_px, drawn, colour)
        seen |= {texts[0], *face["reasons"]}
    # Each kind of line was there to be looked for.
    assert seen >= {"김철수", "unknown", "blurred"}
