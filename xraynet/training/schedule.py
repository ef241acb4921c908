"""The learning rate of every step: it warms up linearly, then falls along half a cosine."""

import math

from xraynet.training.recipe import TrainingConfig


def learning_rate_at(step: int, *, total_steps: int, config: TrainingConfig) -> float:
    """The learning rate of step ``step`` (counted from 0) of ``total_steps``; a pure function, so resume needs no state.

    >>> config = TrainingConfig(learning_rate=1.0, final_learning_rate=0.0, warmup_steps=2)
    >>> [round(learning_rate_at(step, total_steps=10, config=config), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    # A short run warms up over at most a fifth of its steps.
    warmup = min(config.warmup_steps, total_steps // 5)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    fall = 0.5 * (1 + math.cos(math.pi * progress))
    return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * fall
