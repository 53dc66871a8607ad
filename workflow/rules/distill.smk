# Multi-view generator: trained on training frames, asked for six views of each photo, deduplicated by angle, gated.


rule train_generator:
    input:
        indexes=chunks_of("results/capture/{recording}/samples/{chunk}/index.json"),
        splits="results/dataset/splits.json",
    output:
        "results/distill/generator/generator.json",
    log:
        "results/logs/train_generator.log",
    benchmark:
        "results/benchmarks/train_generator.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=720,
        gpu=config["jobs"]["gpus"]["generator"],
    params:
        **stage("distill", "distill.recipes"),
    shell:
        "python -m mousefacelift distill train --frames {input.indexes:q} --splits {input.splits:q} --out $(dirname {output:q})"
        " --gpus {resources.gpu} --config-json {params.config:q} >>{log:q} 2>&1"


rule distill_views:
    input:
        index="results/capture/{recording}/samples/{chunk}/index.json",
        generator="results/distill/generator/generator.json",
    output:
        "results/distill/{recording}/samples/{chunk}/index.json",
    log:
        "results/logs/distill_views/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/distill_views/{recording}/{chunk}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=config["jobs"]["gpus"]["views"],
    params:
        **stage("distill", "distill.recipes distill.selfdistill"),
    shell:
        "python -m mousefacelift distill views --frames {input.index:q} --generator $(dirname {input.generator:q})"
        " --out {output:q} --gpus {resources.gpu} --config-json {params.config:q} >>{log:q} 2>&1"
