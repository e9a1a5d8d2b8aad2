"""Formulas of the contract: whole numbers that follow from the sizes and the whole numbers of a call."""

from __future__ import annotations

import ast
from collections.abc import Mapping

_OPS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "/", ast.Div: "/"}


class Formula:
    """A formula of names, whole numbers, ``+ - * /`` and parentheses; ``/`` rounds down.

    Args:
        text: as it stands in the contract.

    Attributes:
        code: the formula as postfix, which the compiled binding evaluates as well: names, numbers and operators.

    Raises:
        ValueError: where the text has anything else.

    >>> out = Formula("(H + 2*P - KH)/S + 1")
    >>> out({"H": 7, "P": 1, "KH": 3, "S": 2})
    4
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.code: tuple[str, ...] = tuple(_postfix(ast.parse(text, mode="eval").body, text))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in the formula, in order of appearance."""
        return tuple(dict.fromkeys(word for word in self.code if word.isidentifier()))

    def __call__(self, values: Mapping[str, int]) -> int:
        """Compute it.

        Raises:
            ZeroDivisionError: where it divides by a 0 among the values.
        """
        stack: list[int] = []
        for word in self.code:
            if word in _OPS.values():
                right, left = stack.pop(), stack.pop()
                stack.append(
                    left + right
                    if word == "+"
                    else left - right
                    if word == "-"
                    else left * right
                    if word == "*"
                    else left // right
                )
            else:
                stack.append(int(word) if word.isdigit() else values[word])
        return stack[0]

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"


def _postfix(node: ast.expr, text: str) -> list[str]:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPS:
        return [*_postfix(node.left, text), *_postfix(node.right, text), _OPS[type(node.op)]]
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return [str(node.value)]
    raise ValueError(f"kernel spec: cannot read {ast.unparse(node)!r} in the formula {text!r}")
