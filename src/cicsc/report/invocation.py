"""A call of the command line as data, so that a summary can show the command to type next."""

from __future__ import annotations

from dataclasses import dataclass

from cicsc.report.printable import shell_word


@dataclass(frozen=True, slots=True)
class Invocation:
    """A verb with its words in order: (flag, value), where a switch has no value and a plain argument no flag."""

    verb: str
    words: tuple[tuple[str, str | None], ...]

    def value(self, flag: str) -> str | None:
        """Return the value of a flag that is given at most once."""
        return next((value for name, value in self.words if name == flag), None)

    def then(self, verb: str, *flags: str) -> Invocation:
        """Return another verb with some of this call's flags."""
        return Invocation(verb, tuple(word for word in self.words if word[0] in flags))

    def plus(self, flag: str, value: str | None = None) -> Invocation:
        """Return the call with one more flag."""
        return Invocation(self.verb, (*self.words, (flag, value)))

    def renamed(self, before: str, after: str) -> Invocation:
        """Return the call with one flag under another name."""
        return Invocation(self.verb, tuple((after if flag == before else flag, value) for flag, value in self.words))

    def replaced(self, flag: str, value: str) -> Invocation:
        """Return the call with another value for one flag, whether or not it has one."""
        return Invocation(self.verb, tuple(word for word in self.words if word[0] != flag)).plus(flag, value)

    def lines(self, width: int) -> list[str]:
        """Write the command for a shell: in one line where it fits into `width`, else one flag a line."""
        parts = [" ".join(_words(flag, value)) for flag, value in self.words]
        whole = " ".join(["cicsc", self.verb, *parts])
        if len(whole) <= width or not parts:
            return [whole]
        return [f"cicsc {self.verb} \\", *(f"  {part} \\" for part in parts[:-1]), f"  {parts[-1]}"]


def _words(flag: str, value: str | None) -> list[str]:
    if value is None or not flag:
        return [flag or shell_word(value or "")]
    if value.startswith("-") and value != "-":
        return [f"{flag}={shell_word(value)}"]
    return [flag, shell_word(value)]
