# The experiment: cells of constraint x cameras x data on virtual animals with truth. Only `snakemake experiment` runs this.
#   snakemake experiment --config experiment=core        one table per file of workflow/experiments


rule experiment_animal:
    output:
        f"results/experiment/{TRIAL['bed']}/animal{{number}}.npz",
    log:
        "results/logs/experiment_animal/{number}.log",
    benchmark:
        "results/benchmarks/experiment_animal/{number}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **stage("", "experiment.film"),
        file=EXPERIMENT_FILE,
    shell:
        "python -m mousefacelift experiment animal --experiment {params.file:q} --animal {wildcards.number} --out {output:q} >>{log:q} 2>&1"


rule experiment_objects:
    output:
        f"results/experiment/{TRIAL['bed']}/objects.npz",
    log:
        "results/logs/experiment_objects.log",
    benchmark:
        "results/benchmarks/experiment_objects.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **stage("", "experiment.film"),
        file=EXPERIMENT_FILE,
    shell:
        "python -m mousefacelift experiment objects --experiment {params.file:q} --out {output:q} >>{log:q} 2>&1"


rule experiment_start:
    input:
        rules.experiment_objects.output,
    output:
        f"results/experiment/{TRIAL['starts']}/{{constraint}}/model.safetensors",
    log:
        "results/logs/experiment_start/{constraint}.log",
    benchmark:
        "results/benchmarks/experiment_start/{constraint}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        **stage("", "experiment.cell"),
        file=EXPERIMENT_FILE,
    shell:
        "python -m mousefacelift experiment start --experiment {params.file:q} --constraint {wildcards.constraint}"
        " --objects {input:q} --out {output:q} >>{log:q} 2>&1"


rule experiment_cells:
    input:
        bed=[rules.experiment_animal.output[0], rules.experiment_objects.output[0]],
        starts=expand(rules.experiment_start.output[0], constraint=TRIAL["constraints"]),
    output:
        f"results/experiment/{EXPERIMENT}/animal{{number}}.json",
    log:
        f"results/logs/experiment_cells/{EXPERIMENT}/{{number}}.log",
    benchmark:
        f"results/benchmarks/experiment_cells/{EXPERIMENT}/{{number}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        **stage("", "experiment.cell"),
        file=EXPERIMENT_FILE,
        bed=lambda wildcards: f"results/experiment/{TRIAL['bed']}",
        starts=lambda wildcards: f"results/experiment/{TRIAL['starts']}",
        cells=lambda wildcards: f"results/experiment/{TRIAL['cells']}",
        plan=TRIAL["plan"],
    shell:
        "python -m mousefacelift experiment cells --experiment {params.file:q} --animals {wildcards.number} --bed {params.bed:q}"
        " --starts {params.starts:q} --cells {params.cells:q} --out {output:q} >>{log:q} 2>&1"


rule experiment_tables:
    input:
        expand(rules.experiment_cells.output[0], number=range(TRIAL["animals"])),
    output:
        f"results/experiment/{EXPERIMENT}/cells.csv",
    log:
        f"results/logs/experiment_tables/{EXPERIMENT}.log",
    benchmark:
        f"results/benchmarks/experiment_tables/{EXPERIMENT}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("", "experiment.tables"),
        file=EXPERIMENT_FILE,
        bed=lambda wildcards: f"results/experiment/{TRIAL['bed']}",
        cells=lambda wildcards: f"results/experiment/{TRIAL['cells']}",
        plan=TRIAL["plan"],
    shell:
        "python -m mousefacelift experiment tables --experiment {params.file:q} --cells {params.cells:q}"
        " --bed {params.bed:q} --out {output:q} >>{log:q} 2>&1"


# Which procedural objects earn their place: snakemake ingredients --config assets=FOLDER
rule ingredients_cell:
    input:
        lambda wildcards: list(map(str, find_assets(ASSETS))),
    output:
        "results/experiment/ingredients/{collection}.{seed}.json",
    log:
        "results/logs/ingredients_cell/{collection}.{seed}.log",
    benchmark:
        "results/benchmarks/ingredients_cell/{collection}.{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        **stage("", "experiment.ingredients"),
        file=INGREDIENTS_FILE,
        plan=repr(INGREDIENTS),
        assets=ASSETS,
    shell:
        "python -m mousefacelift experiment ingredients --experiment {params.file:q} --collection {wildcards.collection}"
        " --seed {wildcards.seed} --assets {params.assets:q} --out {output:q} >>{log:q} 2>&1"


rule ingredients_table:
    input:
        expand(
            rules.ingredients_cell.output[0],
            collection=INGREDIENTS.collections,
            seed=range(INGREDIENTS.seeds),
        ),
    output:
        "results/experiment/ingredients/ingredients.csv",
    log:
        "results/logs/ingredients_table.log",
    benchmark:
        "results/benchmarks/ingredients_table.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage("", "experiment.ingredients"),
    shell:
        "python -m mousefacelift experiment ingredients-table {input:q} --out {output:q} >>{log:q} 2>&1"
