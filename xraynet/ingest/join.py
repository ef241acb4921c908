"""Joins films with their labels, and tells of every label that finds no film and every film that finds no label."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from xraynet.ingest.catalogue_rows import CataloguedFilm
from xraynet.ingest.check import check_labels
from xraynet.ingest.inspect_films import FilmRecord, InspectedFilm
from xraynet.ingest.labels.records import FilmLabels, IdentityKind, LabelIssue, LabelTable, merge_film_labels
from xraynet.ingest.match import FilmIndex, count_shared_folders, film_stem, folder_in_table


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
    readable = _Finder((film, film.record.key) for film in kept if film.record is not None)
    unreadable = _Finder((film, film.outcome.path) for film in kept if film.record is None)
    claims: dict[str, list[str]] = {}
    for name, said in table.films.items():
        keys = readable.find(said)
        if len(keys) == 1:
            claims.setdefault(next(iter(keys)), []).append(name)
        else:
            issues.append(_issue_of_unmatched(said, sorted(keys), is_unreadable=bool(unreadable.find(said))))
    paths = {film.record.key: film.file.path for film in kept if film.record is not None}
    labels: dict[str, FilmLabels] = {}
    for key, names in claims.items():
        for name in _keep_nearest(names, paths[key], table, key, issues):
            said = table.films[name]
            labels[key] = _merge(labels[key], said, key, issues) if key in labels else said
    return labels


class _Finder:
    """Finds the films that labels mean: by what the film itself is known by where they say it, else by its name."""

    def __init__(self, films: Iterable[tuple[InspectedFilm, str]]) -> None:
        kept = list(films)
        self._by_name = FilmIndex((film.file.relative, key) for film, key in kept)
        self._by_identity: dict[tuple[IdentityKind, str], set[str]] = {}
        for film, key in kept:
            for identity in film.identities:
                self._by_identity.setdefault(identity, set()).add(key)

    def find(self, said: FilmLabels) -> frozenset[str]:
        """The films that the labels may mean: none, one, or several."""
        if said.identity is not None:
            return frozenset(self._by_identity.get(said.identity, ()))
        # Any table may call a film by its SOP Instance UID, which says more than what its file is called.
        known = self._by_identity.get(("sop-instance-uid", said.film.strip()))
        return frozenset(known) if known else self._by_name.find(said.film)


def _keep_nearest(names: list[str], path: Path, table: LabelTable, key: str, issues: list[LabelIssue]) -> list[str]:
    """Of several names for one film, those whose folder fits it best: "a/1.png" and "b/1.png" are two films.

    The others are reported; where no folder fits better than the others, all that name one are.
    """
    folders = {folder for folder in map(folder_in_table, names) if folder}
    if len(folders) < 2:
        return names
    fits = {folder: count_shared_folders(folder, path) for folder in folders}
    best = [folder for folder in folders if fits[folder] == max(fits.values())]
    nearest = {"", best[0]} if len(best) == 1 else {""}
    for name in names:
        if folder_in_table(name) not in nearest:
            said = table.films[name]
            message = "the name fits this film but for its folder, and so do others of the table; labels not used"
            issues.append(LabelIssue("film-ambiguous", said.places, message, key))
    return [name for name in names if folder_in_table(name) in nearest]


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
