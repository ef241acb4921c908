"""What is asked of a run with simulated nodules: how films are read, and what is drawn into them."""

from dataclasses import dataclass, field, replace
from typing import Final

from xraynet.batch.options import check_limits
from xraynet.settings import config_to_dict
from xraynet.simulation.distractor import DistractorConfig
from xraynet.simulation.film import SIMULATOR_VERSION, SimulationConfig

MATCH_RULE: Final = "jsrt-inside"


def default_simulation() -> SimulationConfig:
    """Nodules as in training, but as faint as chance makes them, and nothing else drawn into the film."""
    return SimulationConfig(distractor=DistractorConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), least_contrast=0.0)


def limit_diameters(config: SimulationConfig, text: str) -> SimulationConfig:
    """``config`` with diameters between the two of ``LOW,HIGH`` in mm, evenly peaked between them.

    Raises ValueError where these are not two diameters.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"diameters are '{text}'; two numbers LOW,HIGH in mm were expected") from None
    if not 1 <= low <= high <= 100:
        raise ValueError(f"diameters are {low:g} to {high:g} mm; 1 to 100, the smaller first, were expected")
    nodule = replace(config.nodule, smallest_diameter_mm=low, largest_diameter_mm=high, median_diameter_mm=(low * high) ** 0.5)
    return replace(config, nodule=nodule)


@dataclass(frozen=True)
class SiteOptions:
    """How films are read and what is drawn. ``spacing_mm``: (row, column) for films that state none.

    ``save_films`` keeps the films with their nodules as 16-bit PNG; ``hash_paths`` leaves the user's paths out.
    """

    seed: int = 0
    num_per_film: int = 1
    spacing_mm: tuple[float, float] | None = None
    save_films: bool = False
    hash_paths: bool = False
    max_megapixels: float = 200.0
    decode_limit_s: float = 120.0
    simulation: SimulationConfig = field(default_factory=default_simulation)

    def __post_init__(self) -> None:
        if not 1 <= self.num_per_film <= 10 or self.seed < 0:
            raise ValueError(
                f"{self.num_per_film} nodules a film from seed {self.seed}: 1 to 10, and a seed of 0 or more, were expected"
            )
        check_limits(max_megapixels=self.max_megapixels, decode_limit_s=self.decode_limit_s)

    def to_tables(self) -> dict[str, object]:
        """What decides the drawn nodules, as plain values."""
        return {
            "seed": self.seed,
            "num_per_film": self.num_per_film,
            "simulator_version": SIMULATOR_VERSION,
            "match_rule": MATCH_RULE,
            "spacing_mm": list(self.spacing_mm) if self.spacing_mm is not None else None,
            "simulation": config_to_dict(self.simulation),
        }
