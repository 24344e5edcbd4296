"""Small trained networks to ask analyses about, and what they answer by hand."""

import copy
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explorer.analyses import ANALYSES, Json, Subject
from explorer.data import load
from explorer.network import Network
from explorer.spec import parse
from explorer.training import Trainer

SHORT = "width=4,batch=32,steps=12"
RESIDUAL, PLAIN, PREACT = (
    f"{name},{SHORT}" for name in ("resnet-14", "plain-14", "resnet-8,block=preact")
)
POINTS = f"mlp-8,data=moons,{SHORT}"
Values = NDArray[np.float64]


@cache
def subject(text: str = RESIDUAL) -> Subject:
    """A network after a few steps of training, which the analyses leave as it is."""
    trainer = Trainer(parse(text), torch.device("cpu"))
    while not trainer.finished:
        trainer.advance()
    return Subject(trainer.network, trainer.run, load(trainer.run.data))


def ask(what: str, *subjects: Subject, **options: Any) -> Json:
    return ANALYSES[what](subjects, options, lambda done, total: None)


def logits(network: Network, x: Tensor) -> Values:
    with torch.no_grad():
        return copy.deepcopy(network).eval()(x).double().numpy()


def accuracy(network: Network, subject: Subject) -> float:
    data = subject.data
    return float((logits(network, data.x_test).argmax(1) == data.y_test.numpy()).mean())


def loss(network: Network, subject: Subject) -> float:
    rows = softmax(logits(network, subject.data.x_test))
    right: Values = rows[np.arange(len(rows)), subject.data.y_test.numpy()]
    return float(-np.log(right).mean())


def softmax(values: Values) -> Values:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
