"""The network of an exported program: stem, blocks, head."""

from explorer.exports.program.block import BlockWriter, Gates
from explorer.exports.program.source import Section, call, indented
from explorer.spec import NetworkSpec

OPTIONS = {
    "none": "There is no shortcut: this is the plain network.",
    "zero_pad": "The shortcut has no weights: x itself, with zeros where the shape changes.",
    "projection": "The shortcut is x itself, or a 1 x 1 layer where the shape changes (option B).",
    "projection_all": "The shortcut is a 1 x 1 layer in every block (option C).",
}


class NetworkWriter(BlockWriter):
    """Writes the whole of one network."""

    def stem(self) -> list[str]:
        """The source of each of the stem's layers."""
        inputs = self.network.inputs
        features = inputs[0]
        for size in () if self.convolves else inputs[1:]:
            features *= size
        width = str(self.network.all_stages[0].width)
        parts = [self.layer(str(features), width, 3)]
        if self.form.act_after_sum:
            parts += [part for part in (self.norm(width), "nn.ReLU()") if part]
        return parts

    def whole(self) -> str:
        """The class Network."""
        first = self.network.all_stages[0].width
        lines = ["def __init__(self):", "    super().__init__()"]
        body = [
            *call("self.stem", "nn.Sequential", self.stem(), 2),
            "blocks = []",
            f"c_in = {first}",
        ]
        size = "width" if self.form.expansion == 1 else self.c_out
        if self.convolves:
            body += ["for stage, (count, width) in enumerate(STAGES):"]
            body += ["    for number in range(count):"]
            body += ["        stride = 2 if stage > 0 and number == 0 else 1"]
            body += ["        blocks.append(Block(c_in, width, stride))"]
            body += [f"        c_in = {size}"]
        else:
            body += ["for _ in range(BLOCKS):", "    blocks.append(Block(c_in, WIDTH))"]
            body += [f"    c_in = {size.replace('width', 'WIDTH')}"]
        body += ["self.blocks = nn.Sequential(*blocks)"]
        if not self.form.act_after_sum:
            last = [part for part in (self.norm("c_in"), "nn.ReLU()") if part]
            body += call("self.last", "nn.Sequential", last, 2)
        body += [f"self.head = nn.Linear(c_in, {self.network.classes})"]
        head = 'class Network(nn.Module):\n    """Stem, blocks, head: TITLE."""\n\n'
        title = "He et al. 2015, section 4.2" if self.convolves else "linear layers throughout"
        classes, shape = self.network.classes, ", ".join(map(str, self.network.inputs))
        forward = indented(
            ["", f"def forward(self, x):  # (N, {shape}) -> logits (N, {classes})"], 1
        ) + indented(self.pass_lines(), 2)
        return head.replace("TITLE", title) + indented(lines, 1) + indented(body, 2) + forward

    def pass_lines(self) -> list[str]:
        """The lines of the network's forward pass."""
        x = "x" if self.convolves or len(self.network.inputs) == 1 else "x.flatten(1)"
        lines = [f"x = self.blocks(self.stem({x}))"]
        if not self.form.act_after_sum:
            lines.append("x = self.last(x)")
        pooled = "x.mean((2, 3))" if self.convolves else "x"
        return [*lines, f"return self.head({pooled})"]


def network_section(network: NetworkSpec, gates: Gates) -> Section:
    """The classes and the functions they call."""
    writer = NetworkWriter(network, gates)
    code = "\n\n".join([*writer.helpers(), writer.block(), writer.whole()])
    note = f"{network.block_count} blocks. {OPTIONS[network.shortcut]}"
    needs = ["import torch", "from collections import OrderedDict", "from torch import nn"]
    if "F." in code:
        needs.append("import torch.nn.functional as F")
    return Section("The network", note, code, tuple(needs))
