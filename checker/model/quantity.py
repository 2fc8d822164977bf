"""Resource quantities: `250m`, `64Mi`, `1.5`, `2e3`.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def quantity(text: str | int | float) -> Decimal:
    """The number that a quantity stands for: cores for CPU, bytes for memory. Raises ValueError for what is none."""
    text = str(text)
    try:
        if text[-2:] in _BINARY:
            return Decimal(text[:-2]) * Decimal(1024) ** _BINARY[text[-2:]]
        if text[-1:] in _DECIMAL:
            return Decimal(text[:-1]).scaleb(_DECIMAL[text[-1]])
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a quantity") from None
