# One HTML file with pictures and numbers of every stage.


rule build_report:
    input:
        "results/evaluate/summary.csv",
        "results/decide/decision.json",
        "results/evaluate_single/summary.json",
        expand("results/capture/{recording}/quality.png", recording=RECORDINGS),
        expand("results/evaluate/{run}/sheet.png", run=config["arms"]),
    output:
        report(
            "results/report/index.html",
            category="report",
            caption="../report/html.rst",
        ),
    log:
        "results/logs/build_report.log",
    benchmark:
        "results/benchmarks/build_report.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("report", "report.build"),
    shell:
        "python -m mousefacelift report build --results results --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"
