# GS-LRM on the mixture of one arm. A killed job goes on where it was.


rule train_lrm:
    input:
        "results/dataset/dataset.json",
        "results/dataset/verify.json",
        training_shards(),
    output:
        model="results/train/{arm}/model.safetensors",
        curve=report(
            "results/train/{arm}/training.png",
            category="train",
            caption="../report/training.rst",
        ),
    log:
        "results/logs/train_lrm/{arm}.log",
    benchmark:
        "results/benchmarks/train_lrm/{arm}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2
    resources:
        **flow.training_resources(config),
        mem_mb=6000,
        runtime=1440,
    params:
        **stage("train mixture loader", "lrm.train"),
    shell:
        "python -m mousefacelift lrm train --arm {wildcards.arm} --dataset results/dataset --out $(dirname {output.model:q})"
        " --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"
