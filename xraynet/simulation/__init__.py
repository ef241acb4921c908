"""Known nodules drawn into films without any, and a synthetic thorax to draw them into."""

from xraynet.simulation.distractor import DistractorConfig
from xraynet.simulation.film import SimulatedFilm, SimulationConfig, simulate_array, simulate_film
from xraynet.simulation.grey import GreyRange, contrast_to_noise, measure_grey_range
from xraynet.simulation.nodule import NoduleConfig, SimulatedNodule, draw_diameter, draw_nodule
from xraynet.simulation.phantom import Phantom, draw_phantom
from xraynet.simulation.place import choose_place
from xraynet.simulation.shadow import apply_nodule

__all__ = [
    "DistractorConfig",
    "GreyRange",
    "NoduleConfig",
    "Phantom",
    "SimulatedFilm",
    "SimulatedNodule",
    "SimulationConfig",
    "apply_nodule",
    "choose_place",
    "contrast_to_noise",
    "draw_diameter",
    "draw_nodule",
    "draw_phantom",
    "measure_grey_range",
    "simulate_array",
    "simulate_film",
]
