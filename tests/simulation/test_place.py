import numpy as np
import pytest

from xraynet.simulation.place import choose_place, map_places


@pytest.fixture
def lungs() -> np.ndarray:
    mask = np.zeros((400, 400), dtype=bool)
    mask[60:300, 60:160] = mask[60:300, 240:340] = True
    return mask


def test_places_without_hidden_ones_lie_in_the_lungs(lungs: np.ndarray) -> None:
    rng, places = np.random.default_rng(0), map_places(lungs)
    for _ in range(300):
        centre = choose_place(rng, places, hidden_share=0.0)
        assert centre is not None
        x, y = centre
        near = lungs[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
        assert near.any()


def test_hidden_places_lie_between_and_below_the_lungs_only(lungs: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    found = [choose_place(rng, lungs, hidden_share=1.0) for _ in range(300)]
    below = [centre for centre in found if centre is not None and centre[1] > 300]
    between = [centre for centre in found if centre is not None and 160 <= centre[0] <= 240 and centre[1] <= 300]
    assert len(below) + len(between) > 280
    assert below
    assert between
    assert all(58 <= x <= 342 and 118 <= y <= 328 for x, y in (centre for centre in found if centre is not None))


def test_about_the_asked_share_is_hidden(lungs: np.ndarray) -> None:
    rng, places = np.random.default_rng(1), map_places(lungs)
    coarse = places.hidden
    hidden = 0
    for _ in range(600):
        centre = choose_place(rng, places, hidden_share=0.2)
        assert centre is not None
        hidden += bool(coarse[int(centre[1]) // places.step, int(centre[0]) // places.step])
    assert 0.14 < hidden / 600 < 0.26


def test_a_nodule_never_meets_another(lungs: np.ndarray) -> None:
    rng, taken = np.random.default_rng(2), []
    for _ in range(40):
        centre = choose_place(rng, lungs, radius_px=(15.0, 15.0), taken=taken)
        if centre is None:
            continue
        x, y = centre
        box = (x - 15, y - 15, x + 15, y + 15)
        assert all(box[0] >= other[2] or box[2] <= other[0] or box[1] >= other[3] or box[3] <= other[1] for other in taken)
        taken.append(box)
    assert len(taken) > 15


def test_no_lung_and_no_room_give_no_place(lungs: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    assert choose_place(rng, np.zeros((100, 100), dtype=bool)) is None
    assert choose_place(rng, lungs, taken=[(0.0, 0.0, 400.0, 400.0)]) is None


def test_a_lung_too_thin_hides_nothing() -> None:
    thin = np.zeros((40, 40), dtype=bool)
    thin[5:7, 10:30] = True
    places = map_places(thin)
    assert not places.hidden.any()
    assert choose_place(np.random.default_rng(0), places, hidden_share=1.0) is not None
