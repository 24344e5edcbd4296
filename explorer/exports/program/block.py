"""The block of an exported program: only the branches that its spec takes."""

from collections.abc import Iterator
from dataclasses import dataclass

from explorer.blocks import Layer
from explorer.exports.program.source import call, indented, number
from explorer.spec import NetworkSpec

GROUP_NORM = '''\
def group_norm(channels):
    """Wu & He 2018, arXiv 1803.08494: at most 8 groups, of 4 channels or more each."""
    fits = [g for g in range(2, 9) if channels % g == 0 and channels >= 4 * g]
    return nn.GroupNorm(max(fits, default=1), channels)
'''
CONV = '''\
def conv(c_in, c_out, kernel, stride=1):
    """A kernel x kernel convolution that keeps the size at stride 1."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=BIAS)
'''
ZERO_PAD = '''\
def zero_pad(x, c_out, stride):
    """Option A: x, or every stride-th pixel of it with zero channels on both sides.

    It has no weights (He et al. 2015, arXiv 1512.03385, section 3.3).
    """
    new = c_out - x.shape[1]
    if stride == 1 and new == 0:
        return x
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, new // 2, new - new // 2))
'''
ZERO_PAD_FLAT = '''\
def zero_pad(x, c_out):
    """Option A: x with zero features on both sides (He et al. 2015, section 3.3)."""
    new = c_out - x.shape[1]
    return F.pad(x, (new // 2, new - new // 2)) if new else x
'''
NAMES = "# Named by their place: twins with and without norms share names, and so weights."
SHAPE_CHANGES = "if stride != 1 or c_in != c_out:"


@dataclass(frozen=True)
class Gates:
    """How the gates of the sum stand in the code.

    `skip` and `branch` are factors as source text, "" for a factor of 1; `own` names those
    that each block keeps as an attribute, because blocks differ or a change was made.
    """

    skip: str
    branch: str
    own: tuple[str, ...]


def gates_of(network: NetworkSpec, changed: frozenset[str]) -> Gates:
    """The gates of a network in which those named in `changed` change while it trains."""
    own = [gate for gate in ("skip", "residual") if _varies(network, gate, changed)]
    skip = "" if network.skip[0] == 1 else "SKIP"
    scale = [] if network.branch_scale == 1 else ["BRANCH_SCALE"]
    if "residual" in own:
        scale.insert(0, "self.gate")
    elif network.residual[0] != 1:
        scale.insert(0, "RESIDUAL")
    branch = scale[0] if len(scale) == 1 else f"({' * '.join(scale)})" if scale else ""
    return Gates("self.skip" if "skip" in own else skip, branch, tuple(own))


def _varies(network: NetworkSpec, gate: str, changed: frozenset[str]) -> bool:
    values: tuple[float, ...] = getattr(network, gate)
    return gate in changed or len(set(values)) > 1


def gate_constants(network: NetworkSpec, gates: Gates) -> list[str]:
    """The lines that set the gates which are not 1."""
    lines = []
    if gates.skip == "SKIP":
        lines.append(f"SKIP = {number(network.skip[0])}  # the gate on every shortcut")
    if "RESIDUAL" in gates.branch:
        lines.append(f"RESIDUAL = {number(network.residual[0])}  # the gate on every F(x)")
    if "BRANCH_SCALE" in gates.branch:
        lines.append(f"BRANCH_SCALE = {number(network.branch_scale)}  # a factor on every F(x)")
    return lines


class BlockWriter:
    """Writes the block of one network, and its layers."""

    def __init__(self, network: NetworkSpec, gates: Gates) -> None:
        self.network, self.gates = network, gates
        self.form = network.form
        self.convolves = network.family == "resnet"
        widths = {network.all_stages[0].width, *(s.width for s in network.all_stages)}
        many = self.convolves and len(network.all_stages) > 1
        self.reshapes = many or len(widths) > 1 or self.form.expansion > 1
        self.c_out = "c_out" if self.form.expansion == 1 else f"{self.form.expansion} * width"

    def layer(self, c_in: str, c_out: str, kernel: int, stride: str = "") -> str:
        """The source of one weighted layer."""
        if self.convolves:
            return f"conv({c_in}, {c_out}, {kernel}{stride and ', '}{stride})"
        return f"nn.Linear({c_in}, {c_out}{'' if self.network.bias else ', bias=False'})"

    def norm(self, channels: str) -> str:
        """The source of one normalisation, "" for none."""
        batch = "nn.BatchNorm2d" if self.convolves else "nn.BatchNorm1d"
        kinds = {"batch": batch, "group": "group_norm", "layer": "nn.GroupNorm"}
        if self.network.norm == "none":
            return ""
        one = "1, " if self.network.norm == "layer" else ""  # one group is layer norm
        return f"{kinds[self.network.norm]}({one}{channels})"

    def helpers(self) -> Iterator[str]:
        """The functions that the classes call."""
        if self.convolves:
            yield CONV.replace("BIAS", str(self.network.bias))
        if self.network.norm == "group":
            yield GROUP_NORM
        if self.network.shortcut == "zero_pad" and self.reshapes:
            yield ZERO_PAD if self.convolves else ZERO_PAD_FLAT

    def residual(self) -> Iterator[str]:
        """The steps of F(x) by name; a layer keeps its name whatever stands between."""
        channels, inner = "c_in", "c_out" if self.form.expansion == 1 else "width"
        for place, step in enumerate(self.form.residual):
            if isinstance(step, Layer):
                c_out = "c_out" if step.outer else inner
                stride = "stride" if step.strided else ""
                yield f"layer{place}={self.layer(channels, c_out, step.kernel, stride)},"
                channels = c_out
            elif step == "act":
                yield f"act{place}=nn.ReLU(),"
            elif norm := self.norm(channels):
                yield f"norm{place}={norm},"

    def block(self) -> str:
        """The class Block."""
        size = "c_out" if self.form.expansion == 1 else "width"
        stride = ", stride" if self.convolves else ""
        start = [f"def __init__(self, c_in, {size}{stride}):", "    super().__init__()"]
        body = [f"c_out = {self.c_out}"] if self.form.expansion > 1 else []
        body += [NAMES, "self.residual = nn.Sequential(", "    OrderedDict("]
        body += [*(f"        {line}" for line in self.residual()), "    )", ")"]
        body += [*self.shortcut_lines(), *self.gate_lines()]
        doc = f'    """{self.equation()}.\n\n    {self.form.source}.\n    """\n\n'
        forward = indented(["", f"def forward(self, x):  # {self.shapes()}"], 1)
        forward += indented(self.forward(), 2)
        return f"class Block(nn.Module):\n{doc}{indented(start, 1)}{indented(body, 2)}{forward}"

    def equation(self) -> str:
        """What a block computes, in one line."""
        if self.network.shortcut == "none":
            alone = "relu(F(x))" if self.form.act_after_sum else "F(x)"
            return f"{alone}, the residual alone: a plain network"
        return "relu(F(x) + shortcut(x))" if self.form.act_after_sum else "F(x) + shortcut(x)"

    def shapes(self) -> str:
        """What a block makes of x."""
        flat = "(N, c_in) -> (N, c_out)"
        return "(N, c_in, H, W) -> (N, c_out, H / stride, W / stride)" if self.convolves else flat

    def shortcut_lines(self) -> list[str]:
        """What a block keeps for its shortcut."""
        kind, norm = self.network.shortcut, self.norm("c_out")
        if kind == "zero_pad" and self.reshapes and self.convolves:
            return ["self.stride = stride"]
        if kind in ("none", "zero_pad"):
            return []
        layer = self.layer("c_in", "c_out", 1, "stride")
        lines = call("self.shortcut", "nn.Sequential", [layer, norm] if norm else [layer], 3)
        if kind == "projection_all":
            return lines
        changes = SHAPE_CHANGES if self.convolves else "if c_in != c_out:"
        return ["self.shortcut = nn.Identity()", changes, *(f"    {line}" for line in lines)]

    def gate_lines(self) -> list[str]:
        """The gates that a block keeps."""
        said = {
            "skip": "self.skip = 1.0  # the gate on the shortcut",
            "residual": "self.gate = 1.0  # the gate on F(x)",
        }
        return [said[gate] for gate in self.gates.own]

    def forward(self) -> Iterator[str]:
        """The lines of the sum."""
        branch = "self.residual(x)" + (f" * {self.gates.branch}" if self.gates.branch else "")
        shortcut = self.shortcut_value()
        if shortcut and ("y." in shortcut or self.gates.skip):
            yield f"y = {branch}"
            branch = "y"
        if shortcut and self.gates.skip:
            branch = f"torch.add(y, {shortcut}, alpha={self.gates.skip})"
            if self.form.act_after_sum:
                yield f"y = {branch}"
                branch = "y"
        elif shortcut:
            branch = f"{branch} + {shortcut}"
        yield f"return F.relu({branch})" if self.form.act_after_sum else f"return {branch}"

    def shortcut_value(self) -> str:
        """What is added to F(x), as source text; "" for nothing."""
        kind = self.network.shortcut
        if kind == "none":
            return ""
        if kind != "zero_pad":
            return "self.shortcut(x)"
        if not self.reshapes:
            return "x"
        return f"zero_pad(x, y.shape[1]{', self.stride' if self.convolves else ''})"
