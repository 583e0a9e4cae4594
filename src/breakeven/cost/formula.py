"""A formula is one text: shown to people, worked out with NumPy, and compiled to the page's JavaScript."""

import ast
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType
from typing import Any, Final

import numpy as np

from breakeven.cost.primitives import PRIMITIVES, Array

_SIGNS: Final[dict[type[ast.operator], tuple[str, int]]] = {
    ast.Add: ("+", 1),
    ast.Sub: ("-", 1),
    ast.Mult: ("*", 2),
    ast.Div: ("/", 2),
    ast.Pow: ("**", 4),
}
_UNARY: Final = 3
_WHOLE: Final = 5


@cache
def _tree(text: str) -> ast.expr:
    """The parsed text; ValueError where it holds anything but numbers, names, + - * / ** and calls of PRIMITIVES."""
    tree = ast.parse(text, mode="eval").body
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        good = (
            (isinstance(node, ast.Name) and (node.id in PRIMITIVES) == (id(node) in called))
            or isinstance(node, ast.Load | ast.operator | ast.unaryop)
            or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))
            or (isinstance(node, ast.BinOp) and type(node.op) in _SIGNS)
            or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))
            or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords)
        )
        if not good:
            raise ValueError(f"{text}: a formula cannot hold {ast.unparse(node)}")
    return tree


@cache
def needs(text: str) -> tuple[str, ...]:
    """Names of what goes in, in the order in which they stand there."""
    names = [node for node in ast.walk(_tree(text)) if isinstance(node, ast.Name) and node.id not in PRIMITIVES]
    return tuple(dict.fromkeys(node.id for node in sorted(names, key=lambda node: node.col_offset)))


@cache
def _code(text: str) -> CodeType:
    return compile(ast.Expression(_tree(text)), text, "eval")


def work_out(text: str, values: Mapping[str, Array]) -> Array:
    """The formula's value for columns by name; KeyError where one is missing."""
    names = {name: values[name] for name in needs(text)}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.atleast_1d(np.asarray(eval(_code(text), {"__builtins__": {}, **PRIMITIVES}, names), dtype=np.float64))


def javascript(text: str) -> str:
    """The same as a JavaScript expression: inputs are members of `v`, primitives of `F`."""
    return _written(
        _tree(text),
        name=lambda name: f"v.{name}",
        number=repr,
        call=lambda node, parts: _called(f"F.{_of(node)}", parts),
    )


def readable(text: str) -> str:
    """The formula for people: × and ^, and what merely guards a division written as the division."""
    return _signs(_written(_tree(text), name=str, number=repr, call=_shown))


def put_in(text: str, values: Mapping[str, Array], *, show: Callable[[float], str]) -> str:
    """The readable formula with numbers for names; a function of time stands as what it comes to."""

    def call(node: ast.Call, parts: list[tuple[str, int]]) -> tuple[str, int]:
        if _of(node) in ("over", "known", "within"):
            return _shown(node, parts)
        if _of(node) == "repaid_h" and not any(_value(one, values) for one in node.args[3:]):
            return _divided(parts)
        return show(_value(node, values)), _WHOLE

    def name(of: str) -> str:
        return show(float(values[of].ravel()[0]))

    return _signs(_written(_tree(text), name=name, number=lambda value: show(float(value)), call=call))


def _value(node: ast.expr, values: Mapping[str, Array]) -> float:
    return float(work_out(ast.unparse(node), values)[0])


def _of(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    return node.func.id


def _called(name: str, parts: list[tuple[str, int]]) -> tuple[str, int]:
    return f"{name}({', '.join(text for text, _ in parts)})", _WHOLE


def _shown(node: ast.Call, parts: list[tuple[str, int]]) -> tuple[str, int]:
    if _of(node) == "over":
        return _divided(parts)
    return parts[0] if _of(node) in ("known", "within") else _called(_of(node), parts)


def _divided(parts: list[tuple[str, int]]) -> tuple[str, int]:
    return f"{_in(parts[0], 2)} / {_in(parts[1], 3)}", 2


def _in(part: tuple[str, int], least: int) -> str:
    text, binds = part
    return text if binds >= least else f"({text})"


def _signs(text: str) -> str:
    return text.replace("**", "^").replace(" * ", " × ")


def _written(
    tree: ast.expr,
    *,
    name: Callable[[str], str],
    number: Callable[[Any], str],
    call: Callable[[ast.Call, list[tuple[str, int]]], tuple[str, int]],
) -> str:
    """The tree as text, with as few brackets as it needs."""

    def write(node: ast.expr) -> tuple[str, int]:
        match node:
            case ast.Constant(value=value):
                return number(value), _WHOLE
            case ast.Name(id=name_):
                return name(name_), _WHOLE
            case ast.UnaryOp(operand=operand):
                return f"-{_in(write(operand), _UNARY)}", _UNARY
            case ast.BinOp(left=left, op=op, right=right):
                sign, binds = _SIGNS[type(op)]
                power = sign == "**"
                first, second = _in(write(left), _WHOLE if power else binds), _in(write(right), binds + (not power))
                return f"{first} {sign} {second}" if not power else f"{first}**{second}", binds
            case ast.Call():
                return call(node, [write(one) for one in node.args])
        raise ValueError(ast.unparse(node))

    return write(tree)[0]
