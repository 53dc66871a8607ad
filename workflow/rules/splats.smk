# One Gaussian splat or radiance field per frame, and the views that no camera filmed.


rule fit_splats:
    input:
        index="results/capture/{recording}/samples/{chunk}/index.json",
        trust="results/splats/{recording}/trust.json",
    output:
        "results/splats/{recording}/fits/{chunk}/index.json",
    log:
        "results/logs/fit_splats/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/fit_splats/{recording}/{chunk}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "splats"),
        mem_mb=3000,
        runtime=240,
    params:
        **stage(
            "seed splats.{method,fit} dataset.splits.held_out_camera", "splats.chunk"
        ),
    shell:
        "python -m mousefacelift splats fit {input.index:q} --trust {input.trust:q} --out {output:q} --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule calibrate_trust:
    input:
        "results/capture/{recording}/samples/chunks.json",
    output:
        "results/splats/{recording}/trust.json",
    log:
        "results/logs/calibrate_trust/{recording}.log",
    benchmark:
        "results/benchmarks/calibrate_trust/{recording}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "splats"),
        mem_mb=3000,
        runtime=120,
    params:
        **stage(
            "seed splats.method splats.fit.{size,count,batch,start,hull,optimise,cameras,field} splats.trust"
            " dataset.splits.held_out_camera",
            "splats.trust_calibration",
        ),
    shell:
        "python -m mousefacelift splats trust {input:q} --out {output:q} --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule render_novel:
    input:
        fits="results/splats/{recording}/fits/{chunk}/index.json",
        samples="results/capture/{recording}/samples/{chunk}/index.json",
        trust="results/splats/{recording}/trust.json",
    output:
        "results/splats/{recording}/samples/{chunk}/index.json",
    log:
        "results/logs/render_novel/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/render_novel/{recording}/{chunk}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "splats"),
        mem_mb=3000,
        runtime=60,
    params:
        **stage(
            "splats.novel.{mode,relative_azimuths,elevations,size,max_error,depth}",
            "splats.views_chunk",
        ),
    shell:
        "python -m mousefacelift splats novel {input.fits:q} --samples {input.samples:q} --trust {input.trust:q}"
        " --out {output:q} --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"


rule render_ring:
    input:
        fits="results/splats/{recording}/fits/{chunk}/index.json",
        samples="results/capture/{recording}/samples/{chunk}/index.json",
        trust="results/splats/{recording}/trust.json",
    output:
        "results/splats/{recording}/ring/{chunk}/index.json",
    log:
        "results/logs/render_ring/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/render_ring/{recording}/{chunk}.tsv"
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        **flow.gpus(config, "splats"),
        mem_mb=3000,
        runtime=60,
    params:
        **stage(
            "splats.novel.{ring_views,size,max_error,depth}",
            "splats.views_chunk",
        ),
    shell:
        "python -m mousefacelift splats ring {input.fits:q} --samples {input.samples:q} --trust {input.trust:q}"
        " --out {output:q} --gpus {resources.node_gpus} --config-json {params.config:q} >>{log:q} 2>&1"
