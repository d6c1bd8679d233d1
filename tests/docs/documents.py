"""The documents of the checkout: which files there are, their headings and links, and the command lines they show."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^\s*(?P<marks>`{3,}|~{3,})(?P<language>[\w-]*)")
_LINK = re.compile(r"\[[^\]]*\]\(<?(?P<target>(?:[^()<>\s]|\([^()]*\))+)>?(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)")
_HEADING = re.compile(r"^#{1,6}\s+(?P<text>.*?)\s*#*$")
_ENDS_OF_COMMAND = frozenset({"|", "||", "&&", "&", ";", "(", ")", "|&"})
_SHOWN_OUTPUT = frozenset({"text", "json", "jsonl", "python", "sql", "toml", "yaml", "diff", "mermaid"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A `cicsc` command line as a document shows it."""

    document: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Where it stands and what it says, for the name of a test."""
        return f"{self.document}:{self.line} {' '.join(self.words)}"


def tracked_files() -> list[Path]:
    """Every file of the project: committed, or new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    ).stdout
    paths = (CHECKOUT / name for name in listing.decode().split("\0") if name)
    return sorted(path for path in set(paths) if path.is_file())


def markdown_files() -> list[Path]:
    """Every document, by its path."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def name_of(path: Path) -> str:
    """The path inside the checkout, as messages and test names show it."""
    return path.relative_to(CHECKOUT).as_posix()


def links(text: str) -> list[str]:
    """The targets of all links outside fenced blocks and code spans."""
    prose = "\n".join(line for _, language, line in _lines(text) if language is None)
    return [match["target"] for match in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose))]


def headings(text: str) -> list[str]:
    """The texts of all headings, in order."""
    lines = (line for _, language, line in _lines(text) if language is None)
    return [match["text"] for line in lines if (match := _HEADING.match(line))]


def anchors(text: str) -> set[str]:
    """The anchors that the headings get where the documents are read: lower case, words joined by hyphens."""
    found: set[str] = set()
    for heading in headings(text):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        repeats = sum(1 for other in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", other))
        found.add(f"{anchor}-{repeats}" if repeats else anchor)
    return found


def sections(text: str) -> dict[str, str]:
    """The text under each heading, up to the next one of its level or above; fenced blocks included."""
    found: dict[str, list[str]] = {}
    open_headings: list[tuple[int, str]] = []
    for _, language, line in _lines(text, fences=True):
        match = _HEADING.match(line) if language is None else None
        if match:
            level = len(line) - len(line.lstrip("#"))
            open_headings = [(other, heading) for other, heading in open_headings if other < level]
            open_headings.append((level, match["text"]))
        for _, heading in open_headings:
            found.setdefault(heading, []).append(line)
    return {heading: "\n".join(lines) for heading, lines in found.items()}


def shown_commands(document: str, text: str) -> list[Shown]:
    """Every call of `cicsc` in the fenced blocks that hold command lines."""
    return [Shown(document, number, words) for number, line in _command_lines(text) for words in _calls(line)]


def shell_script(text: str) -> str:
    """The shell blocks that begin with a call of `cicsc`, or by naming its store, as one script in their order."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return "".join(block for block in blocks if re.match(r" *(?:cicsc |export CICSC_STORE=)", block))


def _lines(text: str, *, fences: bool = False) -> Iterator[tuple[int, str | None, str]]:
    """Line number, language of the fenced block (`None` outside, "" without a language) and the line itself."""
    closing, language = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if language is None and fence:
            closing, language = fence["marks"], fence["language"].lower()
        elif language is not None and line.strip().startswith(closing) and not line.strip().strip(closing[0]):
            language = None
        else:
            yield number, language, line
            continue
        if fences:
            yield number, "", line


def _command_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of shell blocks, continued lines joined and the prompt taken off."""
    begun, pending = 0, ""
    for number, language, line in _lines(text):
        if language is None or language in _SHOWN_OUTPUT:
            begun, pending = 0, ""
            continue
        begun = begun or number
        pending += re.sub(r"^\s*\$ ", "", line)
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        yield begun, pending
        begun, pending = 0, ""


def _calls(line: str) -> Iterator[tuple[str, ...]]:
    """The calls of `cicsc` in one shell line: the words after the name, without redirections."""
    if not re.search(r"\bcicsc\b", line):
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ENDS_OF_COMMAND:
            yield from _call(words)
            words = []
        else:
            words.append(word)


def _call(words: list[str]) -> Iterator[tuple[str, ...]]:
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if words and words[0] == "cicsc":
        yield tuple(_without_redirections(words[1:]))


def _without_redirections(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    held: list[str] = []
    for word in rest:
        if word and set(word) <= set("<>&") and set(word) & set("<>"):
            next(rest, None)
            held = [] if held and held[0] in {"1", "2"} else held
            continue
        yield from held
        held = [word]
    yield from held
