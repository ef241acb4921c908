"""What ``xraynet evaluate`` puts around its figures: the command line, facts of films and model, pictures of examples."""

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xraynet.errors import CatalogueError, FilmError
from xraynet.evaluation.examples import Examples
from xraynet.ingest.catalogue import Catalogue, FilmEntry, read_entry
from xraynet.reporting.evaluation_filing import ExamplePicture, Fact, ShownExamples
from xraynet.reporting.example_picture import picture_example

if TYPE_CHECKING:
    from xraynet.checkpoint import Checkpoint

NO_LOCATIONS = "The catalogue does not say where its films lie (it has no locations.parquet), so there are no pictures of them."
NOT_ASKED = "No examples were asked for (--examples 0)."


def describe_command(arguments: Sequence[str]) -> str:
    """The command line that was given (``sys.argv``), as a shell would take it again; empty where it was another's.

    >>> describe_command(["/usr/bin/xraynet", "evaluate", "--out", "my figures"])
    "xraynet evaluate --out 'my figures'"
    """
    return shlex.join(["xraynet", *arguments[1:]]) if arguments[1:2] == ["evaluate"] else ""


def describe_films(catalogue: Catalogue, entries: Sequence[FilmEntry], *, split: str) -> tuple[Fact, ...]:
    """Where the films and their labels come from, and what never became a film."""
    facts = catalogue.facts
    patients = {entry.patient_key for entry in entries if entry.patient_key is not None}
    unknown = sum(entry.patient_key is None for entry in entries)
    readers = {reader for entry in entries for reader in entry.readers}
    labels = [f"{name} ({form}, SHA-256 {sha256[:16] or 'unknown'})" for name, form, sha256 in facts.labels]
    told: list[Fact] = [
        (
            "Catalogue",
            f"{catalogue.path.resolve().name}, {len(catalogue.films)} films, made by xraynet {facts.xraynet_version}",
        ),
        ("Catalogue fingerprint", catalogue.fingerprint),
        ("Films evaluated", f"{len(entries)} ({'every film' if split == 'all' else f'split {split}'})"),
        ("Patients", f"{len(patients)}" + (f", and {unknown} films of unknown patients" if unknown else "")),
        ("Labels", "; ".join(labels) or "none"),
        ("Readers named", f"{len(readers)}" if readers else "none"),
        ("Division", _describe_division(catalogue)),
        ("Files at ingest", _describe_ingest(catalogue)),
    ]
    return tuple(told)


def _describe_division(catalogue: Catalogue) -> str:
    facts = catalogue.facts
    if facts.num_folds:
        return f"by patient, into {facts.num_folds} folds (seed {facts.seed})"
    if facts.fractions is None:
        return "not stated"
    shares = ", ".join(f"{100 * share:g} %" for share in facts.fractions)
    return f"by patient, into train, validation and test: {shares} (seed {facts.seed})"


def _describe_ingest(catalogue: Catalogue) -> str:
    try:
        counts = json.loads((catalogue.path / "report.json").read_text(encoding="utf-8"))["outcomes"]
        ok, refused, failed = (int(counts[status]) for status in ("ok", "refused", "failed"))
    except (OSError, ValueError, KeyError, TypeError):
        return "not known: the catalogue has no report.json"
    return f"{ok} became films, {refused} were refused, {failed} failed (report.json of the catalogue says which and why)"


def describe_model(checkpoint: "Checkpoint", *, catalogue_fingerprint: str) -> tuple[Fact, ...]:
    """What a checkpoint says of itself: identity, operating point, calibration, and what it learnt from."""
    settings, provenance, identity = checkpoint.settings, checkpoint.provenance, checkpoint.identity
    point, calibration = settings.operating_point, settings.calibration
    same = ", the catalogue of this evaluation" if provenance.catalogue_fingerprint == catalogue_fingerprint else ""
    learnt = f"{provenance.catalogue_fingerprint}{same}" if provenance.catalogue_fingerprint else "not stated"
    chosen = f"{point.threshold:.4f}: {point.target}" + (f", on {point.calibrated_on}" if point.calibrated_on else "")
    return (
        ("Name and version", f"{identity.name} {identity.version}"),
        ("Fingerprint", identity.fingerprint),
        ("Classes", ", ".join(settings.target_classes)),
        ("Its operating point", chosen),
        ("Calibration", f"slope {calibration.slope:.3f}, intercept {calibration.intercept:.3f}, on the network's log odds"),
        ("Lung fields", settings.lungs_fingerprint or "any"),
        ("Learnt from", provenance.film_sources or "not stated"),
        ("Training catalogue", learnt),
        ("Preset and code", f"{provenance.preset or 'not stated'}, revision {provenance.git_revision or 'not stated'}"),
        ("Terms of its data", provenance.terms or "not stated"),
        ("Libraries", ", ".join(f"{name} {number}" for name, number in sorted(provenance.versions.items())) or "not stated"),
    )


def picture_examples(chosen: Examples, entries: Sequence[FilmEntry], *, located: bool, num: int) -> ShownExamples:
    """The chosen examples with pictures, their films read again one at a time.

    ``located``: whether the entries' paths lead to films.
    """
    if num == 0 or not located:
        nothing = Examples((), (), chosen.num_misses, chosen.num_films_with_false_alarm, chosen.threshold)
        return ShownExamples(nothing, why_none=NOT_ASKED if num == 0 else NO_LOCATIONS)
    by_key = {entry.key: entry for entry in entries}
    pictures = []
    for example in chosen.every:
        try:
            film = read_entry(by_key[example.film.key])
            pictures.append(picture_example(film, example, threshold=chosen.threshold))
        except FilmError as error:
            pictures.append(ExamplePicture(why_not=f"the film could not be read ({error.code})"))
        except CatalogueError:
            pictures.append(ExamplePicture(why_not="the film has changed since it was catalogued"))
    return ShownExamples(chosen, tuple(pictures))
