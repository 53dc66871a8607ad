#!/usr/bin/env bash
# Snakemake: a job whose only way to a job that runs leads over ancient() is not asked for its own changed params in that run:
# they are taken up by the next one. Whoever marks an input ancient and changes upstream and downstream together gets an old result.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "snakemake==9.27.1" 2>/dev/null
cat >Snakefile <<'S'
rule down:
    input: ancient("list.txt")
    output: "picture.txt"
    params: size=config["size"]
    shell: "echo {params.size} >{output}"
rule up:
    output: "list.txt"
    params: lines=config["count"]
    shell: "echo {params.lines} >{output}"
S
run() { venv/bin/snakemake picture.txt -c1 --quiet all --config "$@"; echo "count and size $*: picture $(cat picture.txt), list $(cat list.txt)"; }
run count=1 size=1
run count=1 size=2 # the change of its own params alone is seen
[ "$(cat picture.txt)" = 2 ]
run count=2 size=3 # both at once: the picture keeps size 2
[ "$(cat picture.txt)" = 2 ] && [ "$(cat list.txt)" = 2 ]
run count=2 size=3 # the same command again makes it
[ "$(cat picture.txt)" = 3 ]
