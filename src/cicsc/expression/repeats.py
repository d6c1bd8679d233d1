"""Which expressions stand several times in others, so that a compiled function computes them once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cicsc.expression import grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORTH_KEEPING: Final = (grammar.PAIRS - {"eq", "ne"}) | {"call", "map_enum", "in", "get", "has", "var"}
"""Tags that cost more to compute than to keep; none builds a value, which would then be the same one in two places."""


def repeated(nodes: Iterable[grammar.Node]) -> list[list[grammar.Node]]:
    """Group the equal expressions that stand at least twice in the checked `nodes`, inner ones first.

    What stands inside of a repetition counts once, since it is not computed again.
    """
    walk = _Walk()
    for node in nodes:
        walk.number(node)
        walk.group(node)
    return [group for _, group in sorted(walk.groups.items()) if len(group) > 1]


class _Walk:
    """A walk over expressions. Equal ones have one number, which is larger than those of their operands."""

    def __init__(self) -> None:
        self.groups: dict[int, list[grammar.Node]] = {}
        self._numbers: dict[object, int] = {}
        self._of_node: dict[int, int] = {}

    def number(self, node: grammar.Node) -> int:
        ((tag, body),) = node.items()
        operands = tuple((path, self.number(operand)) for path, operand in _operands(tag, body))
        found = self._numbers.setdefault((tag, _own_text(tag, body), operands), len(self._numbers))
        self._of_node[id(node)] = found
        return found

    def group(self, node: grammar.Node) -> None:
        ((tag, body),) = node.items()
        if tag in _WORTH_KEEPING:
            group = self.groups.setdefault(self._of_node[id(node)], [])
            group.append(node)
            if len(group) > 1:
                return
        for _, operand in _operands(tag, body):
            self.group(operand)


def _operands(tag: str, body: object) -> list[tuple[tuple[str | int, ...], grammar.Node]]:
    return list(grammar.operands(tag, body))  # type: ignore[arg-type]


def _own_text(tag: str, body: object) -> str:
    """Return what tells a node from others with the same tag and operands: the numbers 1 and 1.0 are two texts."""
    if tag in {"lit", "var"}:
        return repr(body)
    part = "fn" if tag == "call" else grammar.PLAIN_PARTS.get(tag)
    assert part is None or isinstance(body, dict)
    return "" if part is None else repr(body[part])  # type: ignore[index]
