"""What the documents say of the command line is what it does: verbs, flags, help and examples."""

from __future__ import annotations

import contextlib
import re

import click
import pytest

from cicsc.cli.main import cli
from cicsc.errors import UsageError
from docs.documents import CHECKOUT, Shown, markdown_files, name_of, sections, shown_commands

COMMANDS = CHECKOUT / "docs" / "commands.md"
CALL = click.Context(cli)
VERBS = cli.list_commands(CALL)
SHOWN = [
    shown for document in markdown_files() for shown in shown_commands(name_of(document), document.read_text("utf-8"))
]


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_shown_commands_are_accepted(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICSC_STORE", "sqlite:///shop.db")  # as the documents say, where a command names none
    _accept(shown.words)


def test_readme_shows_a_command() -> None:
    assert [shown for shown in SHOWN if shown.document == "README.md"]


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_have_a_summary_and_help_for_each_option(verb: str) -> None:
    command = cli.get_command(CALL, verb)
    silent = [name for name, option in _options(verb).items() if not option.help]

    assert command.get_short_help_str(limit=200).endswith(".")
    assert silent == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_speaks_of_no_flag_that_the_verb_lacks(verb: str) -> None:
    command = cli.get_command(CALL, verb)
    text = command.get_help(click.Context(command, info_name=verb))
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", text))

    assert named - {*_options(verb), "--help"} == set()
    assert "default: (" not in text


def test_help_of_rollback_says_which_flags_go_together() -> None:
    texts = {flag: str(option.help) for flag, option in _options("migration-rollback").items()}

    with_file = {flag for flag, text in texts.items() if text.endswith("Only with --events.")}
    with_store = {flag for flag, text in texts.items() if text.endswith("Only with --store.")}
    assert with_file == {"--to", "--out-events", "--expected-hash", "--metrics-out"}
    assert with_store == {"--max-pause", "--lease", "--operator", "--execute"}


@pytest.mark.parametrize("verb", ["history-verify", "history-replay", "migration-preflight", "migration-dry-run"])
def test_help_says_that_a_store_needs_its_tenants_named(verb: str) -> None:
    assert "of a store, name them or give --all" in str(_options(verb)["--tenant"].help)


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_are_documented_with_every_option_and_an_example(verb: str) -> None:
    section = _section(verb)
    missing = [flag for flag in _options(verb) if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", section)]

    assert missing == []
    assert [shown for shown in shown_commands("docs/commands.md", section) if shown.words[:1] == (verb,)]


def test_documented_verbs_exist() -> None:
    headings = sections(COMMANDS.read_text("utf-8"))

    assert [
        heading for heading in headings if re.fullmatch(r"`[a-z-]+`", heading) and heading.strip("`") not in VERBS
    ] == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("cicsc no-such-verb", "no-such-verb"),
        ("cicsc migration-preflight --no-such-flag", "--no-such-flag"),
        ("cicsc migration-preflight --from a.json", "--migration"),
        ("cicsc migration-preflight --from a --to b --events c --migration d --now soon", "soon"),
        ("cicsc migration-preflight --from a --to b --events c --migration d e", "unexpected"),
    ],
)
def test_a_wrong_command_in_a_document_is_noticed(line: str, complaint: str) -> None:
    (shown,) = shown_commands("a.md", f"```sh\n{line}\n```\n")

    with pytest.raises((UsageError, click.UsageError), match=complaint):
        _accept(shown.words)


def test_commands_are_read_as_the_shell_reads_them() -> None:
    shell = "```console\n$ A=1 cicsc x \\\n    --y 'a b' 2> err | cicsc z - > out && echo cicsc # cicsc no\n```\n"
    text = f"{shell}```text\ncicsc no\n```\n"

    assert [shown.words for shown in shown_commands("a.md", text)] == [("x", "--y", "a b"), ("z", "-")]


def _accept(words: tuple[str, ...]) -> None:
    """Parse as the command line does, without running the verb; raises what it would refuse."""
    root = cli.context_class(cli, info_name="cicsc")
    with root.scope(cleanup=False), contextlib.suppress(click.exceptions.Exit):  # --help and --version end the parsing
        if not words or words[0].startswith("-"):
            cli.parse_args(root, list(words))
            return
        name, command, rest = cli.resolve_command(root, list(words))
        assert command is not None
        command.make_context(name, rest, parent=root)


def _options(verb: str) -> dict[str, click.Option]:
    """The options of a verb by their long flag, `--help` left out."""
    command = cli.get_command(CALL, verb)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {max(option.opts, key=len): option for option in options}


def _section(verb: str) -> str:
    return sections(COMMANDS.read_text("utf-8")).get(f"`{verb}`", "")
