"""Text from a history, made safe for a terminal.

Ids and messages may hold control characters, escape sequences, or marks that turn the direction of
writing. They are shown as escapes, so that nothing in a history can move the cursor, colour a
verdict, or hide what it says.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Final

VALUE_CHARACTERS_MAX: Final = 120
"""Characters of a value shown in a summary; the report holds the whole."""


_USERINFO: Final = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s/?#:@'\"]*):[^\s]*@", re.IGNORECASE)
_USERINFO_OF_URL: Final = re.compile(r"^(?P<before>[^:]*://[^/?#:@]*):.*@", re.DOTALL)
_PARAMETER: Final = re.compile(r"(?P<before>\b\w*password=)[^\s&'\"]+", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Return a text in which the passwords of URLs are hidden, whatever wrote it."""
    return _PARAMETER.sub(r"\g<before>***", _USERINFO.sub(r"\g<before>:***@", text))


def shown_url(url: str) -> str:
    """Return the URL of a store as a command may show it: with *** where the password has to be typed again."""
    return without_passwords(_USERINFO_OF_URL.sub(r"\g<before>:***@", url))


def printable(text: str) -> str:
    """Return the text with every character that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def shortened(text: str, characters_max: int = VALUE_CHARACTERS_MAX) -> str:
    """Return a printable text that ends after some characters, saying how many there are."""
    if len(text) <= characters_max:
        return printable(text)
    return f"{printable(text[:characters_max])}... ({len(text)} characters)"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun, thousands apart: `1 event`, `28,313 events`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def value_text(value: object) -> str:
    """Write a JSON value for people, in one line; what is nested deeper than Python follows is named only."""
    try:
        return shortened(json.dumps(value, ensure_ascii=False, sort_keys=True))
    except (RecursionError, ValueError):  # ValueError: an integer of more digits than Python writes
        return f"({type(value).__name__} too large to show)"


def shell_word(word: str) -> str:
    """Quote a word for the shell, so that the command shown can be typed as it stands."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(_shell_escaped(char) for char in word)
    return f"$'{escaped}'"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _shell_escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
