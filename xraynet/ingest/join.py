"""Joins films with their labels, and tells of every label that finds no film and every film that finds no label."""

from collections.abc import Iterable, Sequence

from xraynet.ingest.catalogue_rows import CataloguedFilm
from xraynet.ingest.check import check_labels
from xraynet.ingest.inspect_films import FilmRecord, InspectedFilm
from xraynet.ingest.labels.records import FilmLabels, LabelIssue, LabelTable, merge_film_labels
from xraynet.ingest.match import FilmIndex, film_stem


def join_labels(inspected: Sequence[InspectedFilm], table: LabelTable | None) -> tuple[list[CataloguedFilm], list[LabelIssue]]:
    """Every readable film once (identical files are one film), with its checked labels; and all issues.

    ``table`` None: no labels were given, so every film is unknown and there is nothing to report.
    """
    records: dict[str, FilmRecord] = {}
    files: dict[str, list[InspectedFilm]] = {}
    for film in inspected:
        if film.record is not None:
            records.setdefault(film.record.key, film.record)
            files.setdefault(film.record.key, []).append(film)
    issues: list[LabelIssue] = list(table.issues) if table else []
    labels = _labels_by_key(inspected, table, issues) if table else {}
    films = []
    for key, record in records.items():
        found = labels.get(key)
        if found is None and table is not None:
            found = _labels_of_unlisted(files[key], table)
            if found is None:
                message = f"{files[key][0].outcome.path}: no table names this film; it is unknown"
                issues.append(LabelIssue("film-without-label", (), message, key))
        checked = check_labels(found or FilmLabels(film=""), size=record.size, key=key)
        issues += checked.issues
        films.append(CataloguedFilm(record, checked.labels, tuple(film.file for film in files[key])))
    return films, issues


def _labels_by_key(inspected: Iterable[InspectedFilm], table: LabelTable, issues: list[LabelIssue]) -> dict[str, FilmLabels]:
    kept = list(inspected)
    readable = FilmIndex((film.file.relative, film.record.key) for film in kept if film.record is not None)
    unreadable = FilmIndex((film.file.relative, film.outcome.path) for film in kept if film.record is None)
    labels: dict[str, FilmLabels] = {}
    for name, said in table.films.items():
        keys = readable.find(name)
        if len(keys) == 1:
            key = next(iter(keys))
            labels[key] = _merge(labels[key], said, key, issues) if key in labels else said
        else:
            issues.append(_issue_of_unmatched(said, sorted(keys), is_unreadable=bool(unreadable.find(name))))
    return labels


def _merge(first: FilmLabels, second: FilmLabels, key: str, issues: list[LabelIssue]) -> FilmLabels:
    # Two names in the tables for one film: fine where they agree on whom it shows.
    if None not in (first.patient, second.patient) and first.patient != second.patient:
        message = "the tables give this film two patients; all films of both stay in one split"
        issues.append(LabelIssue("contradiction", first.places[:1] + second.places[:1], message, key))
    return merge_film_labels(first, second)


def _issue_of_unmatched(said: FilmLabels, keys: list[str], *, is_unreadable: bool) -> LabelIssue:
    boxes = f"{len(said.boxes)} boxes" if said.boxes else "no box"
    if keys:
        return LabelIssue(
            "film-ambiguous", said.places, f"{boxes}: the name means {len(keys)} films ({', '.join(keys[:3])}, ...)"
        )
    if is_unreadable:
        return LabelIssue("film-not-read", said.places, f"{boxes}: the film was refused or failed (see outcomes)")
    return LabelIssue("film-not-there", said.places, f"{boxes}: no such film in the source")


def _labels_of_unlisted(files: Sequence[InspectedFilm], table: LabelTable) -> FilmLabels | None:
    for file in files:
        for rule in table.unlisted:
            found = rule.labels_for(film_stem(file.file.relative))
            if found is not None:
                return found
    return None
