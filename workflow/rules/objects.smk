# Objects rendered to samples: exact images of one true thing, the larger part of the mixture.


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
        mem_mb=2000,
        runtime=60,
    params:
        **stage("objects", "objects.select"),
    shell:
        "python -m mousefacelift objects select --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"


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
    threads: 2
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        **stage("objects", "objects.batch"),
        objects=lambda wildcards: OBJECTS[wildcards.chunk],
    shell:
        "python -m mousefacelift objects render --selection {input:q} --objects {params.objects} --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"
