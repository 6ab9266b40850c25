"""Care of the gallery, in the file or over the control socket: what audit, reinstate and merge use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from daemon import control_messages as messages
from daemon.control_messages import Json
from daemon.desk_ends import Asked, end_of
from gallery import care
from gallery.audit_findings import AuditedReference, Material
from gallery.people import Person, PersonName
from gallery.store import Gallery

logger = logging.getLogger(__name__)


class Care(Protocol):
    """As gallery.care's functions, of one gallery."""

    def material(self) -> Material: ...
    def set_aside(self, codes: Mapping[str, str]) -> int: ...
    def reinstate(self, references: Sequence[str]) -> list[str]: ...
    def merge(self, name: str, into: str) -> Person: ...
    def crops(self, name: str) -> dict[str, bytes]: ...


def care_of(desk: object) -> Care:
    """Of the gallery that `open_desk` gave."""
    return end_of(desk, _Here, _There)


class _Here:
    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def material(self) -> Material:
        return care.material(self._gallery)

    def set_aside(self, codes: Mapping[str, str]) -> int:
        return care.set_aside(self._gallery, codes)

    def reinstate(self, references: Sequence[str]) -> list[str]:
        return care.reinstate(self._gallery, references)

    def merge(self, name: str, into: str) -> Person:
        return care.merge(self._gallery, name, into)

    def crops(self, name: str) -> dict[str, bytes]:
        return care.crops(self._gallery, name)


class _There:
    def __init__(self, daemon: Asked) -> None:
        self._ask = daemon.ask

    def material(self) -> Material:
        told = self._ask("material")
        return Material(
            model=told["model"],
            people=tuple(PersonName(**each) for each in told["people"]),
            references=tuple(AuditedReference(*each) for each in told["references"]),
            encodings=messages.to_array(told["encodings"]),
            old=tuple(AuditedReference(*each) for each in told["old"]),
        )

    def set_aside(self, codes: Mapping[str, str]) -> int:
        return int(self._ask("set_aside", codes=dict(codes))["changed"])

    def reinstate(self, references: Sequence[str]) -> list[str]:
        return [str(each) for each in self._ask("reinstate", references=list(references))["references"]]

    def merge(self, name: str, into: str) -> Person:
        return messages.to_person(self._ask("merge", name=name, into=into))

    def crops(self, name: str) -> dict[str, bytes]:
        return {key: messages.to_bytes(image) for key, image in self._ask("crops", name=name).items()}


def operations(gallery: Gallery) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations."""

    def set_aside(request: Json) -> object:
        codes = {str(key): str(code) for key, code in dict(request["codes"]).items()}
        changed = care.set_aside(gallery, codes)
        logger.info("%s references are set aside", changed)
        return {"changed": changed}

    def reinstate(request: Json) -> object:
        found = care.reinstate(gallery, [str(each) for each in request["references"]])
        logger.info("%s references are in use again", len(found))
        return {"references": found}

    def merge(request: Json) -> object:
        person = care.merge(gallery, str(request["name"]), str(request["into"]))
        logger.info("somebody was merged into person %s", person.id)
        return asdict(person)

    return {
        "material": lambda request: _from_material(care.material(gallery)),
        "set_aside": set_aside,
        "reinstate": reinstate,
        "merge": merge,
        "crops": lambda request: {
            key: messages.from_bytes(image)
            for key, image in care.crops(gallery, str(request["name"])).items()
        },
    }


def _from_material(material: Material) -> Json:
    return {
        "model": material.model,
        "people": [asdict(person) for person in material.people],
        "references": [_row(each) for each in material.references],
        "encodings": messages.from_array(material.encodings),
        "old": [_row(each) for each in material.old],
    }


def _row(reference: AuditedReference) -> list[object]:
    return [reference.id, reference.person, reference.image, reference.quality, reference.set_aside]
