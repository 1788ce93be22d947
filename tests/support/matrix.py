"""The fault x rule matrix as text: a line a fault, a column a family of rules, and in each cell the numbers of its rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CODE = 3
"""Letters of a rule's family."""


@dataclass(frozen=True)
class Cell:
    """What one fault should make fire, and what fired."""

    expected: frozenset[str]
    found: frozenset[str]

    def of(self, family: str) -> str:
        """Numbers of a family's rules; `!` before one that should not have fired, `?` before one that should have."""
        marks = dict.fromkeys(self.expected & self.found, "")
        marks |= dict.fromkeys(self.found - self.expected, "!")
        marks |= dict.fromkeys(self.expected - self.found, "?")
        return " ".join(mark + code[CODE:] for code, mark in sorted(marks.items()) if code[:CODE] == family)


def render(cells: Mapping[str, Cell], rules: Iterable[str]) -> str:
    """The matrix, then the rules that none of these faults triggers.

    Parameters
    ----------
    cells : mapping of str to Cell
        By the name of the fault.
    rules : iterable of str
        Codes of all rules.
    """
    rules = sorted(rules)
    fired = frozenset().union(*(cell.found for cell in cells.values()))
    families = list(dict.fromkeys(code[:CODE] for code in sorted(fired.union(*(c.expected for c in cells.values())))))
    lines = [["fault", *families]]
    lines += [[name, *(cell.of(family) for family in families)] for name, cell in sorted(cells.items())]
    widths = [max(len(line[place]) for line in lines) for place in range(len(families) + 1)]
    text = ["  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    wrong = sum(cell.expected != cell.found for cell in cells.values())
    text.insert(1, "  ".join("-" * width for width in widths))
    text.append("")
    text.append(
        f"{len(cells)} faults, {len(fired)} of {len(rules)} rules fired, {wrong} with others than named (! too much, ? missing)"
    )
    text.append(f"not fired: {' '.join(code for code in rules if code not in fired) or 'none'}")
    return "\n".join(text)
