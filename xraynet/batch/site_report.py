"""The files of a run with simulated nodules: simulate.json, simulate.csv, annotations, outcomes, and a page for people."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from xraynet.batch.simulate_site import SiteRun
from xraynet.batch.site_options import MATCH_RULE
from xraynet.batch.site_results import SiteResult, annotations_coco, annotations_csv
from xraynet.evaluation.rules import parse_rule
from xraynet.files import write_text_atomically
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.html import content_policy, data_uri, read_part, render_template

REPORT_NAME: Final = "simulate.html"

_TRAITS: Final = {
    "diameter": ("By diameter", "The longer side of the nodule's box in the plane in which the film states its pixel spacing."),
    "contrast-to-noise": (
        "By contrast",
        "Contrast-to-noise: mean inside minus mean of the ring from 1 to 1.5 diameters, over the ring's standard deviation.",
    ),
    "place": ("By place", "Clear lung, or lung hidden by heart, mediastinum or diaphragm."),
    "kind": ("By kind", "What was drawn."),
}


def write_site_run(out: Path, run: SiteRun) -> None:
    """Write everything a run has to say into ``out``."""
    result = run.result
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out / "simulate.csv", result.to_csv())
    write_text_atomically(out / "annotations.csv", annotations_csv(result))
    write_text_atomically(out / "annotations.json", annotations_coco(result))
    lines = [json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in result.outcomes]
    write_text_atomically(out / "outcomes.jsonl", "".join(lines))
    write_text_atomically(out / REPORT_NAME, render_site_run(run))
    write_text_atomically(out / "simulate.json", result.to_json())


def render_site_run(run: SiteRun) -> str:
    """The page, as HTML. It fetches nothing and runs no script; whatever names it shows are escaped."""
    style = read_part("evaluation.css")
    return render_template(
        "simulation.html.j2",
        {
            "result": run.result,
            "tables": [(trait, *_TRAITS[trait], rows) for trait, rows in run.result.tables().items() if rows],
            "missed": [(item.record, data_uri(item.picture, "image/png")) for item in run.missed],
            "not_analysed": [outcome for outcome in run.result.outcomes if outcome.status != "ok"],
            "notes": _notes(run.result),
            "rule": parse_rule(MATCH_RULE).describe(),
            "disclaimer": DISCLAIMER,
            "style": style,
            "policy": content_policy(style=style, script=None),
        },
    ).lstrip()


def _notes(result: SiteResult) -> list[str]:
    notes = list(result.warnings)
    before = sum(nodule.found_before for nodule in result.nodules)
    if before:
        notes.append(
            f"{before} of the {len(result.nodules)} drawn nodules lie where the detector reported something on the untouched"
            " film already; they count as found."
        )
    if any(film.spacing_mm is None for film in result.films):
        notes.append("Films without pixel spacing: their nodules follow the size of the lung fields, without millimetres.")
    unplaced = sum(film.num_nodules == 0 for film in result.films)
    if unplaced:
        notes.append(f"No room for a nodule was found in {unplaced} films.")
    if result.nodules and len(result.nodules) > len(result.films):
        notes.append("Several nodules lie on one film: the intervals take them for independent, and are a little too narrow.")
    return notes
