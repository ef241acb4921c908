"""Configuration files: strict, safe, and helpful when wrong."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from xraynet.config import RunConfig
from xraynet.errors import ConfigError
from xraynet.settings import config_to_dict, list_presets, read_config, structure_config, write_config


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    name: str | None = None

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate is {self.rate}; at least 0 was expected")


@dataclass(frozen=True)
class Outer:
    steps: int
    inner: Inner = Inner()
    sides: tuple[int, ...] = (1, 2)


def test_a_written_configuration_reads_back_equal(tmp_path: Path) -> None:
    config = Outer(steps=3, inner=Inner(rate=0.25, name="x"), sides=(4,))
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml", Outer) == config


def test_none_is_an_absent_key() -> None:
    assert config_to_dict(Outer(steps=1)) == {"steps": 1, "inner": {"rate": 0.5}, "sides": [1, 2]}
    with pytest.raises(ValueError, match="not a config dataclass"):
        config_to_dict({"steps": 1})


def test_an_unknown_key_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"here: unknown key 'inner\.rte'; did you mean rate\?"):
        structure_config({"steps": 1, "inner": {"rte": 0.1}}, Outer, where="here")
    with pytest.raises(ConfigError, match="known keys: inner, sides, steps"):
        structure_config({"zzz": 1}, Outer, where="here")


def test_a_missing_key_and_a_wrong_kind_are_named() -> None:
    with pytest.raises(ConfigError, match="'steps' is missing"):
        structure_config({}, Outer, where="here")
    with pytest.raises(ConfigError, match="steps"):
        structure_config({"steps": "3"}, Outer, where="here")
    with pytest.raises(ConfigError, match="rate is -1"):
        structure_config({"steps": 1, "inner": {"rate": -1}}, Outer, where="here")


def test_a_whole_number_is_accepted_where_a_float_is_expected() -> None:
    assert structure_config({"steps": 1, "inner": {"rate": 1}}, Outer, where="here").inner.rate == 1.0


def test_a_configuration_says_only_what_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text('steps = 5\nsides = [7, 8]\n[inner]\nrate = 0.25\nname = "first"\n')
    (tmp_path / "second.toml").write_text('base = "first.toml"\nsides = [9]\n[inner]\nname = "second"\n')
    (tmp_path / "third.toml").write_text('base = "second.toml"\nsteps = 6\n')
    assert read_config(tmp_path / "second.toml", Outer) == Outer(steps=5, inner=Inner(0.25, "second"), sides=(9,))
    assert read_config(tmp_path / "third.toml", Outer) == Outer(steps=6, inner=Inner(0.25, "second"), sides=(9,))


def test_a_base_that_cannot_be_is_named_with_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "round.toml").write_text('base = "about.toml"\n')
    (tmp_path / "about.toml").write_text('base = "round.toml"\n')
    (tmp_path / "lost.toml").write_text('base = "nowhere"\nsteps = 1\n')
    (tmp_path / "number.toml").write_text("base = 3\n")
    (tmp_path / "wrong.toml").write_text('base = "low.toml"\nsteps = 1\n')
    (tmp_path / "low.toml").write_text("zzz = 1\n")
    with pytest.raises(ConfigError, match=r"round\.toml -> .*about\.toml -> .*round\.toml: a configuration cannot be its own"):
        read_config(tmp_path / "round.toml", Outer)
    with pytest.raises(ConfigError, match=r"lost\.toml: base 'nowhere' is neither a file beside it nor a preset \(.*tiny"):
        read_config(tmp_path / "lost.toml", Outer)
    with pytest.raises(ConfigError, match=r"number\.toml: base is 3; the name of a preset"):
        read_config(tmp_path / "number.toml", Outer)
    with pytest.raises(ConfigError, match=r"wrong\.toml -> .*low\.toml: unknown key 'zzz'"):
        read_config(tmp_path / "wrong.toml", Outer)


def test_a_base_under_another_spelling_of_its_path_is_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(f'base = "../{tmp_path.name}/own.toml"\n')
    with pytest.raises(ConfigError, match="cannot be its own base"):
        read_config(tmp_path / "own.toml", Outer)


def test_the_base_of_a_preset_is_a_preset_whatever_lies_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_config("nodule-cpu-lite-faint", RunConfig)
    for name in ("nodule-cpu-lite", "nodule-cpu-lite-drawn"):
        (tmp_path / name).write_text("steps = 1\n")
    monkeypatch.chdir(tmp_path)
    assert read_config("nodule-cpu-lite-faint", RunConfig) == expected
    assert expected.card.name == "nodule-cpu-lite-faint"
    assert expected.detector.backbone == "tf_efficientnet_lite0"


def test_a_file_that_is_not_toml_and_a_name_that_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(ConfigError, match="not TOML"):
        read_config(tmp_path / "bad.toml", Outer)
    with pytest.raises(ConfigError, match="neither a file nor a preset"):
        read_config("no-such-preset", Outer)
    assert isinstance(list_presets(), list)
