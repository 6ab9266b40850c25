"""A change of encoder, in the file or over the control socket: pictures come, encodings go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from daemon import control_messages as messages
from daemon.control_messages import Json
from daemon.desk_ends import Asked, end_of
from gallery import reencoding
from gallery.people import PersonName
from gallery.reencoding import Lacking
from gallery.store import Gallery

logger = logging.getLogger(__name__)


class Reencoding(Protocol):
    """As gallery.reencoding's functions, of one gallery."""

    def lacking(self, model: str) -> list[Lacking]: ...
    def crops(self, references: Sequence[str]) -> Mapping[str, bytes]: ...
    def put(self, model: str, references: Sequence[str], rows: NDArray[np.float32]) -> int: ...


def reencoding_of(desk: object) -> Reencoding:
    """Of the gallery that `open_desk` gave."""
    return end_of(desk, _Here, _There)


class _Here:
    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def lacking(self, model: str) -> list[Lacking]:
        return reencoding.lacking(self._gallery, model)

    def crops(self, references: Sequence[str]) -> Mapping[str, bytes]:
        return reencoding.crops(self._gallery, references)

    def put(self, model: str, references: Sequence[str], rows: NDArray[np.float32]) -> int:
        return reencoding.put(self._gallery, model, references, rows)


class _There:
    def __init__(self, daemon: Asked) -> None:
        self._ask = daemon.ask

    def lacking(self, model: str) -> list[Lacking]:
        told = self._ask("reencoding_lacking", model=model)["lacking"]
        return [Lacking(**{**each, "person": PersonName(**each["person"])}) for each in told]

    def crops(self, references: Sequence[str]) -> Mapping[str, bytes]:
        told = self._ask("reencoding_crops", references=list(references))
        return {key: messages.to_bytes(image) for key, image in told.items()}

    def put(self, model: str, references: Sequence[str], rows: NDArray[np.float32]) -> int:
        packed = messages.from_array(rows)
        told = self._ask("reencoding_put", model=model, references=list(references), encodings=packed)
        return int(told["stored"])


def operations(gallery: Gallery) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations."""

    def put(request: Json) -> object:
        references = [str(each) for each in request["references"]]
        rows = messages.to_array(request["encodings"])
        stored = reencoding.put(gallery, str(request["model"]), references, rows)
        logger.info("%s references have an encoding of %s too", stored, request["model"])
        return {"stored": stored}

    def crops(request: Json) -> object:
        wanted = [str(each) for each in request["references"]][: reencoding.BATCH]
        found = reencoding.crops(gallery, wanted)
        return {key: messages.from_bytes(image) for key, image in found.items()}

    return {
        "reencoding_lacking": lambda request: {
            "lacking": [asdict(each) for each in reencoding.lacking(gallery, str(request["model"]))]
        },
        "reencoding_crops": crops,
        "reencoding_put": put,
    }
