"""Those who draw training samples: the caller itself, a thread beside it, or processes. The order is always the caller's.

A spawned worker loads albumentations, which costs it some seconds once.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from types import TracebackType
from typing import Final

import cv2

from xraynet.samples.dataset import TrainingSample, TrainingSamples
from xraynet.samples.order import SampleRef

_STEPS_AHEAD: Final = 3


class SampleWorkers:
    """Those who draw samples: 0 the caller itself, 1 a thread beside it, more: spawned processes.

    One thread keeps a network on two cores fed, for OpenCV and NumPy let go of the interpreter while they work.
    Processes cost some seconds to start: keep one of these for the whole run. A context manager.
    """

    def __init__(self, samples: TrainingSamples, *, num_workers: int) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers is {num_workers}; 0 or more was expected")
        self._samples = samples
        self._pool: Executor | None = None
        if num_workers == 1:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="samples")
        elif num_workers > 1:
            # Spawned, never forked: torch's threads hold locks that a forked child would wait on for ever.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker, initargs=(samples,))

    def __enter__(self) -> "SampleWorkers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the workers go; samples not yet begun are not drawn."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def draw_steps(self, steps: Sequence[Sequence[SampleRef]]) -> Iterator[list[TrainingSample]]:
        """The samples of each step, in order, drawn some steps ahead of the caller."""
        if self._pool is None:
            yield from ([self._samples.draw(ref) for ref in step] for step in steps)
            return
        draw: Callable[[SampleRef], TrainingSample] = (
            self._samples.draw if isinstance(self._pool, ThreadPoolExecutor) else _draw_in_worker
        )
        waiting = iter(steps)
        pending: deque[list[Future[TrainingSample]]] = deque()
        try:
            while True:
                while len(pending) < _STEPS_AHEAD and (step := next(waiting, None)) is not None:
                    pending.append([self._pool.submit(draw, ref) for ref in step])
                if not pending:
                    return
                yield [future.result() for future in pending.popleft()]
        finally:
            for future in (future for step_futures in pending for future in step_futures):
                future.cancel()


_worker_samples: list[TrainingSamples] = []


def _start_worker(samples: TrainingSamples) -> None:
    cv2.setNumThreads(1)
    _worker_samples[:] = [samples]


def _draw_in_worker(ref: SampleRef) -> TrainingSample:
    return _worker_samples[0].draw(ref)
