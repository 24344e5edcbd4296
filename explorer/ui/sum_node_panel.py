"""The browser panel of the Sum node page: sum_node.js, the diagram of a block in slow motion."""

from explorer.ui.components import panel

_sum_node = panel("sum_node", space=640)


def sum_node(key: str, url: str) -> None:
    """The block of the view behind `url`; its stages are stepped through in the browser alone."""
    _sum_node(key=key, data={"url": url})
