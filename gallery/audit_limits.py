"""From where on an audit finds something: distances for each encoder, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass

FEWEST_REFERENCES = 3
"""Below it, one bad photograph is half of what a person is known by, and nothing says which one is bad."""

LOWEST_QUALITY = 0.4
"""A quality is the worst measure over its good value (gallery/faces/quality.py): sharpness is unfit below
0.08 and good from 0.20, so that 0.4 is where a blurred face becomes unfit; one of 24 pixels has 0.3."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Euclidean distances; what lies beyond is found."""

    duplicate: float
    """Two references of one person up to here show the same picture."""
    outlier: float
    """A reference whose nearest other one of its person is farther is not like them."""
    margin: float
    """A reference is nearer to another person only by more than this; a bit nearer happens to sound ones."""
    other: float
    """And only if the other person is at most so far: farther it is like nobody."""
    same_person: float
    """The median distance between the references of two people: below it they may be one."""
    look_alikes: float
    """The least distance between references of two people: up to here they may be taken for one another."""
    no_face: float
    """From the centre of what is no face (gallery/centres.json): what is nearer is none."""


# Measured on 640 photographs of 393 people of LFW view 1, aligned by MTCNN's landmarks; quantiles, and the
# command that makes them, are in gallery/centres.json. The least of faces is of 308 further ones too.
#                                                dlib                        SFace
# the same picture, JPEG 60 or half the size     95 % 0.19, 99 % 0.22        95 % 0.32, 99 % 0.39
# different pictures of a person                 1 % 0.26                    1 % 0.47
# nearest own reference, of three or more        99 % 0.55, farthest 0.61    99 % 0.98, farthest 1.14
# medians between two people                     least 0.52, 1 % 0.64        least 1.10, 1 % 1.21
# faces from the centre of no faces              least 0.494, 1 % 0.53       least 0.950, 1 % 1.01
# no faces from it                               95 % 0.442, 99 % 0.475      95 % 0.901, 99 % 0.954
# margin and other: no reference of 213 (people with three or more) is nearer to somebody else by so much; 0.6
# is the distance that dlib's author verifies by, 1.05 SFace's threshold of naming.
# look_alikes: the threshold of naming (daemon/config.py).
DLIB = Limits(
    duplicate=0.20, outlier=0.60, margin=0.05, other=0.60, same_person=0.50, look_alikes=0.52, no_face=0.49
)
SFACE = Limits(
    duplicate=0.38, outlier=1.10, margin=0.05, other=1.05, same_person=1.00, look_alikes=1.05, no_face=0.94
)

_BY_ENCODER = {"dlib": DLIB, "sface": SFACE}


def limits_for(model: str) -> Limits | None:
    """Those of the encoder that made a model's encodings; None: nobody measured them."""
    return _BY_ENCODER.get(model.partition("-")[0])
