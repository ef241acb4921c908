"""The files of a run with simulated nodules: simulate.json, simulate.csv, annotations, outcomes, and a page for people."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from xraynet.batch.simulate_site import SiteRun
from xraynet.batch.site_results import SiteResult, annotations_coco, annotations_csv
from xraynet.files import write_text_atomically
from xraynet.reporting.html import content_policy, data_uri, read_printed_style, render_template
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english
from xraynet.reporting.words import Told, describe_outcome, retell

REPORT_NAME: Final = "simulate.html"


def write_site_run(out: Path, run: SiteRun, *, language: Language | None = None) -> None:
    """Write everything a run has to say into ``out``; ``language``: of the page (by default English)."""
    result = run.result
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out / "simulate.csv", result.to_csv())
    write_text_atomically(out / "annotations.csv", annotations_csv(result))
    write_text_atomically(out / "annotations.json", annotations_coco(result))
    lines = [json.dumps(asdict(outcome), ensure_ascii=False) + "\n" for outcome in result.outcomes]
    write_text_atomically(out / "outcomes.jsonl", "".join(lines))
    write_text_atomically(out / REPORT_NAME, render_site_run(run, language=language))
    write_text_atomically(out / "simulate.json", result.to_json())


def render_site_run(run: SiteRun, *, language: Language | None = None) -> str:
    """The page, as HTML. It fetches nothing and runs no script; whatever names it shows are escaped."""
    spoken = language or english()
    style = read_printed_style("evaluation.css", spoken)
    outcomes = [outcome for outcome in run.result.outcomes if outcome.status != "ok"]
    return render_template(
        "simulation.html.j2",
        {
            "result": run.result,
            "tables": [(trait, rows) for trait, rows in run.result.tables().items() if rows],
            "missed": [(item.record, data_uri(item.picture, "image/png")) for item in run.missed],
            "not_analysed": [(outcome, describe_outcome(outcome.code, language=spoken)) for outcome in outcomes],
            "notes": [
                *retell(run.result.warnings, language=spoken),
                *(Told(note, spoken.code) for note in _notes(run.result, spoken)),
            ],
            # A comma would be read as a decimal one.
            "separator": ";" if "," in spoken.number(0.5, 1) else ",",
            "disclaimer": spoken.say("notice.disclaimer"),
            "style": style,
            "policy": content_policy(style=style, script=None),
        },
        language=spoken,
    ).lstrip()


def _notes(result: SiteResult, language: Language) -> list[str]:
    notes = []
    before = sum(nodule.found_before for nodule in result.nodules)
    if before:
        notes.append(language.say("simulate.note_before", count=before, total=len(result.nodules)))
    if any(film.spacing_mm is None for film in result.films):
        notes.append(language.say("simulate.note_no_spacing"))
    unplaced = sum(film.num_nodules == 0 for film in result.films)
    if unplaced:
        notes.append(language.say("simulate.note_unplaced", count=unplaced))
    if result.nodules and len(result.nodules) > len(result.films):
        notes.append(language.say("simulate.note_several"))
    return notes
