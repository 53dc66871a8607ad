# Objects and scans rendered to samples: exact images of one true thing, the larger part of the mixture.


rule select_objects:
    output:
        "results/objects/selection.json",
    log:
        "results/logs/select_objects.log",
    benchmark:
        "results/benchmarks/select_objects.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        # no parameter: the selection is the whole order, and is not made anew when more of it are wanted
        objects=config["objects"]["count"],
        mem_mb=2000,
        runtime=60,
    params:
        **stage(
            "seed objects.{source,path,lvis,categories,annotations,licenses}",
            "objects.select",
        ),
    shell:
        "python -m mousefacelift objects select --out {output:q} --count {resources.objects} --config-json {params.config:q} >>{log:q} 2>&1"


rule render_objects:
    input:
        "results/objects/selection.json",
    output:
        "results/objects/samples/{chunk}/index.json",
    log:
        "results/logs/render_objects/{chunk}.log",
    benchmark:
        "results/benchmarks/render_objects/{chunk}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        **stage(
            "objects.{ingredients,size,supersampling,backend,views,light,blender,download.folder}",
            "objects.batch",
        ),
        objects=lambda wildcards: CHUNKS["objects/samples"][wildcards.chunk],
    shell:
        "python -m mousefacelift objects render --selection {input:q} --objects {params.objects} --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"


rule render_scans:
    input:
        lambda wildcards: (
            f"results/recordings/{wildcards.scan}/recording.json"
            if SCANS[wildcards.scan]["is_virtual"]
            else []
        ),
    output:
        "results/objects/scans/{scan}/{chunk}/index.json",
    log:
        "results/logs/render_scans/{scan}/{chunk}.log",
    benchmark:
        "results/benchmarks/render_scans/{scan}/{chunk}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **stage(
            "seed objects.{size,supersampling,backend,light,blender}"
            " objects.{views.elevation,views.distance,scans.views,scans.extent}",
            "objects.scans",
        ),
        sequence=lambda wildcards: SCANS[wildcards.scan]["path"],
        options=lambda wildcards: scan_options(wildcards.scan),
        frames=lambda wildcards: CHUNKS[f"objects/scans/{wildcards.scan}"][
            wildcards.chunk
        ],
    shell:
        "python -m mousefacelift objects scans --sequence {params.sequence:q} --name {wildcards.scan:q}"
        " {params.options:q} --frames {params.frames} --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"
