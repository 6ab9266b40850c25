"""What is said over the control socket: JSON in, JSON out, made from and into the gallery's dataclasses."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gallery import errors
from gallery.matcher import Match, RunnerUp
from gallery.people import NewReference, Person, PersonName

Json = dict[str, Any]
"""A JSON object: lives only between a socket and the dataclasses made from it."""

MOST_BYTES = 64 << 20
"""A request or an answer; 60,000 references of 128 numbers."""


def from_bytes(content: bytes) -> str:
    """Bytes as JSON: base64."""
    return base64.b64encode(content).decode("ascii")


def to_bytes(message: str) -> bytes:
    """What from_bytes made; ValueError on anything else."""
    return base64.b64decode(message, validate=True)


def from_array(array: NDArray[np.float32]) -> Json:
    """float32 of any shape as JSON, the numbers in base64."""
    array = np.ascontiguousarray(array, "<f4")
    return {"shape": list(array.shape), "f4": from_bytes(array.tobytes())}


def to_array(message: Json) -> NDArray[np.float32]:
    """What from_array made; ValueError, KeyError or TypeError on anything else."""
    flat = np.frombuffer(to_bytes(message["f4"]), "<f4")
    return flat.reshape([int(side) for side in message["shape"]]).astype(np.float32)


def from_reference(reference: NewReference) -> Json:
    """A face on its way into the gallery."""
    return {
        "encoding": from_array(reference.encoding),
        "model": reference.model,
        "source_digest": reference.source_digest,
        "source_name": reference.source_name,
        "quality": reference.quality,
    }


def to_reference(message: Json) -> NewReference:
    """The other way; raises as to_array does."""
    return NewReference(
        encoding=to_array(message["encoding"]),
        model=str(message["model"]),
        source_digest=str(message["source_digest"]),
        source_name=str(message["source_name"]),
        quality=float(message["quality"]),
    )


def to_person(message: Json) -> Person:
    """From what asdict makes of one."""
    return Person(**message)


def to_match(message: Json) -> Match:
    """From what asdict makes of one."""
    person, runner_up, nearest = message["person"], message["runner_up"], message["nearest"]
    return Match(
        person=None if person is None else PersonName(**person),
        distance=message["distance"],
        runner_up=None if runner_up is None else RunnerUp(**runner_up),
        nearest=None if nearest is None else PersonName(**nearest),
    )


def from_error(error: errors.GalleryError) -> Json:
    """A refusal, with what is needed to raise it again on the other side."""
    return {"kind": type(error).__name__, "text": str(error), "fields": dict(vars(error))}


def to_error(message: Json) -> errors.GalleryError:
    """The same refusal, to be raised on this side; a kind that we don't know becomes the plain one."""
    if message["kind"] == errors.DuplicateImage.__name__:
        return errors.DuplicateImage(**message["fields"])
    kind = getattr(errors, message["kind"], errors.GalleryError)
    return (
        kind(message["text"])
        if issubclass(kind, errors.GalleryError)
        else errors.GalleryError(message["text"])
    )
