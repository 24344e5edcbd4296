"""Which examples the batch of a step holds: a function of (seed, step) alone."""

import torch
from torch import Tensor

from explorer.init import generator_for


class BatchOrder:
    """Every epoch a new permutation of `count` examples, cut into batches, the rest dropped.

    It has no state but a cache, so a run that pauses, resumes or starts elsewhere
    sees the same batches. ValueError unless 1 <= batch <= count.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if not 1 <= batch <= count:
            raise ValueError(f"batch: {batch} is not allowed; 1 to {count}")
        self.count, self.batch, self.seed = count, batch, seed
        self.steps_per_epoch = count // batch
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def indices(self, step: int) -> Tensor:
        """Indices of the examples of optimiser step `step`, from 0 on; (batch,), int64, CPU."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = generator_for(self.seed, f"order:{epoch}")
            self._permutation = torch.randperm(self.count, generator=generator)
            self._epoch = epoch
        return self._permutation[place * self.batch : (place + 1) * self.batch]
