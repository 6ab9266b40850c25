"""Why a gallery or an image could not do what was asked: one line each that says what would be right."""

from __future__ import annotations

from typing import Literal


class GalleryError(ValueError):
    """The gallery, or what was asked of it, is not as it must be; the text is one line for a person."""


class GalleryMissing(GalleryError):
    """There is no gallery at that path."""


class GalleryDamaged(GalleryError):
    """The file is a gallery, or was one, and can't be trusted."""


class GalleryRefused(GalleryError):
    """The file is another program's, or a newer visaged's, or others may read it."""


class KeyRefused(GalleryError):
    """The database and the key of [gallery] key_file don't go together; nothing was touched."""


class GalleryBusy(GalleryError):
    """Another program held the gallery for longer than we wait."""


class ModelMismatch(GalleryError):
    """Encodings of two models would have been compared."""


class ArchiveRefused(GalleryError):
    """An archive that can't be written, or whose content is not taken: damaged, another's, or ill-meant."""


class DuplicateImage(GalleryError):
    """The same image, byte for byte, is enrolled already."""

    def __init__(self, source_digest: str, owner: str) -> None:
        super().__init__(f"the same image is already a reference of {owner}")
        self.source_digest = source_digest
        """SHA-256 of the image's bytes, in hexadecimal."""
        self.owner = owner
        """The name of the person it belongs to."""


class PersonUnknown(GalleryError):
    """Nobody of that name is in the gallery."""


class PersonExists(GalleryError):
    """Somebody else has that name."""


class TermsRefused(GalleryError):
    """What can't be noted as somebody's consent, date to expire or note; or consent that is missing."""


class NameRefused(GalleryError):
    """A text that can't be a person's name."""


ImageReason = Literal[
    "not_found",
    "not_a_file",
    "unreadable",
    "outside_tree",
    "empty",
    "too_large_file",
    "too_many_pixels",
    "not_an_image",
    "unsupported_format",
    "heic",
    "animated",
    "truncated",
]
"""Why an image could not be opened; docs/gallery.md says what helps."""


class ImageRefused(ValueError):
    """An image that can't be opened, or that we won't open."""

    def __init__(self, reason: ImageReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """A code for programs."""
        self.detail = detail
        """One line for a person, without the image's path."""
