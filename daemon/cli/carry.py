"""`visaged export`, `import`, `backup`, `restore`: a gallery is carried elsewhere, and kept safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
    print_table,
)
from daemon.cli.completion import known_people
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.carry_desk import Carry
    from daemon.config import Config
    from daemon.keeping import Places
    from gallery.archive_merging import Imported

ForceOption = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write.")]


def export(
    file: NewFile,
    with_crops: Annotated[
        bool, typer.Option("--with-crops", help="Also the pictures that are kept ([gallery] keep_crops).")
    ] = False,
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            metavar="NAME",
            help="One person's own copy, of all there is.",
            autocompletion=known_people,
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Writes everybody with their references into one archive, for `visaged import` elsewhere.

    With --person: a readable copy of all that is kept of one person, to be given to that person.

    Examples: visaged export gallery.zip · visaged export --person "Ann Lee" ann.zip
    """
    from gallery.archive_file import created

    settings = configured(config)
    if person is not None:
        from daemon.cli.answer import export_person

        if with_crops or force:
            raise UsageError("--person has all there is, and never writes over a file: leave the others out")
        export_person(settings, person, file, as_json=as_json)
        return
    with _desk(settings) as carry, created(file, force=force) as target:
        people = carry.export(target, with_crops=with_crops)
    if as_json:
        print_json({"file": str(file), "people": people, "bytes": file.stat().st_size})
    else:
        typer.echo(
            f"{file}: {people} people, {_megabytes(file)}; it holds faces: keep it as safe as the gallery"
        )


def import_(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="An archive of visaged export.")] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Who has the same name is the same person, whatever their id.")
    ] = False,
    face_recognition: Annotated[
        Path | None,
        typer.Option(
            "--from-face-recognition",
            metavar="DIR|PICKLE",
            help="Folders of pictures, or a pickle of names and encodings, which is never unpickled.",
        ),
    ] = None,
    frigate: Annotated[
        Path | None,
        typer.Option("--from-frigate", metavar="DIR", help="Frigate's clips/faces, a folder a person."),
    ] = None,
    largest: Annotated[
        bool, typer.Option("--largest", help="Of several faces in a picture take the largest.")
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Takes people in: from another visaged, from face_recognition, or from Frigate.

    What is here already is not doubled; what contradicts the gallery is left out and told. A damaged archive
    is refused whole. Exits 1 if something was left out.

    Examples: visaged import gallery.zip · visaged import --from-frigate /media/frigate/clips/faces
    """
    if sum(each is not None for each in (file, face_recognition, frigate)) != 1:
        raise UsageError("name one thing to import: FILE, --from-face-recognition or --from-frigate")
    settings = configured(config, device=device)
    if file is None:
        from daemon.cli.carry_foreign import import_foreign

        import_foreign(settings, face_recognition, frigate, largest=largest, as_json=as_json)
        return
    if largest:
        raise UsageError("--largest is for pictures; an archive holds none to choose from")
    with _opened(file) as source, _desk(settings, create=True) as carry:
        report = carry.take_in(source, by_name=merge)
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report)
    raise typer.Exit(1 if report.conflicts else 0)


def backup(
    file: NewFile, force: ForceOption = False, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Copies gallery and journal as they are at this moment into one archive, also of a running daemon.

    Keys are not in it; what is encrypted stays so, and needs the same key_file.

    Example: visaged backup /mnt/backup/visaged-$(date +%F).zip
    """
    from gallery.archive_file import created

    with _desk(configured(config)) as carry, created(file, force=force) as target:
        report = carry.back_up(target)
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size, **asdict(report)})
        return
    journal = "no journal" if report.journal_head is None else f"events up to {report.journal_head}"
    typer.echo(f"{file}: {report.people} people, {journal}, {_megabytes(file)}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of visaged backup.")],
    force: Annotated[
        bool, typer.Option("--force", help="Put a gallery aside that has people in it, or can't be read.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Puts gallery and journal back as they were; no daemon may run.

    What was there stays beside it, named by the date. Events get numbers that nobody has seen yet.

    Example: visaged restore /mnt/backup/visaged-2026-03-01.zip --force
    """
    from daemon import keeping
    from daemon.control_client import is_running
    from daemon.starting import is_starting
    from daemon.user import user_name

    settings = configured(config)
    for socket in {settings.control_path, settings.reached_path}:
        if is_running(socket) or is_starting(socket):
            raise UsageError(f"a daemon runs ({socket}): stop it before restoring")
    with _opened(file) as source:
        report = keeping.restore(_places(settings), source, who=user_name(), force=force)
    if as_json:
        print_json(asdict(report))
        return
    made = datetime.fromtimestamp(report.made_unix_ns / 1e9).astimezone().isoformat(timespec="seconds")
    typer.echo(f"{report.gallery}: {report.people} people, as of {made}")
    if report.journal is not None:
        typer.echo(f"{report.journal}: the next event is {report.journal_next}")
    for kept in report.kept:
        typer.echo(f"kept {kept}: delete it when you need it no more; forget does not reach it")
    if report.forgotten_since:
        count = len(report.forgotten_since)
        typer.echo(
            f"{count} people are here again who were forgotten since: visaged trail tells who", err=True
        )


@contextmanager
def _desk(config: Config, *, create: bool = False) -> Iterator[Carry]:
    from daemon.carry_desk import carry_of
    from daemon.people_desk import open_desk

    with open_desk(config, create=create) as desk:
        yield carry_of(desk, _places(config))


def _places(config: Config) -> Places:
    from daemon.carry_desk import places_of
    from daemon.gallery_key import gallery_key

    return places_of(config.gallery_path, config.journal_path, config.state_dir, gallery_key(config))


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    from gallery.errors import ArchiveRefused

    try:
        source = file.open("rb")
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    with source:
        if not source.seekable():
            raise UsageError(
                f"{file} is a pipe; write the archive to a file first, for it is read from its end"
            )
        try:
            yield source
        except ArchiveRefused as error:
            raise UsageError(f"{file} is refused, and nothing was changed: {error}") from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UsageError(f"{file} can't be taken in: {where}{error.strerror or error}") from None


def _tell(report: Imported) -> None:
    if report.conflicts:
        print_table(
            ["person", "conflict", "what"],
            [(each.person.name, each.code, each.explanation) for each in report.conflicts],
        )
    typer.echo(
        f"{report.people_added} people are new, {report.people_merged} got more references; "
        f"{report.references_added} references are new, {report.references_present} were here already, "
        f"{len(report.conflicts)} conflicts"
    )


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(export)
    app.command(name="import")(import_)
    app.command()(backup)
    app.command()(restore)
