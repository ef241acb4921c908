from itertools import pairwise
from pathlib import Path

import pytest

from xraynet.config import RunConfig, list_presets, read_run_config, write_config
from xraynet.errors import ConfigError
from xraynet.training.recipe import TrainingConfig, plan_steps
from xraynet.training.schedule import learning_rate_at


@pytest.mark.parametrize(
    "preset", ["nodule-cpu", "nodule-cpu-lite", "nodule-cpu-lite-drawn", "nodule-cpu-lite-faint", "nodule-gpu", "tiny"]
)
def test_shipped_preset_reads_and_survives_a_round_trip(preset: str, tmp_path: Path) -> None:
    assert preset in list_presets()
    config = read_run_config(preset)
    assert config.card.name == preset
    write_config(config, tmp_path / "config.toml")
    assert read_run_config(tmp_path / "config.toml") == config


def test_unknown_key_is_named_with_the_near_ones(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[training]\nlearning_rat = 0.1\n")
    with pytest.raises(ConfigError, match=r"training\.learning_rat.*learning_rate"):
        read_run_config(path)


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="node22"):
        RunConfig(rule="node22")


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"total_steps": 0}, {"learning_rate": 0.0}, {"ema_decay": 1.0}, {"warmup_steps": -1}]
)
def test_impossible_recipe_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        TrainingConfig(**wrong)  # type: ignore[arg-type]


def test_total_steps_take_the_place_of_epochs() -> None:
    assert plan_steps(TrainingConfig(epochs=3), steps_per_epoch=7) == 21
    assert plan_steps(TrainingConfig(epochs=3, total_steps=5), steps_per_epoch=7) == 5


def test_learning_rate_warms_up_then_falls_to_its_end() -> None:
    config = TrainingConfig(learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10)
    rates = [learning_rate_at(step, total_steps=100, config=config) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(1e-5)


def test_short_run_warms_up_over_a_fifth_at_most() -> None:
    config = TrainingConfig(learning_rate=1.0, warmup_steps=500)
    assert learning_rate_at(2, total_steps=10, config=config) == pytest.approx(1.0)
    assert learning_rate_at(0, total_steps=1, config=config) == pytest.approx(1.0)
