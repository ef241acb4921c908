"""Builds a catalogue: decodes every film, joins it with its labels, hashes its patient, divides, writes, and reports."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from xraynet import __version__
from xraynet.errors import CatalogueError
from xraynet.files import sha256_of_file
from xraynet.ingest.catalogue import Catalogue, CatalogueFacts, refuse_used_folder, write_catalogue
from xraynet.ingest.catalogue_rows import CataloguedFilm, frame_of_annotations, frame_of_films, frame_of_locations
from xraynet.ingest.discover import FoundFile, find_films
from xraynet.ingest.inspect_films import InspectedFilm, ReadFilm, inspect_films
from xraynet.ingest.join import join_labels
from xraynet.ingest.labels.formats import LabelFormat, read_all_labels
from xraynet.ingest.labels.records import LabelTable
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS
from xraynet.ingest.limits import DecodeLimits
from xraynet.ingest.read import read_radiograph
from xraynet.ingest.report import IngestReport, render_report_csv, render_report_json
from xraynet.ingest.salt import patient_key, read_or_make_salt, reader_key, salt_fingerprint
from xraynet.ingest.split import SplitConfig, assign_folds, assign_splits, group_films, keep_splits
from xraynet.ingest.visit_keys import keys_of_film
from xraynet.radiograph import PixelSpacing


@dataclass(frozen=True)
class IngestConfig:
    """What an ingest is told. ``spacing_mm`` (row, column) is for rasters that state none; ``num_workers`` 0: no processes.

    ``split_like``: an earlier catalogue whose patients and films keep their split; only the others are divided.
    """

    labels: tuple[Path, ...] = ()
    formats: tuple[LabelFormat, ...] = ()
    target_classes: tuple[str, ...] = DEFAULT_TARGETS
    spacing_mm: tuple[float, float] | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    split_like: Catalogue | None = None
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.spacing_mm is not None:
            PixelSpacing(*self.spacing_mm)  # raises ValueError for what is no spacing
        if self.split_like is not None and (self.split.num_folds or self.split_like.facts.num_folds):
            raise ValueError("an earlier catalogue's division is kept for splits, not for folds")


def build_catalogue(
    sources: Sequence[Path],
    *,
    out: Path,
    salt_file: Path,
    config: IngestConfig,
    read_film: ReadFilm | None = None,
    on_film: Callable[[int, int], None] | None = None,
) -> tuple[Catalogue, IngestReport]:
    """Ingest folders and files into a new catalogue at ``out``.

    ``read_film`` takes the place of ``read_radiograph``; ``on_film(done, total)`` is told of progress. Raises
    CatalogueError where ``out`` is used, the salt is unfit, or no film could be read; LabelError where a table cannot be
    understood. What is wrong with single films and labels is in the report.
    """
    refuse_used_folder(out)
    _refuse_salt_inside(salt_file, out)
    table = read_all_labels(
        config.labels,
        formats=config.formats,
        name_reader=lambda name: reader_key(name, salt=read_or_make_salt(salt_file)),
    )
    files = _find(sources, out)
    salt = read_or_make_salt(salt_file)
    _refuse_other_salt(config.split_like, salt)
    reader = read_film or partial(read_radiograph, limits=config.limits, spacing_mm=config.spacing_mm)
    inspected = list(_inspect(files, reader, config.num_workers, on_film))
    films, report = _join(inspected, table if config.labels else None)
    if not films:
        raise CatalogueError(
            f"none of {len(files)} files could be read as a film; {_first_reasons(inspected)}; "
            "at least one DICOM, PNG, JPEG, MetaImage or JSRT .IMG film was expected"
        )
    keys = {film.key: [patient_key(one, issuer=issuer, salt=salt) for issuer, one in film.patients] for film in films}
    divided = _divide(films, keys, config)
    visits = {
        film.key: keys_of_film(next(iter(film.patients), None), film.record.study_uid, film.record.study_date, salt=salt)
        for film in films
    }
    films_frame = frame_of_films(films, patients=keys, visits=visits, divided=divided, targets=config.target_classes)
    catalogue = write_catalogue(
        out,
        films=films_frame,
        annotations=frame_of_annotations(films),
        locations=frame_of_locations(films),
        facts=_facts(config, salt),
        texts={"report.json": render_report_json(report), "report.csv": render_report_csv(report)},
    )
    return catalogue, report


def _refuse_salt_inside(salt_file: Path, out: Path) -> None:
    if salt_file.resolve().is_relative_to(out.resolve()):
        raise CatalogueError(f"the salt file {salt_file} lies inside the catalogue {out}; who holds both can undo the keys")


def _refuse_other_salt(earlier: Catalogue | None, salt: bytes) -> None:
    if earlier is not None and earlier.facts.salt_fingerprint != salt_fingerprint(salt):
        raise CatalogueError(
            f"{earlier.path} was made with salt {earlier.facts.salt_fingerprint}, this one would be with "
            f"{salt_fingerprint(salt)}: its patients cannot be recognised; give --salt-file the same salt"
        )


def _find(sources: Sequence[Path], out: Path) -> list[FoundFile]:
    files = list(find_films(sources, exclude=(out,)))
    if not files:
        raise CatalogueError(f"there is no file to read under {', '.join(str(source) for source in sources)}")
    return files


def _inspect(
    files: Sequence[FoundFile], reader: ReadFilm, num_workers: int, on_film: Callable[[int, int], None] | None
) -> Iterator[InspectedFilm]:
    for done, film in enumerate(inspect_films(files, read_film=reader, num_workers=num_workers), start=1):
        if on_film is not None:
            on_film(done, len(files))
        yield film


def _join(inspected: Sequence[InspectedFilm], table: LabelTable | None) -> tuple[list[CataloguedFilm], IngestReport]:
    films, issues = join_labels(inspected, table)
    same_pixels: dict[str, list[str]] = {}
    for film in inspected:
        if film.record is not None:
            same_pixels.setdefault(film.record.pixel_hash, []).append(film.outcome.path)
    report = IngestReport(
        outcomes=tuple(film.outcome for film in inspected),
        issues=tuple(issues),
        duplicates=tuple(tuple(paths) for paths in same_pixels.values() if len(paths) > 1),
    )
    return films, report


def _first_reasons(inspected: Sequence[InspectedFilm]) -> str:
    return "; ".join(f"{film.outcome.path}: {film.outcome.reason}" for film in inspected[:3])


def _divide(
    films: Sequence[CataloguedFilm], patients: dict[str, list[str]], config: IngestConfig
) -> dict[str, tuple[str | None, int | None]]:
    """(split, fold) of each film by key; the order of files plays no part."""
    ordered = sorted(films, key=lambda film: film.key)
    groups = group_films([patients[film.key] for film in ordered], pixel_hashes=[film.record.pixel_hash for film in ordered])
    strata = [f"{film.label_state(config.target_classes)} {film.view_position}" for film in ordered]
    split = config.split
    if split.num_folds:
        try:
            folds = assign_folds(groups, strata=strata, num_folds=split.num_folds, seed=split.seed)
        except ValueError as error:
            raise CatalogueError(str(error)) from error
        return {film.key: (None, int(fold)) for film, fold in zip(ordered, folds, strict=True)}
    if config.split_like is None:
        names = assign_splits(groups, strata=strata, fractions=split.fractions, seed=split.seed)
    else:
        known = _known_splits(config.split_like, ordered, patients)
        try:
            names = keep_splits(groups, known=known, strata=strata, config=split)
        except ValueError as error:
            raise CatalogueError(f"{config.split_like.path}: its division cannot be kept: {error}") from error
    return {film.key: (name, None) for film, name in zip(ordered, names, strict=True)}


def _known_splits(earlier: Catalogue, films: Sequence[CataloguedFilm], patients: dict[str, list[str]]) -> list[str | None]:
    """The split of each film in an earlier catalogue, by its pixels or its patient; None for a new one."""
    of_mark: dict[str, str] = {}
    for column in ("pixel_hash", "patient_key"):
        rows = earlier.films[[column, "split"]].dropna()
        of_mark.update(zip(rows[column], rows["split"], strict=True))
    found = [{of_mark[mark] for mark in (film.record.pixel_hash, *patients[film.key]) if mark in of_mark} for film in films]
    if any(len(splits) > 1 for splits in found):
        raise CatalogueError(f"{earlier.path}: its division cannot be kept: a film belongs to two of its splits")
    return [next(iter(splits), None) for splits in found]


def _facts(config: IngestConfig, salt: bytes) -> CatalogueFacts:
    formats = config.formats if len(config.formats) != 1 else config.formats * len(config.labels)
    return CatalogueFacts(
        salt_fingerprint=salt_fingerprint(salt),
        target_classes=config.target_classes,
        seed=config.split.seed,
        fractions=None if config.split.num_folds else config.split.fractions,
        num_folds=config.split.num_folds,
        split_like="" if config.split_like is None else config.split_like.fingerprint,
        labels=tuple(
            (path.name, str(form), sha256_of_file(path) if path.is_file() else "")
            for path, form in zip(config.labels, formats, strict=True)
        ),
        xraynet_version=__version__,
    )
