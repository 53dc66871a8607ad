# Every frame as a heading-free vector, for behaviour analysis. Only `snakemake embed` runs this.


rule embed_frames:
    input:
        samples="results/capture/{recording}/samples/{chunk}/index.json",
        source=(
            "results/splats/{recording}/fits/{chunk}/index.json"
            if config["embed"]["model"] == "splats"
            else (
                "results/distill/generator/generator.json"
                if config["distill"]["generator"]["kind"] == "prior"
                else []
            )
        ),
    output:
        "results/embed/{recording}/chunks/{chunk}/index.json",
    log:
        "results/logs/embed_frames/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/embed_frames/{recording}/{chunk}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        **stage("embed", "embed.chunk"),
        source=lambda wildcards, input: (
            f"--fits {input.source}"
            if config["embed"]["model"] == "splats"
            else (
                f"--weights {Path(input.source).parent}/adapted.safetensors"
                if input.source
                else ""
            )
        ),
    shell:
        "python -m mousefacelift embed frames --samples {input.samples:q} {params.source} --out {output:q}"
        " --config-json {params.config:q} >>{log:q} 2>&1"


rule embed_table:
    input:
        chunks="results/embed/{recording}/chunks/chunks.json",
        splits="results/dataset/splits.json",
    output:
        table="results/embed/{recording}/embedding.parquet",
        csv="results/embed/{recording}/embedding.csv",
        netcdf="results/embed/{recording}/embedding.nc",
        quality="results/embed/{recording}/quality.json",
    log:
        "results/logs/embed_table/{recording}.log",
    benchmark:
        "results/benchmarks/embed_table/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage("", "embed.table"),
    shell:
        "python -m mousefacelift embed table {input.chunks:q} --recording {wildcards.recording} --splits {input.splits:q}"
        " --out $(dirname {output.table:q}) >>{log:q} 2>&1"
