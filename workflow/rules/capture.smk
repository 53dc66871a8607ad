# Recording -> audited rig -> animal's track -> canonical samples -> quality table.


rule make_masks:
    output:
        "results/capture/{recording}/masks/masks.json",
    log:
        "results/logs/make_masks/{recording}.log",
    benchmark:
        "results/benchmarks/make_masks/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=6000,
        runtime=lambda wildcards, threads: flow.mask_minutes(
            config, wildcards.recording, threads
        ),
    params:
        **stage(
            "capture.{audit,mask_backend,unet_weights,sam2_weights}",
            "capture.make_masks",
            recording="frames videos masks mask_object timestamps calibration calibration_format variant exclude"
            " drop_cameras",
        ),
        folder=recording_folder,
        files=recording_files,
    shell:
        "python -m mousefacelift capture masks {params.folder:q} --recording {wildcards.recording}"
        " --made $(dirname {output:q}) --done {output:q} --threads {threads} --config-json {params.config:q}"
        " >>{log:q} 2>&1"


rule audit_rig:
    input:
        recording_made,
        masks_made,
    output:
        rig="results/capture/{recording}/rig.json",
        drawing=report(
            "results/capture/{recording}/rig.png",
            category="capture",
            caption="../report/rig.rst",
        ),
    log:
        "results/logs/audit_rig/{recording}.log",
    benchmark:
        "results/benchmarks/audit_rig/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage(
            "capture.{audit,mask_backend,unet_weights,sam2_weights}",
            "capture.audit",
            recording="frames videos masks mask_object timestamps calibration calibration_format variant unit mm_per_unit"
            " length_mm up fps exclude licence drop_cameras",
        ),
        folder=recording_folder,
        files=recording_files,
    shell:
        "python -m mousefacelift capture audit {params.folder:q} --recording {wildcards.recording} --out {output.rig:q}"
        " --config-json {params.config:q} >>{log:q} 2>&1"


rule locate_animal:
    input:
        recording_made,
        rig="results/capture/{recording}/rig.json",
    output:
        "results/capture/{recording}/track.json",
    log:
        "results/logs/locate_animal/{recording}.log",
    benchmark:
        "results/benchmarks/locate_animal/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **stage(
            "capture.locate",
            "capture.locate",
            recording="frames cuts include exclude up",
        ),
        folder=recording_folder,
        files=recording_files,
    shell:
        "python -m mousefacelift capture locate {params.folder:q} --recording {wildcards.recording} --rig {input.rig:q}"
        " --out {output:q} --config-json {params.config:q} >>{log:q} 2>&1"


rule normalise_frames:
    input:
        recording_made,
        rig="results/capture/{recording}/rig.json",
        track="results/capture/{recording}/track.json",
    output:
        "results/capture/{recording}/samples/{chunk}/index.json",
    log:
        "results/logs/normalise_frames/{recording}/{chunk}.log",
    benchmark:
        "results/benchmarks/normalise_frames/{recording}/{chunk}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        **stage(
            "capture.{size,mode,png_compression}",
            "capture.normalise",
        ),
        folder=recording_folder,
        files=recording_files,
        frames=lambda wildcards: CHUNKS[f"capture/{wildcards.recording}/samples"][
            wildcards.chunk
        ],
    shell:
        "python -m mousefacelift capture normalise {params.folder:q} --recording {wildcards.recording}"
        " --frames {params.frames} --rig {input.rig:q} --track {input.track:q} --out {output:q}"
        " --config-json {params.config:q} >>{log:q} 2>&1"


rule quality_table:
    input:
        "results/capture/{recording}/samples/chunks.json",
    output:
        table="results/capture/{recording}/quality.csv",
        plot=report(
            "results/capture/{recording}/quality.png",
            category="capture",
            caption="../report/quality.rst",
        ),
    log:
        "results/logs/quality_table/{recording}.log",
    benchmark:
        "results/benchmarks/quality_table/{recording}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=1500,
        runtime=15,
    params:
        **stage("", "capture.quality_table"),
    shell:
        "python -m mousefacelift capture quality {input:q} --out {output.table:q} --config-json {params.config:q}"
        " >>{log:q} 2>&1"
