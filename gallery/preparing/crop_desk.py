"""Decides which crops are written under which names, writes them, and notes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gallery.errors import ImageRefused
from gallery.images import Format, LoadedImage
from gallery.preparing import crop_files
from gallery.preparing.cutting import Cut, cut_faces, cut_middle
from gallery.preparing.journal import Journal
from gallery.preparing.options import CropOptions
from gallery.preparing.reading import Opened, Seen
from gallery.preparing.rows import Row
from gallery.preparing.tree import Source

Rows = tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """What is cropped, and where to."""

    tree: Path
    """The folder of images."""
    crops: Path
    """The folder of crops."""
    reserved: tuple[Path, ...] = ()
    """Files that are not crops, although they may lie among them."""
    force: bool = False
    """Write over files that are not ours."""


class CropDesk:
    """Decides what is to be written, writes it, and notes it."""

    def __init__(
        self, sources: Sequence[Source], places: Places, options: CropOptions, journal: Journal
    ) -> None:
        self._sources = sources
        self._places = places
        self._options = options
        self._journal = journal
        self._names = {source.name for source in sources}
        self._reserved = {os.path.realpath(path) for path in places.reserved}
        self._holders = {row.crop: name for name, done in journal.done.items() for row in done.rows}
        """Whose each crop is, by its name."""
        self._undone: dict[str, Rows] = {}
        """Where a crop's place is taken: told, but not noted as done."""

    def is_to_do(self, source: Source) -> bool:
        """Not done; or without a crop, and the image is another now; or its crop is gone."""
        done = self._journal.done.get(source.name)
        if done is None:
            return True
        crops = [row.crop for row in done.rows if row.crop is not None]
        if not crops:
            return not done.is_of(source)
        return not all((self._places.crops / crop).exists() for crop in crops)

    def is_free(self, crop: str, source: Source) -> bool:
        """Whether a crop of this name may be written for this image."""
        place = self._places.crops / crop
        if self._holders.get(crop, source.name) != source.name:
            # The second face of an image, from before there was one of that name.
            return False
        if os.path.realpath(place) in self._reserved or place.is_dir():
            return False
        return self._places.force or crop in self._journal.owned or not os.path.lexists(place)

    def is_missed(self, source: Source) -> bool:
        """Whether it was looked for a face in vain, and there is no crop instead."""
        done = self._journal.done.get(source.name)
        return done is not None and done.rows[0].reason == "no_face"

    def taken(self, source: Source) -> Rows:
        """Of an image whose crop's place is taken, so that it is not even opened."""
        self._undone[source.name] = (Row(source.name, None, "exists"),)
        return self._undone[source.name]

    def save_seen(self, batch: Sequence[Seen]) -> list[Rows]:
        """Writes the crops of these images, and returns their rows."""
        return self._save([(each.source, each.image, self._cuts(each)) for each in batch])

    def save_middles(self, batch: Sequence[Opened], size_px: tuple[float, float]) -> list[Rows]:
        """Writes the middles of images without a face."""
        return self._save(
            [
                (each.source, each.image, [cut_middle(each.image.bgr, size_px, self._options)])
                for each in batch
                if isinstance(each.image, LoadedImage)
            ]
        )

    def rows(self) -> Rows:
        """The manifest, in the order of the images."""
        return tuple(row for source in self._sources for row in self._rows_of(source))

    def changed(self) -> tuple[str, ...]:
        """Images that are not what their crops were cut from."""
        done = self._journal.done
        return tuple(
            source.name
            for source in self._sources
            if source.name not in self._undone and not done[source.name].is_of(source)
        )

    def left_over(self) -> tuple[str, ...]:
        """Crops that we wrote and that no row tells of."""
        told = {row.crop for row in self.rows()}
        owned = self._journal.owned
        return tuple(name for name in owned if name not in told and (self._places.crops / name).exists())

    def _rows_of(self, source: Source) -> Rows:
        if source.name in self._undone:
            return self._undone[source.name]
        return self._journal.done[source.name].rows

    def _cuts(self, seen: Seen) -> list[Cut]:
        if isinstance(seen.image, ImageRefused):
            return []
        cuts = cut_faces(seen.image.bgr, seen.faces, self._options)
        fallback = self._options.fallback
        if not cuts and fallback.kind == "center" and fallback.size is not None:
            size_px = (fallback.size.width_px, fallback.size.height_px)
            return [cut_middle(seen.image.bgr, size_px, self._options)]
        return cuts

    def _save(
        self, planned: Sequence[tuple[Source, LoadedImage | ImageRefused, Sequence[Cut]]]
    ) -> list[Rows]:
        pieces = [self._named(*each) for each in planned]
        self._journal.begin(row.crop for some in pieces for row, _ in some if row.crop is not None)
        told = []
        for (source, image, _), some in zip(planned, pieces, strict=True):
            for row, cut in some:
                if row.crop is not None and cut is not None and isinstance(image, LoadedImage):
                    self._write(row.crop, cut, image.format)
            rows = tuple(row for row, _ in some)
            if any(row.reason == "exists" for row in rows):
                self._undone[source.name] = rows
            else:
                self._journal.finish(source, rows)
                self._holders |= dict.fromkeys((row.crop for row in rows), source.name)
            told.append(rows)
        return told

    def _named(
        self, source: Source, image: LoadedImage | ImageRefused, cuts: Sequence[Cut]
    ) -> list[tuple[Row, Cut | None]]:
        if isinstance(image, ImageRefused):
            return [(Row(source.name, None, image.reason), None)]
        if not cuts:
            return [(Row(source.name, None, "no_face"), None)]
        names = crop_files.names(source.name, self._names)
        return [self._row(source, name, cut) for name, cut in zip(names, cuts, strict=False)]

    def _row(self, source: Source, name: str, cut: Cut) -> tuple[Row, Cut | None]:
        if not self.is_free(name, source):
            return Row(source.name, None, "exists", cut.face), None
        return Row(source.name, name, cut.reason, cut.face, cut.pixels), cut

    def _write(self, name: str, cut: Cut, kind: Format) -> None:
        part = self._journal.folder / "part"
        crop_files.write(self._places.crops / name, crop_files.encoded(cut.bgr, kind), part)
