"""Looks at the two detectors of a comparison on the JSRT development films, once, beside each other, and writes that down.

    python tests/benchmarks/compare_on_jsrt.py --films jsrt_dev --comparison DIR --out OUT

DIR is what ``compare_with_faster_rcnn.py`` wrote: of either, the learning rate that it chose on its own validation films is
looked at; nothing here chooses. Ours is read as in ``look_at_jsrt.py``, and where its checkpoint reads each film mirrored as
well, once more without that; Faster R-CNN reads the same decoded films through our gate and our preparation. Each look is
appended to ``checkpoints/JSRT_LOOKS.jsonl`` as soon as it has been taken (the peer's under the SHA-256 of the file of its
weights). OUT keeps the readings, and in compared.json each figure of both and the 95 % interval of ours minus theirs, by a
bootstrap over patients that both share; the threshold of the figure among subtlety 3 to 5 is that of the films as they are.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import torch
from compare_with_faster_rcnn import Difference, Runs, list_differences, mark_with_peer, reading_once
from look_at_jsrt import (
    LOG,
    RATES,
    RULES,
    SUBTLE,
    Look,
    append_look,
    ingest_films,
    look,
    refuse_a_second_look,
    share_found_at,
    spacings_of_ways,
    summarise,
)
from peer_faster_rcnn import read_peer
from torchvision.models.detection import FasterRCNN

from xraynet.checkpoint import read_checkpoint, write_checkpoint
from xraynet.evaluation.evaluate import evaluate_films
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap, ChunkFigures
from xraynet.evaluation.joining import score_film
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.results import EvaluationSubject
from xraynet.evaluation.rules import parse_rule
from xraynet.evaluation.tallies import Tally
from xraynet.files import write_text_atomically
from xraynet.findings import NoduleDetections
from xraynet.ingest.catalogue import FilmEntry
from xraynet.ingest.read import read_radiograph
from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
from xraynet.preparation import PreparationConfig, prepare_film

FIGURES: Final = (
    *(f"sensitivity at {rate:g} false positives per film" for rate in RATES),
    f"sensitivity among subtlety {SUBTLE} to 5 at 2",
    "film AUC",
)
PEERS_NAME: Final = "torchvision Faster R-CNN"


def read_with_peer(
    peer: FasterRCNN, entry: FilmEntry, *, preparation: PreparationConfig, lungs: LungSegmenter, spacing: float | None
) -> ScoredFilm:
    """What the peer marks on a film, in stored pixels; a film that the gate holds back is not read, as with ours."""
    film = read_radiograph(entry.path, spacing_mm=None if spacing is None else (spacing, spacing))
    verdict, fields = lungs.judge(film)
    if not verdict.passed:
        nothing = NoduleDetections(boxes=np.zeros((0, 4), np.float32), scores=np.zeros(0, np.float32))
        return score_film(entry, nothing, analysed=False)
    return score_film(entry, mark_with_peer(peer, prepare_film(film, preparation, lung_box=fields.box)))


def keep_marks(films: Sequence[ScoredFilm], path: Path) -> None:
    """The marks of each film as JSON, by its key; null where the gate held the film back."""
    marks = {
        film.key: np.column_stack([film.detections.boxes, film.detections.scores]).tolist() if film.analysed else None
        for film in films
    }
    write_text_atomically(path, json.dumps(marks) + "\n")


def look_with_peer(peer: FasterRCNN, folder: Path, *, preparation: PreparationConfig, out: Path) -> dict[str, Look]:
    """The peer's side of ``look_at_jsrt.look``: no figure at an operating point, for it has none."""
    films, lungs = ingest_films(folder, out=out / "catalogue"), shipped_lungs()
    looks = {}
    for way, spacing in spacings_of_ways(films).items():
        read = tuple(
            read_with_peer(peer, entry, preparation=preparation, lungs=lungs, spacing=spacing)
            for entry in films.entries("test")
        )
        keep_marks(read, out / f"{way.replace(' ', '-')}.json")
        for rule in RULES:
            subject = EvaluationSubject(detector=PEERS_NAME, films=f"JSRT development films, {way}")
            result = evaluate_films(read, parse_rule(rule), subject=subject)
            looks[f"{way}, {rule}"] = Look(summarise(result, read), read)
    return looks


def compare_films(
    ours: Sequence[ScoredFilm], peers: Sequence[ScoredFilm], *, rule: str, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> list[Difference]:
    """Each figure of both, and the paired interval of ours minus theirs."""
    tables = [match_films(sorted(films, key=lambda film: film.key), parse_rule(rule)) for films in (ours, peers)]
    return list_differences(*tables, FIGURES, _figures, bootstrap=bootstrap)


def _figures(tally: Tally) -> ChunkFigures:
    table = tally.ladder.table
    clear = share_found_at(table, table.nodule_subtlety >= SUBTLE, rate=2.0, weights=tally.weights)
    return np.column_stack([tally.sensitivity_at(RATES), clear, tally.film_auc()])


def our_checkpoints(best: Path, *, out: Path) -> dict[str, Path]:
    """Ours as it is and, where it reads films mirrored as well, a copy that does not."""
    checkpoint = read_checkpoint(best)
    if checkpoint.settings.decoding.second_view is None:
        return {"ours": best}
    once = out / "once.safetensors"
    write_checkpoint(once, reading_once(checkpoint))
    return {"ours": best, "ours, reading each film once": once}


def main() -> None:
    """Look with both, write both down, keep the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, required=True, help="the folder with images/ and nodules.csv")
    parser.add_argument("--comparison", type=Path, required=True, help="what compare_with_faster_rcnn.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--log", type=Path, default=LOG, help="where the looks are written down")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    facts = json.loads((asked.comparison / "comparison.json").read_text(encoding="utf-8"))
    best = {name: Runs(**runs).best for name, runs in facts["runs"].items()}
    checkpoints = our_checkpoints(asked.comparison / f"ours-{best['ours']}" / "best.safetensors", out=asked.out)
    identities = {name: read_checkpoint(path).identity for name, path in checkpoints.items()}
    peers_path = asked.comparison / f"peer-{best['Faster R-CNN']}.pt"
    peers_sha256 = hashlib.sha256(peers_path.read_bytes()).hexdigest()
    for name, path in checkpoints.items():
        refuse_a_second_look(identities[name].fingerprint, path, log=asked.log)
    refuse_a_second_look(peers_sha256, peers_path, log=asked.log)

    why = f"beside Faster R-CNN, {facts['minutes']:g} minutes of training each, {facts['start']}"
    looks = {}
    for name, path in checkpoints.items():
        looks[name] = look(asked.films, path, out=asked.out / path.stem)
        _write_down(looks[name], identities[name].fingerprint, name=identities[name].name, why=f"{name}, {why}", log=asked.log)
    settings = read_checkpoint(checkpoints["ours"]).settings
    peer = read_peer(peers_path, backbone=None if facts["start"] == "from nothing" else settings.detector.backbone)
    peers = look_with_peer(peer, asked.films, preparation=settings.preparation, out=asked.out / "peer")
    _write_down(peers, peers_sha256, name=PEERS_NAME, why=why, log=asked.log)

    compared = {
        name: {
            title: [asdict(one) for one in compare_films(seen.films, peers[title].films, rule=title.split(", ")[1])]
            for title, seen in ours.items()
        }
        for name, ours in looks.items()
    }
    write_text_atomically(asked.out / "compared.json", json.dumps(compared, indent=1) + "\n")
    print(json.dumps(compared, indent=1))


def _write_down(looks: Mapping[str, Look], fingerprint: str, *, name: str, why: str, log: Path) -> None:
    append_look(fingerprint, name=name, why=why, figures={title: seen.figures for title, seen in looks.items()}, log=log)


if __name__ == "__main__":
    main()
