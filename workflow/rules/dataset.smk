# Splits before anything learns, then one manifest of every image with its camera and its origin.


rule split_frames:
    input:
        expand("results/capture/{recording}/track.json", recording=RECORDINGS),
    output:
        "results/dataset/splits.json",
    log:
        "results/logs/split_frames.log",
    benchmark:
        "results/benchmarks/split_frames.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage(
            "dataset.splits.{by,train,val,test,blocks,guard_s,guard_frames_max_share,held_out_camera}"
            " dataset.splits.{val_names,test_names,subjects}",
            "dataset.splits",
        ),
    shell:
        "python -m mousefacelift dataset split --track {input:q} --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"


# The same splits for those who learn from some recordings: theirs do not change when another recording is added.
rule split_learnt:
    input:
        expand("results/capture/{recording}/track.json", recording=LEARNT),
    output:
        "results/distill/splits.json",
    log:
        "results/logs/split_learnt.log",
    benchmark:
        "results/benchmarks/split_learnt.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage(
            "dataset.splits.{by,train,val,test,blocks,guard_s,guard_frames_max_share,held_out_camera}"
            " dataset.splits.{val_names,test_names,subjects}",
            "dataset.splits",
        ),
    shell:
        "python -m mousefacelift dataset split --some --track {input:q} --out {output:q} --config-json {params.config:q}"
        " >>{log:q} 2>&1"


# What reads many chunks is given their list: one shell command holds some 2,000 paths at most, and a rule that is asked by
# every chunk and asks for every chunk plans in quadratic time.
rule list_chunks:
    input:
        lambda wildcards: [
            f"results/{wildcards.folder}/{chunk}/index.json"
            for chunk in CHUNKS[wildcards.folder]
        ],
    output:
        "results/{folder}/chunks.json",
    log:
        "results/logs/list_chunks/{folder}.log",
    benchmark:
        "results/benchmarks/list_chunks/{folder}.tsv"
    wildcard_constraints:
        folder="|".join(map(re.escape, CHUNKS)),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage("", "chunk_lists"),
        frames=lambda wildcards: ":".join(map(str, RANGES[wildcards.folder][0])),
        size=lambda wildcards: RANGES[wildcards.folder][1],
    shell:
        "python -m mousefacelift dataset list --frames {params.frames} --size {params.size} --out {output:q}"
        " >>{log:q} 2>&1"


rule build_manifest:
    input:
        chunks=sample_lists(),
        splits="results/dataset/splits.json",
    output:
        "results/dataset/dataset.json",
        "results/dataset/samples.parquet",
        "results/dataset/views.parquet",
    log:
        "results/logs/build_manifest.log",
    benchmark:
        "results/benchmarks/build_manifest.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=lambda wildcards, threads: flow.manifest_minutes(
            config, "build", threads
        ),
    params:
        **stage(
            "dataset.{gate,attach_real_views,refuse_share_max,splits.object_val,splits.object_test}",
            "dataset.build",
        ),
    shell:
        "python -m mousefacelift dataset build --index {input.chunks:q} --splits {input.splits:q}"
        " --out results/dataset --jobs {threads} --config-json {params.config:q} >>{log:q} 2>&1"


rule verify_dataset:
    input:
        "results/dataset/dataset.json",
    output:
        "results/dataset/verify.json",
    log:
        "results/logs/verify_dataset.log",
    benchmark:
        "results/benchmarks/verify_dataset.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=lambda wildcards, threads: flow.manifest_minutes(
            config, "verify", threads
        ),
    params:
        **stage("", "dataset.verify"),
    shell:
        "python -m mousefacelift dataset verify results/dataset --jobs {threads} >>{log:q} 2>&1"


rule pack_shards:
    input:
        "results/dataset/dataset.json",
        "results/dataset/verify.json",
    output:
        "results/dataset/shards/index.parquet",
    log:
        "results/logs/pack_shards.log",
    benchmark:
        "results/benchmarks/pack_shards.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=lambda wildcards, threads: flow.manifest_minutes(
            config, "pack", threads
        ),
    params:
        **stage("", "dataset.shards"),
    shell:
        "python -m mousefacelift dataset pack results/dataset --split train >>{log:q} 2>&1"
