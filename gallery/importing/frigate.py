"""Frigate's library of faces: clips/faces, with a folder a person and pictures cut close around the face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gallery.enrolment_plan import Plan, plan_folder
from gallery.errors import GalleryError

ATTEMPTS = "train"
"""Faces that Frigate has seen and nobody has assigned yet: the names in their file names are guesses."""


def plan(folder: Path) -> Plan:
    """Whom to enrol from which pictures; a folder that holds clips/faces or faces is meant to be that.

    Frigate writes spaces of names as underscores; they are left as they are, for a name may have some.
    """
    for below in ("clips/faces", "faces"):
        if (folder / below).is_dir():
            folder = folder / below
            break
    found = plan_folder(folder)
    people = tuple(person for person in found.people if person.name != ATTEMPTS)
    refused = tuple(each for each in found.refused if Path(each.image).name != ATTEMPTS)
    if not people:
        raise GalleryError(f"{folder}: there is no folder of a person; name Frigate's clips/faces")
    return replace(found, people=people, refused=refused)
