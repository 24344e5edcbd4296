"""The callbacks inside real Lightning and Hugging Face trainings, against loops by hand."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_watch import only, sizes
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

STEPS = 8
ACCUMULATED = (1, 2)


def rows() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(5)
    count = 4 * STEPS * ACCUMULATED[-1]
    x = torch.randint(20, (count, 6), generator=source)
    return x, torch.randint(3, (count,), generator=source)


def batches(accumulate: int) -> list[list[tuple[Tensor, Tensor]]]:
    """The batches of each step, in order."""
    x, y = rows()
    pairs = list(zip(x.split(4), y.split(4), strict=True))[: STEPS * accumulate]
    return [pairs[at : at + accumulate] for at in range(0, len(pairs), accumulate)]


def by_hand(
    model: nn.Module,
    sites: list[nn.Module],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    accumulate: int,
    clip: float,
    clipped_first: bool,
    divide: bool = True,
) -> dict[str, list[Any]]:
    """The same training with plain SGD; dL/dx by autograd at the outputs of `sites`."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found: dict[str, list[Any]] = {"activation_gradient": [], "weight_gradient": [], "loss": []}
    outputs: list[Tensor] = []
    for site in sites:
        site.register_forward_hook(lambda m, i, o: outputs.append(o))
    matrices = [p for p in model.parameters() if p.dim() > 1]
    for step in batches(accumulate):
        optimizer.zero_grad()
        losses = []
        for x, y in step:
            outputs.clear()
            loss = loss_of(x, y)
            losses.append(loss.item())
            for output in outputs:
                output.retain_grad()
            (loss / (accumulate if divide else 1)).backward()  # type: ignore[no-untyped-call]
        if clipped_first:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        found["loss"].append(losses)
        found["activation_gradient"].append(sizes([o.grad for o in outputs if o.grad is not None]))
        found["weight_gradient"].append(sizes([p.grad for p in matrices if p.grad is not None]))
        if not clipped_first:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return found


def layers() -> nn.Module:
    torch.manual_seed(7)
    block = lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True))  # noqa: E731
    body = nn.ModuleList([nn.Sequential(*block()) for _ in range(3)])
    return nn.ModuleDict({"embed": nn.Embedding(20, 8), "body": body, "head": nn.Linear(8, 3)})


def run(model: Any, x: Tensor) -> Tensor:
    h = model["embed"](x).mean(1)
    for part in model["body"]:
        h = h + part(h)
    out: Tensor = model["head"](h)
    return out


def lit_module(lightning: Any) -> Any:
    class Lit(lightning.LightningModule):  # type: ignore[misc]
        """As people write them: `forward` is never called, the loss is computed within."""

        def __init__(self) -> None:
            super().__init__()
            self.model = layers()

        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            x, y = batch
            return F.cross_entropy(run(self.model, x), y)

        def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
            run(self.model, batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    return Lit()


def fit(lightning: Any, callback: Any, module: Any, where: Path, accumulate: int = 1) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        max_steps=STEPS,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=0.05,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=where,
        val_check_interval=2,
    )
    data = DataLoader(TensorDataset(*rows()), batch_size=4)
    trainer.fit(module, data, DataLoader(TensorDataset(*rows()), batch_size=32))


quiet = pytest.mark.filterwarnings("ignore")  # the libraries' own advice


@quiet
@pytest.mark.parametrize("accumulate", ACCUMULATED)
def test_lightning_reads_what_a_loop_by_hand_reads(accumulate: int, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from explorer.watching.lightning import ExplorerCallback

    module = lit_module(lightning)
    fit(lightning, ExplorerCallback(name="lit", every=1), module, tmp_path, accumulate)
    twin: Any = layers()
    sites = [m for m in twin.modules() if isinstance(m, nn.Linear | nn.Embedding)]
    loss_of = lambda x, y: F.cross_entropy(run(twin, x), y)  # noqa: E731
    # The layer before an in-place ReLU keeps its own value in the twin, whose ReLU copies.
    for part in twin.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    expected = by_hand(twin, sites, loss_of, accumulate, clip=0.05, clipped_first=False)
    row, traces = only()
    assert (row.arm, row.state, row.step) == ("lit", "done", STEPS - 1)
    assert row.versions["module"] == "Lit"
    check(traces, expected, [losses[-1] for losses in expected["loss"]])
    pairs = zip(module.model.parameters(), twin.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def check(traces: Any, expected: dict[str, list[Any]], losses: list[float]) -> None:
    for probe in ("activation_gradient", "weight_gradient"):
        assert traces[probe].steps.tolist() == list(range(STEPS))
        assert traces[probe].values == pytest.approx(np.array(expected[probe]), rel=1e-4), probe
    assert traces["train_loss"].values[:, 0] == pytest.approx(losses, rel=1e-5)


@quiet
def test_lightning_tells_a_failed_fit(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from explorer.watching.lightning import ExplorerCallback

    module = lit_module(lightning)
    step = module.training_step

    def fails(batch: list[Tensor], batch_idx: int) -> Tensor:
        if batch_idx == 3:
            raise RuntimeError("out of luck")
        loss: Tensor = step(batch, batch_idx)
        return loss

    module.training_step = fails
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(lightning, ExplorerCallback(), module, tmp_path)
    row, _ = only()
    assert (row.state, row.message, row.step) == ("failed", "RuntimeError: out of luck", 2)
    assert not any(m._forward_hooks for m in module.modules())


def bert(transformers: Any) -> Any:
    torch.manual_seed(7)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    made = transformers.BertConfig(
        vocab_size=20, num_hidden_layers=3, num_labels=3, max_position_embeddings=8, **sizes, **none
    )
    return transformers.BertForSequenceClassification(made)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("transformers")


def hugging_face(
    transformers: Any, callback: Any, where: Path, model: Any, divide: bool = True, **rest: Any
) -> None:
    class InOrder(transformers.Trainer):  # type: ignore[misc]
        loss_is_scaled_for_ga = not divide  # False: the Trainer divides, True: the model has

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    arguments = transformers.TrainingArguments(
        output_dir=str(where),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        learning_rate=0.1,
        lr_scheduler_type="constant",
        optim="sgd",
        max_grad_norm=0.5,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        **{"eval_strategy": "steps", "eval_steps": 2, "logging_steps": 2, **rest},
    )
    data = [{"input_ids": x, "labels": y} for x, y in zip(*rows(), strict=True)]
    trainer = InOrder(model, arguments, train_dataset=data, eval_dataset=data, callbacks=[callback])
    trainer.train()


@quiet
@pytest.mark.parametrize(("accumulate", "divide"), [(1, True), (2, True), (2, False)])
def test_hugging_face_reads_what_a_loop_by_hand_reads(
    accumulate: int, divide: bool, transformers: Any, tmp_path: Path
) -> None:
    """The loss is the one that was differentiated: the batches' mean, or their sum."""
    from explorer.watching.transformers import ExplorerCallback

    model, twin = bert(transformers), bert(transformers)
    callback = ExplorerCallback(name="bert", every=1)
    rest = {"gradient_accumulation_steps": accumulate}
    hugging_face(transformers, callback, tmp_path, model, divide, **rest)
    loss_of = lambda x, y: twin(input_ids=x, labels=y).loss  # noqa: E731
    sites = list(twin.bert.encoder.layer)
    expected = by_hand(twin.train(), sites, loss_of, accumulate, 0.5, True, divide)
    row, traces = only()
    assert (row.arm, row.state, row.step) == ("bert", "done", STEPS - 1)
    assert traces["activation_gradient"].sites == tuple(f"bert.encoder.layer.{n}" for n in range(3))
    share = accumulate if divide else 1
    check(traces, expected, [sum(losses) / share for losses in expected["loss"]])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@quiet
def test_hugging_face_loss_from_outside_the_model_is_the_trainers_log(
    transformers: Any, tmp_path: Path
) -> None:
    """With label smoothing the model sees no labels; the logged mean over two steps is read."""
    from explorer.watching.transformers import ExplorerCallback

    logged: list[float] = []

    class Logs(ExplorerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            super().on_log(args, state, control, **rest)
            if "loss" in rest["logs"]:
                logged.append(rest["logs"]["loss"])

    rest = {"label_smoothing_factor": 0.1, "eval_strategy": "no"}
    hugging_face(transformers, Logs(), tmp_path, bert(transformers), **rest)
    _, traces = only()
    assert traces["train_loss"].steps.tolist() == [1, 3, 5, 7]
    assert traces["train_loss"].values[:, 0] == pytest.approx(logged)
    assert math.isfinite(traces["activation_gradient"].last.sum())
