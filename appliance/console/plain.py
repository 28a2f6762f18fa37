"""Text from outside, made harmless: nothing in it steers a terminal, runs over a line, or turns its direction."""

from __future__ import annotations


def plain(text: str) -> str:
    """Printable characters as they are, each other one (control, bidirectional, unassigned) as a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)
