"""From checked expressions to Python functions, built from `ast` nodes and never from source text.

`FunctionBuilder` lowers expressions into the body of one function. Bundle text enters as constants
only: every name, attribute and node type of the finished tree is held against an allow-list before
it is compiled, and the function sees no builtins. How a variable is read is the caller's choice
(`VariableLowering`), so that the same language runs on an environment mapping, inside a reducer
where attributes are a local dictionary, or over the rows of a query.
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Final

from cicsc.expression import grammar, values
from cicsc.expression.limits import CHARACTERS_PER_WEIGHT
from cicsc.expression.repeats import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_PAIR_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "eq": values.equal,
    "ne": values.not_equal,
    "lt": values.less,
    "le": values.less_or_equal,
    "gt": values.greater,
    "ge": values.greater_or_equal,
    "add": values.add,
    "sub": values.subtract,
    "mul": values.multiply,
    "div": values.divide,
    "time_between": values.time_between,
}
_CALLS: Final[Mapping[str, Callable[..., object]]] = {
    "len": values.length,
    "str": values.text,
    "int": values.to_integer,
    "float": values.to_float,
}
_BOOLEAN_TAGS: Final = frozenset({"eq", "ne", "not", "bool", "and", "or", "is_null", "has"})
_LIGHT_TAGS: Final = _BOOLEAN_TAGS | grammar.PAIRS | {"in", "map_enum"}

_ALLOWED_NODES: Final = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.Expr,
    ast.Name, ast.Load, ast.Store, ast.Constant, ast.Call, ast.Attribute, ast.Subscript,
    ast.IfExp, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.NamedExpr,
    ast.Compare, ast.Is, ast.IsNot, ast.Eq, ast.NotEq, ast.In, ast.Dict, ast.List, ast.Tuple,
)  # fmt: skip
_ALLOWED_ATTRIBUTES: Final = frozenset({"get", "pop", "payload", "event_type", "actor_id", "ts"})


class FunctionBuilder:
    """Builds one Python function out of checked expressions.

    `parameters` are the names of its arguments; `variable` lowers a variable of the language, given
    this builder, its name and its argument (None for one without), to a Python expression.
    """

    def __init__(
        self, parameters: Sequence[str], variable: Callable[[FunctionBuilder, str, str | None], ast.expr]
    ) -> None:
        self._parameters = tuple(parameters)
        self._variable = variable
        self._namespace: dict[str, object] = {"__builtins__": {}}
        self._temporaries = 0
        self._kept: dict[int, str] = {}

    def keep_repeated(self, nodes: Sequence[grammar.Node]) -> list[ast.stmt]:
        """Return statements that compute what the checked `nodes` hold several times; lowered later, they read it.

        It is computed even where its place is not reached. That costs time at most, since no expression fails.
        """
        statements: list[ast.stmt] = []
        for group in repeated(nodes):
            name = self.temporary()
            statements.append(ast.Assign([ast.Name(name, ast.Store())], self.expression(group[0])))
            self._kept.update((id(node), name) for node in group)
        return statements

    def expression(self, node: grammar.Node) -> ast.expr:
        """Lower one checked expression."""
        if (kept := self._kept.get(id(node))) is not None:
            return self.name(kept)
        ((tag, body),) = node.items()
        if tag in _PAIR_FUNCTIONS:
            return self._pair(tag, body)
        lowering: Callable[[object], ast.expr] = getattr(self, f"_lower_{tag}")
        return lowering(body)

    def condition(self, node: grammar.Node) -> ast.expr:
        """Lower one checked expression of which only the truth matters."""
        ((tag, body),) = node.items()
        if tag in {"and", "or"}:
            return self._chain(tag, body)
        return self.condition(body) if tag == "bool" else self.expression(node)  # type: ignore[arg-type]

    def name(self, name: str) -> ast.expr:
        """Read a parameter or a temporary."""
        return ast.Name(name, ast.Load())

    def constant(self, value: object) -> ast.expr:
        """Refer to a value that the bundle gives: a scalar or a tuple of text in place, others by a name."""
        if value is None or isinstance(value, bool | int | float | str | tuple):
            return ast.Constant(value)  # type: ignore[arg-type]  # the stub lacks tuples
        name = f"_constant_{len(self._namespace)}"
        self._namespace[name] = value
        return self.name(name)

    def call(self, function: Callable[..., object], *arguments: ast.expr) -> ast.expr:
        """Call one of the product's own functions."""
        name = f"_{function.__name__}"
        assert self._namespace.setdefault(name, function) is function
        return ast.Call(self.name(name), list(arguments), [])

    def method(self, owner: ast.expr, method: str, *arguments: ast.expr) -> ast.expr:
        """Call a method of a local value; the allow-list says which."""
        return ast.Call(ast.Attribute(owner, method, ast.Load()), list(arguments), [])

    def temporary(self) -> str:
        """Return the name of a new local variable."""
        self._temporaries += 1
        return f"_temporary_{self._temporaries}"

    def build(self, statements: Sequence[ast.stmt]) -> FunctionType:
        """Compile the function with `statements` as its body."""
        arguments = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(name) for name in self._parameters],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        definition = ast.FunctionDef("compiled", arguments, list(statements), [])
        module = ast.fix_missing_locations(ast.Module([definition], []))
        self._seal(module)
        scope = dict(self._namespace)
        code = compile(module, "<bundle>", "exec", dont_inherit=True, optimize=2)
        exec(code, scope)  # noqa: S102  the code object was built from allow-listed nodes just above
        function = scope["compiled"]
        assert isinstance(function, FunctionType)
        return function

    def build_expression(self, result: ast.expr, before: Sequence[ast.stmt] = ()) -> FunctionType:
        """Compile a function that returns `result`, after the statements `before`."""
        return self.build([*before, ast.Return(result)])

    def _seal(self, module: ast.Module) -> None:
        """Hold the finished tree against the allow-list; a failure is a defect of this product."""
        known = {*self._parameters, *self._namespace, *(f"_temporary_{n + 1}" for n in range(self._temporaries))}
        for node in ast.walk(module):
            assert isinstance(node, _ALLOWED_NODES), type(node)
            assert not isinstance(node, ast.Name) or node.id in known, node
            assert not isinstance(node, ast.Attribute) or node.attr in _ALLOWED_ATTRIBUTES, node
            assert not isinstance(node, ast.Call) or isinstance(node.func, ast.Name | ast.Attribute), node

    def _pair(self, tag: str, body: object) -> ast.expr:
        assert isinstance(body, list)
        if tag in {"eq", "ne"}:
            for literal, other in (body, reversed(body)):
                if "lit" in literal and literal["lit"].keys() & {"null", "string"}:
                    return self._compare_with_literal(tag, literal["lit"], other)
        return self.call(_PAIR_FUNCTIONS[tag], *map(self.expression, body))

    def _compare_with_literal(self, tag: str, literal: dict[str, object], other: grammar.Node) -> ast.expr:
        """Compare with null or text, where Python's own comparison is the language's."""
        if "null" in literal:
            return self._is_null(other, ast.Is() if tag == "eq" else ast.IsNot())
        operator = ast.Eq() if tag == "eq" else ast.NotEq()
        return ast.Compare(self.expression(other), [operator], [self.constant(literal["string"])])

    def _lower_lit(self, body: dict[str, object]) -> ast.expr:
        ((kind, value),) = body.items()
        if kind == "null":
            return ast.Constant(None)
        return self.constant(values.number(value) if isinstance(value, float) else value)

    def _lower_var(self, body: dict[str, object]) -> ast.expr:
        ((name, argument),) = body.items()
        if name in grammar.FLAG_VARIABLES:
            return self._variable(self, name, None)
        assert isinstance(argument, dict)
        return self._variable(self, name, argument[grammar.FIELD_VARIABLES[name]])

    def _lower_get(self, body: dict[str, object]) -> ast.expr:
        steps = values.path_steps(str(body["path"]))
        return self.call(values.get_path, self._part(body, "expr"), self.constant(steps))

    def _lower_has(self, body: dict[str, object]) -> ast.expr:
        steps = values.path_steps(str(body["path"]))
        return self.call(values.has_path, self._part(body, "expr"), self.constant(steps))

    def _lower_obj(self, body: dict[str, dict[str, grammar.Node]]) -> ast.expr:
        fields = body["fields"]
        built = ast.Dict([ast.Constant(key) for key in fields], list(map(self.expression, fields.values())))
        names: list[grammar.Node] = [{"lit": {"string": key}} for key in fields]
        return self._bounded(built, [*fields.values(), *names])

    def _lower_arr(self, body: dict[str, list[grammar.Node]]) -> ast.expr:
        return self._bounded(ast.List(list(map(self.expression, body["items"])), ast.Load()), body["items"])

    def _bounded(self, built: ast.expr, items: Sequence[grammar.Node]) -> ast.expr:
        """Guard a built value, unless its items are so light that no expression could exceed the limits."""
        if all(map(_is_light, items)):
            return built
        return self.call(values.bounded, built)

    def _lower_not(self, body: grammar.Node) -> ast.expr:
        return ast.UnaryOp(ast.Not(), self.condition(body))

    def _lower_bool(self, body: grammar.Node) -> ast.expr:
        return ast.IfExp(self.condition(body), ast.Constant(value=True), ast.Constant(value=False))

    def _lower_is_null(self, body: grammar.Node) -> ast.expr:
        return self._is_null(body, ast.Is())

    def _is_null(self, node: grammar.Node, operator: ast.Is | ast.IsNot) -> ast.expr:
        """Compare with null; a constant is compared at once, since Python warns of `is` with a literal."""
        value = self.expression(node)
        if isinstance(value, ast.Constant):
            return ast.Constant((value.value is None) is isinstance(operator, ast.Is))
        return ast.Compare(value, [operator], [ast.Constant(None)])

    def _lower_and(self, body: list[grammar.Node]) -> ast.expr:
        return self._strict("and", body)

    def _lower_or(self, body: list[grammar.Node]) -> ast.expr:
        return self._strict("or", body)

    def _strict(self, tag: str, body: list[grammar.Node]) -> ast.expr:
        chain = self._chain(tag, body)
        if all(item.keys() <= _BOOLEAN_TAGS for item in body):
            return chain
        return ast.IfExp(chain, ast.Constant(value=True), ast.Constant(value=False))

    def _chain(self, tag: str, body: object) -> ast.expr:
        """Join conditions; the result has the right truth, but need not be a boolean."""
        assert isinstance(body, list)
        if len(body) > 1:
            return ast.BoolOp(ast.And() if tag == "and" else ast.Or(), list(map(self._operand(body), body)))
        return self._operand(body)(body[0]) if body else ast.Constant(tag == "and")

    def _operand(self, body: list[grammar.Node]) -> Callable[[grammar.Node], ast.expr]:
        """Lower operands exactly where all of them are booleans, and by truth where that is enough."""
        return self.expression if all(item.keys() <= _BOOLEAN_TAGS for item in body) else self.condition

    def _lower_if(self, body: dict[str, grammar.Node]) -> ast.expr:
        return ast.IfExp(self.condition(body["cond"]), self._part(body, "then"), self._part(body, "else"))

    def _lower_coalesce(self, body: list[grammar.Node]) -> ast.expr:
        """Chain the operands flat, however many: ``t if (t := a) is not None or (t := b) is not None else t``."""
        if not body:
            return ast.Constant(None)
        name = self.temporary()
        found: list[ast.expr] = [
            ast.Compare(
                ast.NamedExpr(ast.Name(name, ast.Store()), self.expression(item)), [ast.IsNot()], [ast.Constant(None)]
            )
            for item in body
        ]
        test = ast.BoolOp(ast.Or(), found) if len(found) > 1 else found[0]
        return ast.IfExp(test, self.name(name), ast.Constant(None))

    def _lower_in(self, body: dict[str, grammar.Node]) -> ast.expr:
        return self.call(values.contains, self._part(body, "needle"), self._part(body, "haystack"))

    def _lower_map_enum(self, body: dict[str, object]) -> ast.expr:
        mapping = body["mapping"]
        assert isinstance(mapping, dict)
        return self.call(values.mapped, self._part(body, "expr"), self.constant(dict(mapping)))

    def _lower_call(self, body: dict[str, object]) -> ast.expr:
        function, arguments = body["fn"], body["args"]
        assert isinstance(arguments, list)
        lowered = list(map(self.expression, arguments))
        if function in _CALLS:
            return self.call(_CALLS[str(function)], *lowered)
        return self.call(host_call, self.name("environment"), self.constant(function), ast.List(lowered, ast.Load()))

    def _part(self, body: Mapping[str, object], part: str) -> ast.expr:
        node = body[part]
        assert isinstance(node, dict)
        return self.expression(node)


def _is_light(node: grammar.Node) -> bool:
    """Tell whether a value can weigh no more than one node."""
    ((tag, body),) = node.items()
    if tag == "lit":
        assert isinstance(body, dict)
        return len(str(body.get("string", ""))) < CHARACTERS_PER_WEIGHT
    return tag in _LIGHT_TAGS


def host_call(environment: Mapping[str, object], function: str, arguments: list[object]) -> object:
    """Call a function that the host supplies under ``environment["host"]``; null where it supplies none."""
    host = environment.get("host")
    supplied = host.get(function) if isinstance(host, dict) else None
    return supplied(*arguments) if callable(supplied) else None


def payload_path(builder: FunctionBuilder, payload: ast.expr, path: str) -> ast.expr:
    """Lower the reading of a path in a payload, which is known to be an object."""
    steps = values.path_steps(path)
    if len(steps) == 1:
        return builder.method(payload, "get", ast.Constant(steps[0]))
    return builder.call(values.get_path, payload, builder.constant(steps))


def _environment_variable(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
    """Read a variable from an environment mapping."""
    environment = builder.name("environment")
    if argument is None:
        missing = [ast.Constant("")] if name == "state" else []
        return builder.method(environment, "get", ast.Constant(name), *missing)
    if name in {"e_payload", "payload"}:
        steps = builder.constant(values.path_steps(argument))
        return builder.call(values.get_path, builder.method(environment, "get", ast.Constant(name)), steps)
    return builder.call(values.lookup, environment, ast.Constant(name), ast.Constant(argument))


def compile_expression(node: grammar.Node) -> Callable[[Mapping[str, object]], object]:
    """Compile a checked expression into a function of an environment.

    The environment may hold now, actor, state, input, attrs, row, arg, rows_count, agg, e_type,
    e_actor, e_time, e_payload and payload; what it does not hold reads as null (state as "").
    """
    builder = FunctionBuilder(("environment",), _environment_variable)
    before = builder.keep_repeated([node])
    return builder.build_expression(builder.expression(node), before)
