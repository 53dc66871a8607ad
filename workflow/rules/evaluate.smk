# Predictions of a run, judged beside the baseline ladder; the tables over arms and over their seeds.


rule predict_arm:
    input:
        model="results/train/{run}/model.safetensors",
        dataset="results/dataset/verify.json",
    output:
        "results/evaluate/{run}/predictions/index.json",
    log:
        "results/logs/predict_arm/{run}.log",
    benchmark:
        "results/benchmarks/predict_arm/{run}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "predict"),
        mem_mb=4000,
        runtime=flow.judging_minutes(config),
    params:
        **stage("predict", "lrm.predict"),
    shell:
        "python -m mousefacelift lrm predict --model $(dirname {input.model:q}) --dataset results/dataset"
        " --out $(dirname {output:q}) --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule evaluate_arm:
    input:
        predictions="results/evaluate/{run}/predictions/index.json",
    output:
        summary="results/evaluate/{run}/summary.json",
        metrics="results/evaluate/{run}/metrics.parquet",
        sheet=report(
            "results/evaluate/{run}/sheet.png",
            category="evaluate",
            caption="../report/sheet.rst",
        ),
    log:
        "results/logs/evaluate_arm/{run}.log",
    benchmark:
        "results/benchmarks/evaluate_arm/{run}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2 if len(config["arms"]) == 1 else 1  # several arms are judged beside each other
    resources:
        mem_mb=4000,
        runtime=flow.judging_minutes(config),
    params:
        **stage("evaluate", "check.evaluate"),
    shell:
        "python -m mousefacelift check evaluate --predictions {input.predictions:q} --dataset results/dataset"
        " --out $(dirname {output.summary:q}) --config-json {params.config:q} >>{log:q} 2>&1"


rule compare_arms:
    input:
        expand("results/evaluate/{run}/summary.json", run=config["arms"]),
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
        expand(
            "results/evaluate/{run}/summary.json",
            run=flow.run_names(config, config["sweep"], config["sweep_seeds"]),
        ),
    output:
        runs="results/evaluate/sweep.csv",
        arms="results/evaluate/sweep_arms.csv",
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
        "python -m mousefacelift check compare {input:q} --out {output.runs:q} --arms {output.arms:q} >>{log:q} 2>&1"


rule decide:
    input:
        evaluations=expand("results/evaluate/{run}/summary.json", run=config["arms"]),
        metrics=expand("results/evaluate/{run}/metrics.parquet", run=config["arms"]),
        single="results/evaluate_single/summary.json",
    output:
        decision="results/decide/decision.json",
        several="results/decide/worst_several.png",
        one="results/decide/worst_one.png",
    log:
        "results/logs/decide.log",
    benchmark:
        "results/benchmarks/decide.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("evaluate.{background,sheet_rows,bootstrap}", "check.decide"),
    shell:
        "python -m mousefacelift check decide --evaluations {input.evaluations:q} --single {input.single:q}"
        " --out {output.decision:q} --config-json {params.config:q} >>{log:q} 2>&1"


rule decide_sweep:
    input:
        evaluations=expand(
            "results/evaluate/{run}/summary.json",
            run=flow.run_names(config, config["sweep"], config["sweep_seeds"]),
        ),
        metrics=expand(
            "results/evaluate/{run}/metrics.parquet",
            run=flow.run_names(config, config["sweep"], config["sweep_seeds"]),
        ),
        single="results/evaluate_single/summary.json",
    output:
        decision="results/decide/sweep/decision.json",
        several="results/decide/sweep/worst_several.png",
        one="results/decide/sweep/worst_one.png",
    log:
        "results/logs/decide_sweep.log",
    benchmark:
        "results/benchmarks/decide_sweep.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("evaluate.{background,sheet_rows,bootstrap}", "check.decide"),
    shell:
        "python -m mousefacelift check decide --evaluations {input.evaluations:q} --single {input.single:q}"
        " --out {output.decision:q} --config-json {params.config:q} >>{log:q} 2>&1"
