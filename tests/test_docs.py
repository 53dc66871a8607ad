"""The documentation against the program: commands and options that it names exist, links lead somewhere, and pages of
users open with what they want to do."""

from __future__ import annotations

import argparse
import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from mousefacelift.cli import GROUPS, SINGLE, build_parser
from mousefacelift.schema import complete
from mousefacelift.virtual.config import Degradations, VirtualConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Of these a user is no reader, or they are an answer rather than a tool.
NO_TASK = {"architecture", "contributing", "experiment", "formats", "log", "performance", "rendering", "first_look"}
NO_TASK |= {"one_picture", "real_recordings"}  # open with the command itself


@cache
def commands() -> dict[tuple[str, ...], dict[str, argparse.Action]]:
    """Words of every command of the program -> its options."""
    found = {}
    for group in (*GROUPS, *SINGLE):
        parser = choices(build_parser(group))[group]
        if group in SINGLE:
            found[group,] = parser._option_string_actions
        for name, inner in choices(parser).items():
            found[group, name] = inner._option_string_actions
    return found


def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below a parser, by name."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return below[0].choices if below else {}


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_that_a_page_names_exist_and_have_its_options(page):
    text = page.read_text().replace("\\\n", " ")
    wrong = []
    for line in re.findall(r"mousefacelift ([a-z][^\n`|;]*)", text):
        words = line.split()
        if words[0] in SINGLE:
            name = (words[0],)
        elif words[0] in GROUPS and len(words) > 1 and re.fullmatch(r"[a-z][a-z-]+", words[1]):
            name = (words[0], words[1])
        else:
            continue  # prose
        if name not in commands():
            wrong.append(f"mousefacelift {' '.join(name)}: no such command")
            continue
        options = re.findall(r"(?<=[\s\[])--[a-z][a-z0-9-]*", line)
        wrong += [f"mousefacelift {' '.join(name)} {option}" for option in options if option not in commands()[name]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, part = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            broken.append(target)
        elif part and file.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
            broken += [] if part in {anchor(heading) for heading in headings} else [target]
    assert not broken, broken


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if page.stem not in NO_TASK], ids=lambda page: page.stem)
def test_a_users_page_opens_with_a_task(page):
    opening = page.read_text().splitlines()[1:12]
    assert any("you want to" in line.lower() or line.startswith("    mousefacelift") for line in opening)


NAMED = re.compile(r"(?<![\w/.*])((?:tests|benchmarks|workflow|findings|docs|envs)/[\w/.-]+\.(?:py|sh|smk|yaml|md))\b")


def test_files_that_pages_and_code_name_exist():
    named = [*PAGES, *(ROOT / "mousefacelift").rglob("*.py"), *(ROOT / "benchmarks").glob("*"), ROOT / "Makefile"]
    named += [*(ROOT / "workflow").rglob("*.smk"), *(ROOT / "tests").rglob("*.py")]
    wrong = []
    for path in named:
        text = path.read_text() if path.is_file() else ""
        wrong += [
            f"{path.relative_to(ROOT)}: {name}"
            for name in NAMED.findall(text)
            if not (ROOT / name).exists() and "NAME" not in name
        ]
    assert not wrong, "\n".join(wrong)


def key_exists(key: str, config: dict) -> bool:
    for part in key.split("."):
        config = config.get("mouse1", config) if part not in config else config  # a recording's own name
        if not isinstance(config, dict) or part not in config:
            return False
        config = config[part]
    return True


def told_keys(text: str, config: dict) -> list[str]:
    """Dotted names that begin with a section of config.yaml and are none of its keys; files and code left out."""
    found = re.findall(rf"(?<![\w./-])((?:{'|'.join(config)})(?:\.[a-z_]+)+)(?![\w(/])", text)
    files = r"\.(py|json|md|npz|npy|parquet|csv|png|html|smk|yaml|txt|css|js|safetensors)$"
    code = {"dataset.loader.load_sample", "prior.weights"}
    modules = {
        key
        for key in found
        if any((ROOT / "mousefacelift" / key.replace(".", "/")).parent.glob(key.split(".")[-1] + "*"))
    }
    return [
        key for key in found if not re.search(files, key) and key not in code | modules and not key_exists(key, config)
    ]


def test_keys_that_messages_and_pages_name_are_those_of_today():
    config, wrong = complete({"recordings": {"mouse1": {}}}), []
    for path in sorted((ROOT / "mousefacelift").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                wrong += [f"{path.name}:{node.lineno} {key}" for key in told_keys(node.value, config)]
    for page in PAGES:
        text = page.read_text().split("## Keys of earlier versions")[0]  # the table of old names
        wrong += [f"{page.name} {key}" for key in told_keys(text, config)]
    assert not wrong, "\n".join(wrong)
    assert told_keys("set distill.prompt_embeddings", config) == ["distill.prompt_embeddings"]


def test_defaults_that_the_page_of_the_virtual_recording_states_are_those_of_the_code():
    defaults = {f.name: getattr(VirtualConfig(), f.name) for f in fields(VirtualConfig)}
    defaults |= {f.name: getattr(Degradations(), f.name) for f in fields(Degradations)}
    page, stated = (ROOT / "docs/virtual_recording.md").read_text(), {}
    for block in re.findall(r"^\| key \| default \|.*\n\|[-|]*\n((?:\|.*\n)+)", page, re.M):
        for row in block.splitlines():
            names, values = (cell.strip() for cell in row.split("|")[1:3])
            names, values = names.split(", "), yaml.safe_load(f"[{values}]")
            stated |= dict(zip(names, values if len(values) == len(names) else values * len(names), strict=True))
    assert len(stated) > 25
    assert {name: defaults[name] for name in stated} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()
    }
