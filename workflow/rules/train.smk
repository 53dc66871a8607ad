# GS-LRM on the mixture of one arm, with one seed. A killed job goes on where it was.


rule train_lrm:
    input:
        "results/dataset/dataset.json",
        "results/dataset/verify.json",
        training_shards(),
    output:
        model="results/train/{run}/model.safetensors",
        curve=report(
            "results/train/{run}/training.png",
            category="train",
            caption="../report/training.rst",
        ),
    log:
        "results/logs/train_lrm/{run}.log",
    benchmark:
        "results/benchmarks/train_lrm/{run}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 2
    resources:
        **flow.training_resources(config),
        mem_mb=6000,
        runtime=1440,
    params:
        **stage("train mixture loader", "lrm.train"),
        run=lambda wildcards: flow.arm_and_seed(config, wildcards.run),
    shell:
        "python -m mousefacelift lrm train --arm {params.run[arm]} --seed {params.run[seed]} --dataset results/dataset"
        " --out $(dirname {output.model:q}) --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"
