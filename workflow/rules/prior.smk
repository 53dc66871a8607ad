# The single-picture prior: pictures of procedural mice -> network. Its weights are shipped: only `snakemake prior` runs this.

PRIOR_CHUNKS = flow.frame_ranges(
    [0, config["prior"]["data"]["individuals"]], config["prior"]["data"]["chunk"]
)


rule prior_data:
    output:
        "results/prior/data/{chunk}/individual.npy",
    log:
        "results/logs/prior_data/{chunk}.log",
    benchmark:
        "results/benchmarks/prior_data/{chunk}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        **stage(
            "prior.data.{poses,views,size,strands,elevation}",
            "prior.shards",
        ),
        individuals=lambda wildcards: PRIOR_CHUNKS[wildcards.chunk],
    shell:
        "python -m mousefacelift prior data --individuals {params.individuals} --out $(dirname {output:q})"
        " --config-json {params.config:q} >>{log:q} 2>&1"


rule prior_train:
    input:
        expand("results/prior/data/{chunk}/individual.npy", chunk=PRIOR_CHUNKS),
    output:
        "results/prior/train/weights.safetensors",
    log:
        "results/logs/prior_train.log",
    benchmark:
        "results/benchmarks/prior_train.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        **stage(
            "seed prior.data.{individuals,chunk,size} prior.training",
            "prior.training",
        ),
    shell:
        "python -m mousefacelift prior train --shards results/prior/data --out $(dirname {output:q}) --processes {threads}"
        " --config-json {params.config:q} >>{log:q} 2>&1"
