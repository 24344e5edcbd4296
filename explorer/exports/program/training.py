"""Order of the batches, augmentation and loop of an exported program."""

from explorer.exports.program.block import Gates
from explorer.exports.program.data import is_published
from explorer.exports.program.recipe import KINDS, optimizer_arguments, rate_function
from explorer.exports.program.run import Changes
from explorer.exports.program.source import Section, call, indented, number
from explorer.spec import RunSpec

ORDER = '''\
def batches(count):
    """The rows of each step: every epoch a new permutation, an incomplete batch dropped."""
    for epoch in itertools.count():
        order = torch.randperm(count, generator=generator_for(SEED, f"order:{epoch}"))
        yield from order.split(BATCH)[: count // BATCH]
'''
AUGMENT = '''\
def augment(x, step):
    """Each image shifted by up to PAD pixels (He et al. 2015, section 4.2)."""
    count, channels, height, width = x.shape
    generator = generator_for(SEED, f"augment:{step}")
    corner = torch.randint(2 * PAD + 1, (2, count, 1), generator=generator)
    rows, columns = corner[0] + torch.arange(height), corner[1] + torch.arange(width)
    image = torch.arange(count).view(-1, 1, 1, 1)
    channel = torch.arange(channels).view(-1, 1, 1)
    padded = F.pad(x, (PAD, PAD, PAD, PAD))
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
'''
FLIP = """\
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
"""
SET_GATES = '''\
def set_gates(network, name, values):
    """Set one gate of every block, from input to output."""
    for block, value in zip(network.blocks, values):
        setattr(block, name, value)
'''
TEST = '''\
@torch.no_grad()
def test_accuracy(network, x, y):
    """The share of the test set that is classified correctly, in evaluation mode."""
    network.eval()
    logits = torch.cat([network(part) for part in x.split(1024)])
    network.train()
    return share_correct(logits, y)
'''
NORMALIZE = '''\
@torch.no_grad()
def normalize_gradients(network):
    """Scale every gradient to its tensor's norm; one of one dimension to the norm of ones.

    So all layers move by the same share, as in LARS (You et al. 2017, arXiv 1708.03888).
    """
    for weight in network.parameters():
        gradient = weight.grad
        # First to a largest entry of 1: the squares of tiny numbers would be zero.
        gradient /= gradient.norm(math.inf).clamp_min(1e-35)
        ones = weight.new_tensor(math.sqrt(weight.numel()))
        size = weight.norm() if weight.dim() > 1 else ones
        gradient *= size / gradient.norm().clamp_min(1e-35)
'''
SHARE = '''\
def share_correct(logits, y):
    """The share of the examples whose largest logit is that of their class."""
    return (logits.argmax(1) == y).float().mean().item()
'''
ATTRIBUTES = {"skip": "skip", "residual": "gate"}  # of a block, by the spec's name
SMALL_SIDE = 16  # images smaller than this shift by one pixel, others by four


class Loop:
    """Writes the function `train`."""

    def __init__(self, spec: RunSpec, changes: Changes, kept: Gates) -> None:
        self.spec, self.recipe, self.changes, self.kept = spec, spec.recipe, changes, kept
        self.peak = "peak" if changes.lr else "LR"
        self.rate = rate_function(self.recipe, self.peak)

    def start(self) -> list[str]:
        """What stands before the first step."""
        folder = "folder" if is_published(self.spec) else ""
        lines = [f"x_train, y_train, x_test, y_test = load_data({folder})"]
        lines += ["network = Network()", "initialise(network)"]
        if self.recipe.channels_last:
            lines += ["network.to(memory_format=torch.channels_last)"]
        for gate in self.kept.own:
            lines += [f'set_gates(network, "{ATTRIBUTES[gate]}", {gate.upper()})']
        kind = f"torch.optim.{KINDS[self.recipe.optimizer]}"
        lines += call("optimizer", kind, optimizer_arguments(self.recipe), 1)
        return [*lines, *(["peak = LR"] if self.changes.lr else [])]

    def changed(self) -> list[str]:
        """What is set before a step: gates and the learning rate."""
        lines = []
        for gate in sorted(self.changes.gates):
            by_step = f"{gate.upper()}_CHANGES"
            lines += [f"if step in {by_step}:"]
            lines += [f'    set_gates(network, "{ATTRIBUTES[gate]}", {by_step}[step])']
        if self.changes.lr:
            lines += ["peak = LR_CHANGES.get(step, peak)"]
        given = ", peak" if self.changes.lr else ""
        rate = f"learning_rate(step{given})" if self.rate else "peak"
        if self.rate or self.changes.lr:
            lines += [f'optimizer.param_groups[0]["lr"] = {rate}']
        return lines

    def batch(self) -> list[str]:
        """How x and y of a step come."""
        lines = ["x, y = x_train[rows], y_train[rows]"]
        lines += ["x = augment(x, step)"] if self.spec.data.augment else []
        if self.recipe.channels_last:
            lines += ["x = x.contiguous(memory_format=torch.channels_last)"]
        return lines

    def loss(self) -> list[str]:
        """Forward and backward pass."""
        smoothing = self.recipe.label_smoothing
        more = f", label_smoothing={number(smoothing)}" if smoothing else ""
        logits = "logits.float()" if self.recipe.bf16 else "logits"
        lines = ["logits = network(x)", f"loss = F.cross_entropy({logits}, y{more})"]
        if self.recipe.bf16:
            context = 'with torch.autocast("cpu", torch.bfloat16):'
            lines = [context, *(f"    {line}" for line in lines)]
        return [*lines, "optimizer.zero_grad()", "loss.backward()"]

    def step(self) -> list[str]:
        """From the readings to the optimiser's step."""
        norm = self.spec.network.norm == "batch"
        lines = ["# The pass above has moved BatchNorm's running means already."] if norm else []
        lines += ["tested = None", "if step % 25 == 0:"]
        lines += ["    tested = test_accuracy(network, x_test, y_test)"]
        lines += ["yield step, loss.item(), share_correct(logits, y), tested"]
        lines += ["if not loss.isfinite():  # diverged: it ends here", "    return"]
        lines += ["normalize_gradients(network)"] if self.recipe.normalized else []
        if self.recipe.clip:
            clip = f"(network.parameters(), {number(self.recipe.clip)})"
            lines += [f"nn.utils.clip_grad_norm_{clip}"]
        return [*lines, "optimizer.step()"]

    def code(self) -> str:
        """The whole function."""
        folder = ', folder="data"' if is_published(self.spec) else ""
        doc = [
            f"def train(steps=STEPS{folder}):",
            '    """Yield (step, loss, training accuracy, test accuracy or None) for each step.',
            "",
            "    They are read before the step is taken: step 0 is the network as initialised.",
            '    """',
        ]
        loop = [*self.changed(), *self.batch(), *self.loss(), *self.step()]
        lines = [*self.start(), "steps = min(steps, STEPS)"]
        lines += ["for step, rows in zip(range(steps), batches(len(y_train))):"]
        lines += [f"    {line}" for line in loop]
        lines += ["if steps == STEPS:"]
        lines += ["    yield STEPS, None, None, test_accuracy(network, x_test, y_test)"]
        return "\n".join(doc) + "\n" + indented(lines, 1)


def training_section(spec: RunSpec, changes: Changes, kept: Gates) -> Section:
    """Order of the batches, augmentation, learning rate, loop."""
    loop = Loop(spec, changes, kept)
    parts = [ORDER]
    if spec.data.augment:
        parts.append(augment_function(spec))
    parts += [loop.rate] if loop.rate else []
    parts += [SET_GATES] if kept.own else []
    parts += [NORMALIZE] if spec.recipe.normalized else []
    parts += [SHARE, TEST, loop.code()]
    code = "\n\n".join(parts)
    needs = ["import itertools", "import torch", "import torch.nn.functional as F"]
    needs += ["import math"] if "math." in code else []
    needs += ["from torch import nn"] if "nn." in code.replace("torch.nn.", "") else []
    note = "One optimiser step a batch. Readings are taken before the step."
    return Section("Training", note, code, tuple(needs))


def augment_function(spec: RunSpec) -> str:
    """The function `augment`, with or without the flip."""
    side = min(spec.network.inputs[1:])
    code = AUGMENT.replace("PAD", "1" if side < SMALL_SIDE else "4")
    code = code.replace("2 * 1 + 1", "3").replace("2 * 4 + 1", "9").replace("1 pixels", "1 pixel")
    if spec.data.info.flips:
        code = code.replace("    image = torch", f"{FLIP}    image = torch")
        code = code.replace("pixels (He", "pixels, half of them mirrored (He")
    return code
