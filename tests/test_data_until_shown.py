"""Cautions and errors are data until somebody shows them: no code reads their sentences back.

What can be seen without types: who takes the words of a caution only shows them, and nobody hands the words of one of
our errors to anything but an error, a printer or a cleaner. Words that reach a string method by way of a variable of
another name are not seen.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from breakeven import errors

SOURCE = Path(__file__).parent.parent / "src" / "breakeven"
WORDS = {"text", "remedy", "seen", "advice"}
CAUTIONS = {"caution", "note", "warned"}
SHOWS = ("report/", "compare/text.py", "findings/ranking.py", "caution.py", "workload/conversation.py")
"""Who may take the words of a caution. A conversation keeps them as its reason for promising no length."""
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
TAKES = OURS | {"ArgumentTypeError", "clean", "one_line", "print"}
"""What may be given the words of an error."""
TEARS = {"partition", "rpartition", "split", "rsplit", "startswith", "endswith", "removeprefix", "removesuffix", "sub"}
TEARS |= {"match", "fullmatch", "search", "findall", "finditer"}


def faults_in(source: str, *, where: str) -> Iterator[str]:
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if is_words_of_a_caution(node):
            if not where.startswith(SHOWS):
                yield f"{where}:{node.lineno}: takes the words of a caution, and is no report"
            if is_torn(node, parents):
                yield f"{where}:{node.lineno}: tears the words of a caution apart"
        if isinstance(node, ast.ExceptHandler) and names(node.type) & OURS:
            for one in ast.walk(node):
                if is_words_of(one, node.name) and (is_torn(one, parents) or is_handed_on(parents[one])):
                    yield f"{where}:{one.lineno}: reads the words of an error"


def is_words_of_a_caution(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr in WORDS and bool(names(node.value) & CAUTIONS)


def is_words_of(node: ast.AST, error: str | None) -> TypeGuard[ast.Call]:
    """`str(error)`."""
    return isinstance(node, ast.Call) and names(node.func) == {"str"} and names(*node.args) == {error}


def is_torn(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """A string method is called on it, or it is given to a pattern."""
    above = parents[node]
    called = above.func if isinstance(above, ast.Call) else above
    return isinstance(called, ast.Attribute) and called.attr in TEARS


def is_handed_on(above: ast.AST) -> bool:
    return isinstance(above, ast.Call) and not names(above.func) & TAKES


def names(*nodes: ast.AST | None) -> set[str]:
    """The last name of each: `b` of `a.b`."""
    found = set()
    for node in nodes:
        for one in node.elts if isinstance(node, ast.Tuple) else [node]:
            found |= {one.id} if isinstance(one, ast.Name) else {one.attr} if isinstance(one, ast.Attribute) else set()
    return found


def test_no_code_reads_the_words_of_a_caution_or_of_an_error() -> None:
    sources = {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    assert [fault for where, source in sources.items() for fault in faults_in(source, where=where)] == []


@pytest.mark.parametrize(
    "source",
    [
        "kind = _FIGURE.sub('#', caution.text)",
        "kind = caution.text.partition(': ')",
        "kinds = [key(one.caution.text) for one in found]",
        "try:\n    f()\nexcept UsageError as error:\n    raise UsageError(by_option(str(error)))",
        "try:\n    f()\nexcept (OSError, UsageError) as error:\n    key = str(error).partition(':')[0]",
    ],
)
def test_what_reads_sentences_back_is_found(source: str) -> None:
    assert list(faults_in(source, where="metrics/alike.py"))
