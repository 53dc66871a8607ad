"""What the rules files declare: the keys, the modules and the command of every rule."""

import ast
import json
import re
from functools import cache
from pathlib import Path

from mousefacelift import cli, schema
from mousefacelift import workflow as flow
from mousefacelift.config import load

ROOT = Path(__file__).resolve().parents[1]


@cache
def declared_stages():
    """{rule: (keys, modules, keys of its recording, words of its command)} of every `stage(...)` in the rules files."""
    found = {}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", path.read_text(), re.M):
            start = body.find("**stage(")
            assert start > 0, f"rule {name} takes no parameters from stage()"
            depth, end = 0, start + len("**stage")
            while end == start + len("**stage") or depth:
                depth += {"(": 1, ")": -1}.get(body[end], 0)
                end += 1
            call = ast.parse(body[start + 2 : end], mode="eval").body
            keys, modules = map(ast.literal_eval, call.args)
            own = {word.arg: ast.literal_eval(word.value) for word in call.keywords}.get("recording", "")
            command = re.search(r"python -m mousefacelift (\w+) (\w+)", body)
            found[name] = (flow.expand_keys(keys), modules.split(), own.split(), command.groups())
    return found


@cache
def rules_of_commands():
    """{function that runs a command: the rules that call it}."""
    found = {}
    for name, (_, _, _, (group, command)) in declared_stages().items():
        parser = cli.build_parser(group)
        groups = next(a for a in parser._actions if a.dest == "==SUPPRESS==" or hasattr(a, "choices") and a.choices)
        commands = next(a for a in groups.choices[group]._actions if getattr(a, "choices", None))
        found.setdefault(commands.choices[command].get_default("run"), []).append(name)
    return found


def keys_of_command(args, mapping):
    """`mapping` over the defaults, cut down to what the command's rules hand over; as it is where no rule runs it."""
    rules = rules_of_commands().get(args.run)
    if not rules:
        return mapping
    name = getattr(args, "recording", None) or "mouse1"
    if name not in mapping.get("recordings", {name: {}}):
        return mapping
    for section in mapping:  # mistakes of the user come first
        if section not in ("recordings", "seed"):
            load(schema.PipelineConfig.__pydantic_fields__[section].annotation, mapping[section], section)
    full = schema.complete({"recordings": {name: {}}} | json.loads(json.dumps(mapping)))
    keys = [key for rule in rules for key in declared_stages()[rule][0]]
    keys += [f"recordings.{name}.{key}" for rule in rules for key in declared_stages()[rule][2]]
    keys += ["seed"] if getattr(args, "seed", 0) is None else []  # where a rule gives it by --seed
    return json.loads(flow.stage_params(full, keys, [])["config"])
