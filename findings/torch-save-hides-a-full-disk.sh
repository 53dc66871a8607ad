#!/usr/bin/env bash
# On a full disk torch.save does not say so: RuntimeError "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534", which is
# where its own second write failed, without the system's reason; np.save says "100000 requested and 4968 written" in an OSError whose
# errno is None. Code that looks for errno.ENOSPC sees neither. (A limit on the size of files stands for the full disk here.)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv; venv/bin/pip install -q "torch==2.13.0" "numpy==2.4.6"
venv/bin/python - <<'P'
import errno
import resource
import signal

import numpy as np
import torch

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
rows = np.zeros(100_000, np.float32)
seen = {}
for name, write in (
    ("torch", lambda: torch.save({"a": torch.from_numpy(rows)}, "a.pt")),
    ("numpy", lambda: np.save("a.npy", rows)),
    ("plain", lambda: open("a.bin", "wb").write(rows.tobytes())),
):
    try:
        write()
    except (OSError, RuntimeError) as error:
        seen[name] = error
        print(f"{name}: {type(error).__name__}, errno {getattr(error, 'errno', None)}: {str(error).splitlines()[0]}")
assert isinstance(seen["torch"], RuntimeError) and "unexpected pos" in str(seen["torch"])
assert isinstance(seen["numpy"], OSError) and seen["numpy"].errno is None and "requested and" in str(seen["numpy"])
assert "plain" not in seen or seen["plain"].errno == errno.EFBIG
P
