"""The errors carry their facts, through a process boundary too."""

import pickle

import pytest

from xraynet.errors import FilmFailed, FilmRefused, NonFiniteLossError, XraynetError


@pytest.mark.parametrize("error", [FilmRefused("2 frames", code="multi-frame"), FilmFailed("cut", code="truncated")])
def test_film_errors_survive_pickling(error: FilmRefused | FilmFailed) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error) and copy.reason == error.reason and copy.code == error.code
    assert isinstance(copy, XraynetError)


def test_a_non_finite_loss_names_its_step() -> None:
    copy = pickle.loads(pickle.dumps(NonFiniteLossError(step=7, loss=float("nan"))))  # noqa: S301 - our own bytes
    assert copy.step == 7 and "step 7" in str(copy)
