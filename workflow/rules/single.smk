# Protocol S: one picture in, every other view judged. On the filmed animal at new times, on virtual animals that nothing was
# trained on, and, if its folder is given, on the MAMMAL mouse.


rule film_animals:
    output:
        "results/single/{bed}/index.json",
    log:
        "results/logs/film_animals/{bed}.log",
    benchmark:
        "results/benchmarks/film_animals/{bed}.tsv"
    wildcard_constraints:
        bed="animals|mammal",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage(
            "seed single.{animals,mammal,mammal_frames,views,size}", "single.animals"
        ),
    shell:
        "python -m mousefacelift single animals --bed {wildcards.bed} --out {output:q} --config-json {params.config:q}"
        " >>{log:q} 2>&1"


rule predict_single:
    input:
        model=f"results/train/{config['arms'][0]}/model.safetensors",
        generator="results/distill/generator/generator.json",
        library=LIBRARY,
        pictures=lambda wildcards: (
            "results/dataset/verify.json"
            if wildcards.bed == "frames"
            else f"results/single/{wildcards.bed}/index.json"
        ),
    output:
        "results/predict_single/{bed}/index.json",
    log:
        "results/logs/predict_single/{bed}.log",
    benchmark:
        "results/benchmarks/predict_single/{bed}.tsv"
    wildcard_constraints:
        bed="frames|animals|mammal",
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **stage(
            "seed single distill.generator.{kind,weights,prompt_embeddings,precision,sampler,prior.view_steps} distill.nearest"
            " distill.views.{view_set,azimuths,elevation}",
            "single.load single.plan single.predict",
        ),
        pictures=lambda wildcards, input: (
            "--dataset results/dataset"
            if wildcards.bed == "frames"
            else f"--animals {input.pictures}"
        ),
    shell:
        "python -m mousefacelift single predict --bed {wildcards.bed} --model $(dirname {input.model:q})"
        " --generator $(dirname {input.generator:q}) --library $(dirname {input.library:q}) {params.pictures}"
        " --out {output:q} --threads {threads} --config-json {params.config:q} >>{log:q} 2>&1"


rule evaluate_single:
    input:
        predictions=expand("results/predict_single/{bed}/index.json", bed=SINGLE_BEDS),
        dataset="results/dataset/verify.json",
    output:
        summary="results/evaluate_single/summary.json",
        sheet=report(
            "results/evaluate_single/sheet.png",
            category="evaluate",
            caption="../report/single.rst",
        ),
    log:
        "results/logs/evaluate_single.log",
    benchmark:
        "results/benchmarks/evaluate_single.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        **stage("evaluate.{background,sheet_rows,bootstrap}", "check.single"),
    shell:
        "python -m mousefacelift check single --predictions {input.predictions:q} --dataset results/dataset"
        " --out $(dirname {output.summary:q}) --config-json {params.config:q} >>{log:q} 2>&1"
