"""Measures where what is no face lies in an encoder's space, for gallery/centres.json: a mean and quantiles.

No face are photographs with the landmarks moved up, onto hair and what is behind. The centre is their mean
over every second person; the others tell how far from it faces are, and what is none. Also how far a picture
is from itself, saved anew.

uv run python -m benchmarks.centres [--encoder dlib --encoder sface] [--photographs DIR] [--first N]
    [--device cpu] [--write]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.impostors import SOURCE, as_text
from benchmarks.pairs import LFW_VIEW_1, main_face, main_faces, photographs
from gallery import centres
from gallery.faces.chip_encoder import ChipEncoder
from gallery.faces.detector import MtcnnDetector
from gallery.faces.encoder import build_encoder
from gallery.faces.types import BgrImage, Faces

FILE = Path(centres.__file__).with_name(centres.FILE)
SHARES = (0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0)
"""Of the quantiles that are kept."""
UP = 0.7
"""By how many widths of the face the landmarks are moved: there is the hair, or the wall behind."""
AGAIN_EVERY = 8
"""Of how many pictures one is saved anew, as JPEG of quality 60 and at half the size."""
AT_ONCE = 16

Rows = NDArray[np.float32]


def encode_all(
    files: Sequence[Path], encoders: Sequence[ChipEncoder], device: str
) -> tuple[NDArray[np.intp], list[Rows], list[Rows], list[NDArray[np.float64]]]:
    """Who is on each; and for each encoder the faces, what is none, and distances to the picture anew."""
    detector = MtcnnDetector(device=device)
    people = {name: i for i, name in enumerate(sorted({file.parent.name for file in files}))}
    owners: list[int] = []
    faces: list[list[Rows]] = [[] for _ in encoders]
    hair: list[list[Rows]] = [[] for _ in encoders]
    again: list[list[float]] = [[] for _ in encoders]
    for start in range(0, len(files), AT_ONCE):
        batch = files[start : start + AT_ONCE]
        found = [
            (people[file.parent.name], bgr, each)
            for file, (bgr, each) in zip(batch, main_faces(batch, device), strict=True)
            if len(each)
        ]
        owners += [person for person, _, _ in found]
        anew = saved_anew([(bgr, each) for _, bgr, each in found[::AGAIN_EVERY]], detector)
        for place, encoder in enumerate(encoders):
            pictures = [bgr for _, bgr, _ in found]
            here = encoder.encode_many(pictures, [each for _, _, each in found])
            faces[place] += here
            hair[place] += encoder.encode_many(pictures, [moved_up(each) for _, _, each in found])
            other = encoder.encode_many([bgr for _, bgr, _ in anew], [each for _, _, each in anew])
            for (i, _, _), rows in zip(anew, other, strict=True):
                again[place].append(float(np.linalg.norm(here[i * AGAIN_EVERY][0] - rows[0])))
    return (
        np.array(owners, np.intp),
        [np.concatenate(rows) for rows in faces],
        [np.concatenate(rows) for rows in hair],
        [np.array(distances) for distances in again],
    )


def moved_up(faces: Faces) -> Faces:
    """The same faces with the landmarks where no face is."""
    up_px = UP * (faces.boxes[:, 2] - faces.boxes[:, 0])
    shift = np.stack([np.zeros_like(up_px), up_px], axis=1)
    return replace(
        faces, landmarks=faces.landmarks - shift[:, None], boxes=faces.boxes - np.tile(shift, (1, 2))
    )


def saved_anew(
    pictures: Sequence[tuple[BgrImage, Faces]], detector: MtcnnDetector
) -> list[tuple[int, BgrImage, Faces]]:
    """Which picture each was, and its face as it is found again."""
    made: list[tuple[int, BgrImage]] = []
    for i, (bgr, _) in enumerate(pictures):
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        made.append((i, np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)))
        made.append(
            (i, np.asarray(cv2.resize(bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8))
        )
    found = detector.detect([bgr for _, bgr in made])
    each = [(i, bgr, main_face(bgr, faces)) for (i, bgr), faces in zip(made, found, strict=True)]
    return [(i, bgr, faces) for i, bgr, faces in each if len(faces)]


def entry(
    model: str, owners: NDArray[np.intp], faces: Rows, hair: Rows, again: NDArray[np.float64]
) -> dict[str, Any]:
    """One encoder's, as it stands in the file."""
    half = owners % 2 == 0
    centre = mean_of_people(owners[half], hair[half])
    return {
        "model": model,
        "people": len(np.unique(owners[half])),
        "photographs": int(half.sum()),
        "others": len(np.unique(owners[~half])),
        "shares": list(SHARES),
        "faces": quantiles(np.linalg.norm(faces[~half] - centre, axis=1)),
        "no_faces": quantiles(np.linalg.norm(hair[~half] - centre, axis=1)),
        "same_picture": quantiles(again),
        "different_people": quantiles(between_people(owners, faces)),
        "centre": np.round(centre, 5).tolist(),
    }


def mean_of_people(owners: NDArray[np.intp], rows: Rows) -> NDArray[np.float64]:
    """float64[d]: the mean over people of the mean of each: nobody counts more for having more pictures."""
    means = np.stack([rows[owners == owner].mean(axis=0, dtype=np.float64) for owner in np.unique(owners)])
    return np.asarray(means.mean(axis=0), np.float64)


def between_people(owners: NDArray[np.intp], rows: Rows) -> NDArray[np.float64]:
    """The median distance between every two of the people with two photographs or more."""
    several = [np.flatnonzero(owners == owner) for owner in np.unique(owners) if (owners == owner).sum() > 1]
    return np.array(
        [
            np.median(np.linalg.norm(rows[one][:, None] - rows[other][None], axis=2))
            for i, one in enumerate(several)
            for other in several[:i]
        ]
    )


def quantiles(distances: NDArray[np.float64]) -> list[float]:
    """At SHARES."""
    return [float(value) for value in np.quantile(distances, SHARES).round(4)]


def write(entries: Sequence[dict[str, Any]]) -> None:
    """Puts them into the file, in the place of older ones of the same net."""
    document: dict[str, Any] = {
        "source": SOURCE,
        "made_by": "python -m benchmarks.centres --write",
        "models": [],
    }
    if FILE.exists():
        document["models"] = json.loads(FILE.read_text("utf-8"))["models"]
    families = {each["model"].rpartition("-")[0] for each in entries}
    kept = [each for each in document["models"] if each["model"].rpartition("-")[0] not in families]
    document["models"] = sorted([*kept, *entries], key=lambda each: str(each["model"]))
    FILE.write_text(as_text(document), "utf-8")


def main() -> None:
    """Prints the entries, or writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", action="append", choices=("dlib", "sface", "facenet"))
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--first", type=int, metavar="N", help="only so many of the pictures")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="into gallery/centres.json")
    given = parser.parse_args()
    encoders = [build_encoder(name, given.device) for name in given.encoder or ("dlib", "sface")]
    files = photographs(given.photographs)[: given.first]
    owners, faces, hair, again = encode_all(files, encoders, given.device)
    entries = [
        entry(encoder.model, owners, own_faces, own_hair, own_again)
        for encoder, own_faces, own_hair, own_again in zip(encoders, faces, hair, again, strict=True)
    ]
    if given.write:
        write(entries)
    else:
        print(json.dumps(entries, indent=1))


if __name__ == "__main__":
    main()
