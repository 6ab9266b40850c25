"""What is said over the control socket: JSON in, JSON out, made from and into the gallery's dataclasses."""

from __future__ import annotations

import base64
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from daemon.errors import UsageError
from gallery import errors
from gallery.people import NewReference, Person, PersonName, PersonThreshold, Reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallery.decision import Decision, Rules
    from gallery.matcher import Index

Json = dict[str, Any]
"""A JSON object: lives only between a socket and the dataclasses made from it."""

MOST_BYTES = 64 << 20
"""A request or an answer; 60,000 references of 128 numbers."""
MOST_CROP_BYTES = 4 << 20
"""Of the picture of a reference."""


def from_bytes(content: bytes) -> str:
    """Bytes as JSON: base64."""
    return base64.b64encode(content).decode("ascii")


def to_bytes(message: str) -> bytes:
    """What from_bytes made; ValueError on anything else."""
    return base64.b64decode(message, validate=True)


def from_array(array: NDArray[np.float32]) -> Json:
    """float32 of any shape as JSON, the numbers in base64."""
    import numpy as np

    array = np.ascontiguousarray(array, "<f4")
    return {"shape": list(array.shape), "f4": from_bytes(array.tobytes())}


def to_array(message: Json) -> NDArray[np.float32]:
    """What from_array made; ValueError, KeyError or TypeError on anything else."""
    import numpy as np

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
        "crop": None if reference.crop is None else from_bytes(reference.crop),
    }


def to_reference(message: Json) -> NewReference:
    """The other way; raises as to_array does."""
    return NewReference(
        encoding=to_array(message["encoding"]),
        model=str(message["model"]),
        source_digest=str(message["source_digest"]),
        source_name=str(message["source_name"]),
        quality=float(message["quality"]),
        crop=_to_crop(message.get("crop")),
    )


def _to_crop(message: str | None) -> bytes | None:
    crop = None if message is None else to_bytes(message)
    if crop is not None and len(crop) > MOST_CROP_BYTES:
        raise ValueError(f"a picture has at most {MOST_CROP_BYTES} bytes")
    return crop


def from_kept(reference: Reference) -> Json:
    """A face that is in the gallery."""
    return {**asdict(reference), "encoding": from_array(reference.encoding)}


def to_kept(message: Json) -> Reference:
    """What from_kept told."""
    return Reference(**{**message, "encoding": to_array(message["encoding"])})


def to_person(message: Json) -> Person:
    """From what asdict makes of one."""
    return Person(**message)


def to_threshold(message: Json) -> PersonThreshold:
    """From what asdict makes of one."""
    return PersonThreshold(**{**message, "person": PersonName(**message["person"])})


def to_rules(message: Json) -> Rules:
    """From what asdict makes of them; raises as to_array does."""
    from gallery.decision import Rules

    return Rules(
        threshold=float(message["threshold"]),
        margin=float(message["margin"]),
        hysteresis=float(message["hysteresis"]),
        calibrated=bool(message["calibrated"]),
    )


def to_decision(message: Json) -> Decision:
    """From what asdict makes of one."""
    from gallery.decision import Decision
    from gallery.matcher import RunnerUp

    person, nearest, second = message["person"], message["nearest"], message["runner_up"]
    return Decision(
        **{
            **message,
            "person": None if person is None else PersonName(**person),
            "nearest": None if nearest is None else PersonName(**nearest),
            "runner_up": None if second is None else RunnerUp(**second),
        }
    )


def from_index(index: Index) -> Json:
    """Everything enrolled, as JSON."""
    thresholds = [None] * len(index.people) if index.thresholds is None else index.thresholds.tolist()
    return {
        "people": [{"id": person.id, "name": person.name} for person in index.people],
        "owners": index.owners.tolist(),
        "encodings": from_array(index.encodings),
        "model": index.model,
        "revision": index.revision,
        "thresholds": [None if own is None or math.isnan(own) else own for own in thresholds],
        "not_owners": index.not_owners.tolist(),
        "not_encodings": from_array(index.not_encodings),
    }


def to_index(message: Json) -> Index:
    """What from_index told."""
    from gallery.matcher import Index

    arrays = {key: to_array(message[key]) for key in ("encodings", "not_encodings")}
    people = [PersonName(**person) for person in message["people"]]
    return Index.of(**{**message, **arrays, "people": people})


def from_error(error: errors.GalleryError | UsageError) -> Json:
    """A refusal, with what is needed to raise it again on the other side."""
    return {"kind": type(error).__name__, "text": str(error), "fields": dict(vars(error))}


def to_error(message: Json) -> errors.GalleryError | UsageError:
    """The same refusal, to be raised on this side; a kind that we don't know becomes the plain one."""
    if message["kind"] in {UsageError.__name__, "KeysUnusable"}:
        return UsageError(message["text"])
    if message["kind"] == errors.DuplicateImage.__name__:
        return errors.DuplicateImage(**message["fields"])
    kind = getattr(errors, message["kind"], errors.GalleryError)
    return (
        kind(message["text"])
        if issubclass(kind, errors.GalleryError)
        else errors.GalleryError(message["text"])
    )
