import re
import shlex
import time
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from xraynet.cli.catalogue_options import count_workers, parse_numbers
from xraynet.cli.main import build_app
from xraynet.errors import CatalogueError
from xraynet.ingest.catalogue import read_catalogue
from xraynet.ingest.leaks import check_no_leaks

DATA_README = Path(__file__).resolve().parents[2] / "data" / "README.md"
RUNNER = CliRunner()


def commands_of(verb: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", DATA_README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith(f"xraynet {verb} ")]


@pytest.mark.parametrize("command", [*commands_of("ingest"), *commands_of("catalogue")])
def test_flags_of_every_command_in_the_data_readme_parse(command: str) -> None:
    program = typer.main.get_command(build_app(("ingest", "catalogue")))
    verb, *arguments = shlex.split(command)[1:]
    assert isinstance(program, typer.core.TyperGroup)
    context = program.commands[verb].make_context(verb, arguments)
    assert context.params["sources" if verb == "ingest" else "paths"]
    if verb == "ingest":
        parse_numbers(context.params["split"], count=3, name="--split")
        assert bool(context.params["labels"]) == bool(context.params["label_format"])


def test_data_readme_has_a_command_for_every_collection() -> None:
    text = DATA_README.read_text(encoding="utf-8")
    for name in ("JSRT", "NODE21", "NIH ChestX-ray14", "VinDr-CXR and VinBigData", "LIDC-IDRI", "ChestX-Det"):
        section = text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        assert "xraynet ingest" in section
        assert "- From" in section or "from PhysioNet" in section
        assert "- Terms:" in section
    assert len(commands_of("ingest")) >= 14


def test_ingest_and_catalogue_print_what_they_made(films: Path, tmp_path: Path) -> None:
    app = build_app(("ingest", "catalogue"))
    out, salt = tmp_path / "c", tmp_path / "salt"
    arguments = ["ingest", str(films), "--labels", str(films / "labels.csv"), "--format", "plain-csv", "--out", str(out)]
    made = RUNNER.invoke(app, [*arguments, "--salt-file", str(salt), "--split", "0.6,0.2,0.2", "--workers", "0"])
    assert made.exit_code == 0, made.output
    assert made.output.splitlines()[0].endswith("c: 20 films, 12 boxed, 8 read and free, 0 unknown")
    assert made.output.splitlines()[-1] == "20 ok, 0 refused, 0 failed"
    shown = RUNNER.invoke(app, ["catalogue", str(out), str(out)])
    assert shown.exit_code == 0
    assert "nodules       14 boxes on 12 films" in shown.output
    assert "films with the same pixels  20" in shown.output


def test_failed_films_give_exit_code_3_and_a_catalogue_of_the_rest(films: Path, tmp_path: Path) -> None:
    (films / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = ["ingest", str(films), "--out", str(tmp_path / "c"), "--salt-file", str(tmp_path / "s"), "--workers", "0"]
    result = RUNNER.invoke(build_app(("ingest", "catalogue")), arguments)
    assert result.exit_code == 3
    assert "broken.png" in result.output
    assert len(read_catalogue(tmp_path / "c").films) == 20


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--labels", "a.csv"], "needs --format"),
        (["--format", "nih"], "without --labels"),
        (["--split", "0.8,0.2"], "3 numbers"),
        (["--split", "0.8,0.2,0.2"], "sum to 1"),
        (["--spacing-mm", "small"], "2 numbers"),
        (["--folds", "1"], "2 or more"),
        (["--classes", ","], "no target class"),
        (["--workers", "-1"], "0 or more"),
        (["--split", "0.8,nan,0.2"], "sum to 1"),
        (["--seed", "-1"], "seed is -1"),
        (["--spacing-mm", "0,0.2"], "between 0 and 100"),
        (["--spacing-mm", "nan,nan"], "between 0 and 100"),
        (["--max-megapixels", "inf"], "inf megapixels"),
        (["--max-megapixels", "nan"], "nan megapixels"),
        (["--labels", "a.csv", "--format", "excel"], "excel"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(tmp_path: Path, arguments: list[str], told: str) -> None:
    command = ["ingest", str(tmp_path), "--out", str(tmp_path / "c"), *arguments]
    result = RUNNER.invoke(build_app(("ingest", "catalogue")), command, env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_a_used_folder_is_refused_by_the_command(films: Path, tmp_path: Path) -> None:
    result = RUNNER.invoke(build_app(("ingest", "catalogue")), ["ingest", str(films), "--out", str(films)])
    assert isinstance(result.exception, CatalogueError)


def test_workers_are_counted_within_bounds() -> None:
    assert count_workers(3) == 3
    assert 1 <= count_workers(None) <= 8


@pytest.mark.films
def test_779_films_of_nih_are_ingested_within_two_minutes(shared_films: Path, tmp_path: Path) -> None:
    nih = shared_films / "nih"
    arguments = ["ingest", str(nih / "films"), "--labels", str(nih / "films.csv"), "--format", "nih", "--split", "0.8,0.2,0"]
    started = time.monotonic()
    made = RUNNER.invoke(
        build_app(("ingest", "catalogue")), [*arguments, "--out", str(tmp_path / "c"), "--salt-file", str(tmp_path / "s")]
    )
    assert made.exit_code == 0, made.output
    assert time.monotonic() - started < 120
    catalogue = read_catalogue(tmp_path / "c")
    check_no_leaks(catalogue)
    # Two of the 779 files are one film, byte for byte.
    assert len(catalogue.films) == 778
    assert set(catalogue.films["label_state"]) == {"free"}
    assert len(catalogue.entries("validation")) == pytest.approx(156, abs=8)


@pytest.mark.films
def test_jsrt_films_are_scaled_from_their_2048_frame(shared_films: Path, tmp_path: Path) -> None:
    jsrt = shared_films / "jsrt_dev"
    arguments = ["ingest", str(jsrt / "images"), "--labels", str(jsrt / "nodules.csv"), "--format", "jsrt", "--split", "0,0,1"]
    out = ["--out", str(tmp_path / "c"), "--salt-file", str(tmp_path / "s"), "--workers", "0"]
    assert RUNNER.invoke(build_app(("ingest", "catalogue")), [*arguments, *out]).exit_code == 0
    entries = {entry.path.stem: entry for entry in read_catalogue(tmp_path / "c").entries("test")}
    assert len(entries) == 148
    first = entries["JPCLN002"]
    assert first.spacing is not None
    assert first.spacing.row_column_mm == pytest.approx((1.6, 1.6))
    x1, _, x2, _ = first.annotations.boxes[0]
    assert (x1 + x2) / 2 == pytest.approx(1614 * 224 / 2048, abs=0.01)
    assert x2 - x1 == pytest.approx(30 / 1.6, abs=0.01)
    assert (first.annotations.diameter_mm, first.annotations.subtlety) == ((30.0,), (5,))
    assert sum(entry.film_has_nodule is False for entry in entries.values()) == 56
