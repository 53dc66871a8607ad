# Predictions of an arm, judged beside the baseline ladder; the table over arms.


rule predict_arm:
    input:
        model="results/train/{arm}/model.safetensors",
        dataset="results/dataset/verify.json",
    output:
        "results/evaluate/{arm}/predictions/index.json",
    log:
        "results/logs/predict_arm/{arm}.log",
    benchmark:
        "results/benchmarks/predict_arm/{arm}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=config["jobs"]["gpus"]["predict"],
    params:
        **stage("predict", "lrm.predict"),
    shell:
        "python -m mousefacelift lrm predict --model $(dirname {input.model:q}) --dataset results/dataset"
        " --out $(dirname {output:q}) --gpus {resources.gpu} --config-json {params.config:q} >>{log:q} 2>&1"


rule evaluate_arm:
    input:
        predictions="results/evaluate/{arm}/predictions/index.json",
    output:
        summary="results/evaluate/{arm}/summary.json",
        metrics="results/evaluate/{arm}/metrics.parquet",
        sheet=report(
            "results/evaluate/{arm}/sheet.png",
            category="evaluate",
            caption="../report/sheet.rst",
        ),
    log:
        "results/logs/evaluate_arm/{arm}.log",
    benchmark:
        "results/benchmarks/evaluate_arm/{arm}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **stage("evaluate", "check.evaluate"),
    shell:
        "python -m mousefacelift check evaluate --predictions {input.predictions:q} --dataset results/dataset"
        " --out $(dirname {output.summary:q}) --config-json {params.config:q} >>{log:q} 2>&1"


rule compare_arms:
    input:
        expand("results/evaluate/{arm}/summary.json", arm=config["arms"]),
    output:
        "results/evaluate/summary.csv",
    log:
        "results/logs/compare_arms.log",
    benchmark:
        "results/benchmarks/compare_arms.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage("", "check.table"),
    shell:
        "python -m mousefacelift check compare {input:q} --out {output:q} >>{log:q} 2>&1"


rule compare_sweep:
    input:
        expand("results/evaluate/{arm}/summary.json", arm=config["sweep"]),
    output:
        "results/evaluate/sweep.csv",
    log:
        "results/logs/compare_sweep.log",
    benchmark:
        "results/benchmarks/compare_sweep.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        **stage("", "check.table"),
    shell:
        "python -m mousefacelift check compare {input:q} --out {output:q} >>{log:q} 2>&1"
