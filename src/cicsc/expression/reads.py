"""Which variables an expression reads, so that what nobody reads need not be kept or computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from cicsc.expression import grammar

if TYPE_CHECKING:
    from collections.abc import Iterable


class Reads(Struct, frozen=True):
    """The variables that some expressions read.

    `flags` holds those without an argument (such as now and state); `fields` maps the name of each
    of the others (such as attrs and row) to the arguments it is read with, sorted.
    """

    flags: frozenset[str] = frozenset()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[str, ...]:
        """Return the arguments that variable `name` is read with, sorted."""
        return self.fields.get(name, ())


def reads(nodes: Iterable[grammar.Node]) -> Reads:
    """Collect what the checked expressions `nodes` read."""
    flags: set[str] = set()
    fields: dict[str, set[str]] = {}
    pending: list[object] = list(nodes)
    while pending:
        node = pending.pop()
        assert isinstance(node, dict)
        ((tag, body),) = node.items()
        if tag == "var":
            _add_variable(body, flags, fields)
        else:
            pending.extend(operand for _, operand in grammar.operands(tag, body))
    return Reads(frozenset(flags), {name: tuple(sorted(arguments)) for name, arguments in fields.items()})


def _add_variable(body: object, flags: set[str], fields: dict[str, set[str]]) -> None:
    assert isinstance(body, dict)
    ((name, argument),) = body.items()
    if name in grammar.FLAG_VARIABLES:
        flags.add(name)
    else:
        fields.setdefault(name, set()).add(argument[grammar.FIELD_VARIABLES[name]])
