"""The generated pages of the reference are what the code says now, and leave nothing out."""

import click
import generate
import pytest

from reconciler.core.exits import Exit
from reconciler.kinds import discover
from reconciler.manifest.schema import schema


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_written_page_is_fresh(name: str) -> None:
    assert (generate.DIRECTORY / name).read_text() == generate.PAGES[name](), "run: make docs"


@pytest.mark.parametrize("path", [path for path, _ in generate.every_command()])
def test_every_option_of_a_command_is_told(path: str) -> None:
    command = dict(generate.every_command())[path]
    whole = generate.commands()
    _, _, after = whole.partition(f"# {path}\n")
    section = after.partition("\n#")[0] + whole.partition("## Common options")[2].partition("\n## ")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(f"`{name}`" in section for name in parameter.opts), parameter.name
        else:
            assert str(parameter.name).upper() in section or isinstance(parameter.type, click.Choice)


def test_every_field_of_the_manifest_is_told() -> None:
    whole, text = schema(discover()), generate.manifest()
    sections = {"The file": whole, **whole["$defs"]}
    for title, section in sections.items():
        told = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        fields = () if title == "Defaults" else section.get("properties", ())
        assert not [field for field in fields if f"| `{field}` |" not in told], title


def test_every_error_has_a_code_of_its_own_a_known_exit_code_and_a_remedy() -> None:
    found = generate.every_error()
    assert len({error.code for error in found}) == len(found)
    assert {int(error.exit_code) for error in found} <= {int(code) for code in Exit}
    assert all(len(error.remedy) > 10 for error in found)


def test_exit_codes_go_up_and_all_say_something() -> None:
    assert [int(code) for code in Exit] == sorted(int(code) for code in Exit)
    assert all(code.meaning for code in Exit)
