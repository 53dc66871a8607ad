# Multi-view generator: trained on training frames, asked for six views of each photo, deduplicated by angle, gated.


rule train_generator:
    input:
        chunks=lists_of("results/capture/{recording}/samples", LEARNT),
        splits="results/distill/splits.json",
        library=LIBRARY if NEAREST else [],
    output:
        "results/distill/generator/generator.json",
    log:
        "results/logs/train_generator.log",
    benchmark:
        "results/benchmarks/train_generator.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2 if TRAINS_NETWORK else 1
    resources:
        **flow.gpus(config, "generator"),
        mem_mb=4000,
        runtime=720,
    params:
        **stage("seed distill.generator", "distill.train_generator"),
        library=lambda wildcards, input: (
            f"--library {Path(input.library).parent}" if input.library else ""
        ),
    shell:
        "python -m mousefacelift distill train --frames {input.chunks:q} --splits {input.splits:q} --out $(dirname {output:q})"
        " {params.library}"
        " --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule learn_gate:
    input:
        chunks=lists_of("results/capture/{recording}/samples", LEARNT),
        splits="results/distill/splits.json",
    output:
        "results/distill/gate.json",
    log:
        "results/logs/learn_gate.log",
    benchmark:
        "results/benchmarks/learn_gate.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage(
            "distill.gate.{quantile,slack,voxels,frames}",
            "distill.learn_gate",
        ),
    shell:
        "python -m mousefacelift distill gate --frames {input.chunks:q} --splits {input.splits:q} --out {output:q}"
        " --config-json {params.config:q} >>{log:q} 2>&1"


rule distill_views:
    input:
        index="results/capture/{recording}/samples/{chunk}/index.json",
        generator="results/distill/generator/generator.json",
        gate="results/distill/gate.json",
    output:
        "results/distill/{recording}/samples/{chunk}/index.json",
    log:
        "results/logs/distill_views/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/distill_views/{recording}/{chunk}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "views"),
        mem_mb=4000,
        runtime=240,
    params:
        **stage(
            "seed distill.generator.{kind,weights,prompt_embeddings,precision,sampler,prior.view_steps} distill.views"
            " distill.nearest distill.gate.{voxels,max_quarantine}",
            "distill.make_views",
        ),
    shell:
        "python -m mousefacelift distill views --frames {input.index:q} --generator $(dirname {input.generator:q})"
        " --gate {input.gate:q}"
        " --out {output:q} --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule build_library:
    input:
        rings=lists_of("results/splats/{recording}/ring", RECORDINGS),
        splits="results/dataset/splits.json",
    output:
        LIBRARY,
    log:
        "results/logs/build_library.log",
    benchmark:
        "results/benchmarks/build_library.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("", "distill.nearest.build"),
    shell:
        "python -m mousefacelift distill library --rings {input.rings:q} --splits {input.splits:q} --out $(dirname {output:q})"
        " >>{log:q} 2>&1"
