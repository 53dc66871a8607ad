# Virtual recordings: a procedural mouse with known truth, filmed and written as labs do.


rule virtual_recording:
    output:
        "results/recordings/{recording}/recording.json",
    log:
        "results/logs/virtual_recording/{recording}.log",
    benchmark:
        "results/benchmarks/virtual_recording/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        **stage("seed virtual", "virtual.record"),
    shell:
        "python -m mousefacelift virtual record --recording {wildcards.recording} --out $(dirname {output:q})"
        " --config-json {params.config:q} >>{log:q} 2>&1"
