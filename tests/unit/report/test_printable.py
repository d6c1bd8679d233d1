"""Text made safe for a terminal."""

from __future__ import annotations

import json
import subprocess

import pytest

from cicsc.report.printable import printable, shell_word, shortened, shown_url, value_text, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nb\r\tc\x00", "a\\nb\\r\\tc\\x00"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("no\xa0break\u200b", "no\\xa0break\\u200b"),
        ("\udce9", "\\udce9"),
        ("[red]markup[/red]", "[red]markup[/red]"),
    ],
)
def test_controls_are_visible(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_long_values_say_how_long_they_are() -> None:
    assert shortened("x" * 130) == "x" * 120 + "... (130 characters)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), ("é\x1b", '"é\\u001b"'), ({"b": 1, "a": [True]}, '{"a": [true], "b": 1}'), (1.5, "1.5")],
)
def test_values_are_shown_as_json(value: object, shown: str) -> None:
    assert value_text(value) == shown


def test_values_too_large_for_python_are_named() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    assert value_text(deep) == "(list too large to show)"
    assert value_text(10**5000) == "(int too large to show)"


@pytest.mark.parametrize("word", ["plain", "two words", "it's", "$HOME `x`", "line\nfeed", "\x1b[2J'\\", "é\x7f漢", ""])
def test_words_for_the_shell_come_back_whole(word: str) -> None:
    quoted = shell_word(word)
    answer = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout

    assert answer.decode() == word
    assert json.loads(json.dumps(quoted)).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot reach postgresql://ann:s3cret@h/d: no", "cannot reach postgresql://ann:***@h/d: no"),
        ("postgresql://ann:a:b@c/d@h:5/d", "postgresql://ann:***@h:5/d"),
        ("postgresql://:s3cret@h", "postgresql://:***@h"),
        ("x?user=ann&password=s3cret&sslpassword='s3cret", "x?user=ann&password=***&sslpassword='s3cret"),
        ("(postgresql://ann@h:5432/d)", "(postgresql://ann@h:5432/d)"),
        ("sqlite:///a:b.db", "sqlite:///a:b.db"),
        ("a plain text: with @ and :// in it", "a plain text: with @ and :// in it"),
    ],
)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_url_with_a_space_in_its_password() -> None:
    assert shown_url("postgresql://ann:my secret@h/d") == "postgresql://ann:***@h/d"
