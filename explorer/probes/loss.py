"""The training loss, and accuracy on the batch and on the test set."""

import torch
from torch import Tensor

from explorer.probes import Snapshot, probe, whole

GOODFELLOW = "Goodfellow et al. 2016, Deep Learning, section 6.2"


@probe(sites=whole, unit="cross-entropy (nats)", cadence="step", source=GOODFELLOW)
def train_loss(snapshot: Snapshot) -> Tensor:
    """Mean loss of the batch that the step used, before the step."""
    return snapshot.loss.detach().reshape(1)


@probe(sites=whole, unit="share correct", cadence="step", source=GOODFELLOW)
def train_accuracy(snapshot: Snapshot) -> Tensor:
    """Share of the batch classified correctly, in training mode, before the step."""
    return _share_correct(snapshot.logits, snapshot.targets)


@probe(sites=whole, unit="share correct", cadence="test", source=GOODFELLOW)
def test_accuracy(snapshot: Snapshot) -> Tensor:
    """Share of the test set classified correctly, in evaluation mode, before the step."""
    assert snapshot.test_logits is not None
    assert snapshot.test_targets is not None
    return _share_correct(snapshot.test_logits, snapshot.test_targets)


def _share_correct(logits: Tensor, targets: Tensor) -> Tensor:
    correct = logits.argmax(1) == targets
    return correct.to(torch.float32).mean().reshape(1)
