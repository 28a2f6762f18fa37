"""Consensus code is integers and decisions: no float, no clock, no chance, no I/O, no unordered loop."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("chain/ledger", "chain/consensus")
FORBIDDEN_IMPORTS = (
    "time", "random", "os", "datetime", "socket", "secrets", "uuid", "subprocess", "threading", "asyncio", "select",
    "urllib", "http", "requests", "locale", "decimal", "fractions", "statistics", "numpy", "lmdb", "sqlite3",
)  # fmt: skip
FORBIDDEN_CALLS = ("hash", "float", "id", "open", "input", "print", "eval", "exec", "__import__", "vars", "globals")
SET_NAMES = ("set", "frozenset", "Set", "AbstractSet", "MutableSet")
ORDERED_BY = ("sorted", "len", "sum", "min", "max", "any", "all", "set", "frozenset")


def consensus_files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", consensus_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_impurity_in(path: Path) -> None:
    assert impurities(path.read_text(encoding="utf-8")) == []


def test_the_ledger_is_among_the_files() -> None:
    assert ROOT / "chain/ledger/machine.py" in consensus_files()


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 0.5", "float literal"),
        ("x = 1e3", "float literal"),
        ("x = 1j", "float literal"),
        ("x = a / b", "true division"),
        ("x /= 2", "true division"),
        ("x = 2 ** -1", "negative power"),
        ("import time", "import of time"),
        ("from datetime import UTC", "import of datetime"),
        ("import os.path", "import of os"),
        ("x = hash(y)", "call of hash"),
        ("x = float(y)", "call of float"),
        ("for x in {1, 2}: pass", "iteration over a set"),
        ("for x in set(y): pass", "iteration over a set"),
        ("x = [y for y in {z for z in w}]", "iteration over a set"),
        ("s = set(a)\nfor x in s: pass", "iteration over a set"),
        ("def f(s: set[int]): return [x for x in s]", "iteration over a set"),
        ("s: frozenset[int] = f()\nx = list(s)", "iteration over a set"),
        ("s = {1} | {2}\nx = tuple(s)", "iteration over a set"),
        ("self.s: set[int] = set()\nfor x in self.s: pass", "iteration over a set"),
        ("s = set(a)\nx = s.pop()", "iteration over a set"),
        ("x = b','.join({b'1'})", "iteration over a set"),
        ("x = d.popitem()", "popitem"),
    ],
)
def test_the_lint_refuses(source: str, complaint: str) -> None:
    assert any(complaint in found for found in impurities(source))


@pytest.mark.parametrize(
    "source",
    [
        "x = a // b",
        "for x in sorted({1, 2}): pass",
        "s = set(a)\nx = 1 in s",
        "s = set(a)\nx = len(s)",
        "for x in [1, 2]: pass",
        "d = {1: 2}\nfor x in d: pass",
        "x = 2 ** 10",
    ],
)
def test_the_lint_accepts(source: str) -> None:
    assert impurities(source) == []


def impurities(source: str) -> list[str]:
    """What the source does that consensus code must not, as "line: what"."""
    tree = ast.parse(source)
    sets = _set_names(tree)
    found = []
    for node in ast.walk(tree):
        complaint = _complaint(node, sets)
        if complaint:
            found.append(f"{getattr(node, 'lineno', 0)}: {complaint}")
    return found


def _complaint(node: ast.AST, sets: frozenset[str]) -> str | None:
    match node:
        case ast.Constant(value=float() | complex()):
            return "float literal"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division"
        case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub())):
            return "negative power"
        case ast.Import(names=names):
            return _forbidden_import([name.name for name in names])
        case ast.ImportFrom(module=str(module), level=0):
            return _forbidden_import([module])
        case ast.For(iter=over) | ast.comprehension(iter=over) if _is_set(over, sets):
            return "iteration over a set"
        case ast.Starred(value=over) if _is_set(over, sets):
            return "iteration over a set"
        case ast.Call():
            return _forbidden_call(node, sets)
    return None


def _forbidden_import(modules: list[str]) -> str | None:
    roots = [module.partition(".")[0] for module in modules]
    return next((f"import of {root}" for root in roots if root in FORBIDDEN_IMPORTS), None)


def _forbidden_call(call: ast.Call, sets: frozenset[str]) -> str | None:
    match call.func:
        case ast.Name(id=name):
            if name in FORBIDDEN_CALLS:
                return f"call of {name}"
            if name not in ORDERED_BY and any(_is_set(argument, sets) for argument in call.args[:1]):
                return "iteration over a set" if name in ("list", "tuple", "iter", "enumerate", "dict") else None
        case ast.Attribute(attr="popitem"):
            return "popitem takes whatever is last"
        case ast.Attribute(attr="pop", value=over) if not call.args and _is_set(over, sets):
            return "iteration over a set"
        case ast.Attribute(attr="join" | "fromkeys" | "extend") if any(_is_set(arg, sets) for arg in call.args):
            return "iteration over a set"
    return None


def _set_names(tree: ast.AST) -> frozenset[str]:
    """Names and attributes that are given a set anywhere, or are annotated as one."""
    names = set()
    for _ in range(2):
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=targets, value=value) if _is_set(value, frozenset(names)):
                    names |= {ast.unparse(target) for target in targets}
                case ast.AnnAssign(target=target, annotation=annotation) if _is_set_type(annotation):
                    names.add(ast.unparse(target))
                case ast.arg(arg=name, annotation=annotation) if annotation is not None and _is_set_type(annotation):
                    names.add(name)
    return frozenset(names)


def _is_set(node: ast.AST, names: frozenset[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
            return _is_set(left, names) or _is_set(right, names)
        case ast.Name() | ast.Attribute():
            return ast.unparse(node) in names
    return False


def _is_set_type(annotation: ast.AST) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return ast.unparse(outer).rpartition(".")[2] in SET_NAMES
