"""Settings of the lung-field segmenter and the gate: what their networks look like, how they decide, how they are trained."""

from dataclasses import dataclass, field

from xraynet.preparation import GreyConfig


@dataclass(frozen=True)
class LungsConfig:
    """The networks: both see the whole film in a square of ``side_px`` pixels.

    ``segmenter_widths``: channels of the U-Net from full resolution down. ``gate_widths``: channels of the gate's
    stages, each of which halves the resolution.
    """

    side_px: int = 128
    segmenter_widths: tuple[int, ...] = (12, 24, 48, 96)
    gate_widths: tuple[int, ...] = (16, 32, 48, 64, 96)
    grey: GreyConfig = field(default_factory=GreyConfig)

    def __post_init__(self) -> None:
        for name in ("segmenter_widths", "gate_widths"):
            widths = getattr(self, name)
            if not widths or any(width < 2 or width % 2 for width in widths):
                raise ValueError(f"{name} is {widths}; at least one even number of channels was expected")
        coarsest = 2 ** max(len(self.segmenter_widths) - 1, len(self.gate_widths))
        if self.side_px < coarsest or self.side_px % coarsest:
            raise ValueError(f"side_px is {self.side_px}; a multiple of {coarsest} was expected, for every stage halves it")


@dataclass(frozen=True)
class GateThresholds:
    """From which probability on the gate speaks. A film is refused only where the network is sure enough.

    ``frontal``: least probability of a frontal chest film that passes; the least that any film of the shipped checkpoint's
    validation split received is 0.98, so that 0.8 leaves the sick some room. ``displaced``: least probability of one of the
    three rotations that refuses. ``inverted``: the same for polarity. ``mirrored``: for a warning only.
    ``flat_range``: a film whose coarse thumbnail spans less than this part of its grey range is blank.
    """

    frontal: float = 0.8
    displaced: float = 0.5
    inverted: float = 0.5
    mirrored: float = 0.95
    flat_range: float = 0.1

    def __post_init__(self) -> None:
        for name in ("frontal", "displaced", "inverted", "mirrored", "flat_range"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a number between 0 and 1 was expected")


@dataclass(frozen=True)
class ViewConfig:
    """How widely training films are varied, so that any department's films look familiar.

    Angles in degrees; ``stretch`` and ``gamma`` as the largest natural logarithm; ``crop`` and ``margin`` as parts of a
    side cut off or added; rates are probabilities a film.
    """

    rotation_degrees: float = 15.0
    stretch: float = 0.25
    crop: float = 0.14
    margin: float = 0.3
    gamma: float = 0.8
    shading: float = 0.2
    sharpening: float = 1.0
    blur_px: float = 1.2
    noise: float = 0.07
    curve_rate: float = 0.5
    white_lung_rate: float = 0.3
    border_rate: float = 0.3
    overlay_rate: float = 0.3

    def __post_init__(self) -> None:
        for name in ("curve_rate", "white_lung_rate", "border_rate", "overlay_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a probability was expected")
        if not (0 <= self.crop < 0.4 and 0 <= self.margin < 1):
            raise ValueError(f"crop is {self.crop} and margin {self.margin}; 0 <= crop < 0.4 and 0 <= margin < 1 was expected")


@dataclass(frozen=True)
class PartTrainingConfig:
    """How long and how fast one of the two networks learns: ``epoch_films`` films an epoch, drawn with replacement."""

    epochs: int = 12
    epoch_films: int = 512
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.epochs, self.epoch_films, self.batch_size) < 1 or not self.learning_rate > 0:
            raise ValueError("epochs, epoch_films, batch_size must be at least 1 and learning_rate above 0")


@dataclass(frozen=True)
class LungsTrainingConfig:
    """A whole training of lungs and gate, from a preset or a file.

    ``source_px``: long side of the films held in memory. ``validation_part`` of the outlined films are kept aside to choose
    the best epoch. ``gate_frontal_part`` of the films that the gate sees are chest films, ``gate_lateral_part`` synthetic
    laterals, the rest is no chest at all; ``gate_drawn_pictures`` of those are drawn once and varied ever after.
    """

    seed: int = 1
    source_px: int = 192
    validation_part: float = 0.15
    gate_frontal_part: float = 0.55
    gate_lateral_part: float = 0.1
    gate_drawn_pictures: int = 2000
    network: LungsConfig = LungsConfig()
    thresholds: GateThresholds = GateThresholds()
    view: ViewConfig = ViewConfig()
    segmenter: PartTrainingConfig = field(default_factory=PartTrainingConfig)
    gate: PartTrainingConfig = field(default_factory=lambda: PartTrainingConfig(epochs=24, epoch_films=1024, batch_size=32))

    def __post_init__(self) -> None:
        if not 0 < self.validation_part < 1:
            raise ValueError(f"validation_part is {self.validation_part}; a number between 0 and 1 was expected")
        if not (self.gate_frontal_part > 0 and 0 < self.gate_frontal_part + self.gate_lateral_part <= 1):
            raise ValueError("gate_frontal_part must be above 0, and with gate_lateral_part at most 1")
