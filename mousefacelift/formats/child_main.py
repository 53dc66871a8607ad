"""Child process that opens a foreign binary or OpenCV file and writes its plain content to standard output.

Run by `formats.child`, never imported: parsers written in C may crash or take all memory on a broken file, and only
this process pays for it. It imports no module of the package, so that it starts quickly.
"""

import pickle
import resource
import sys
from pathlib import Path


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Bound what this process may take."""
    if sys.platform.startswith("linux"):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        top = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (top, top))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_opencv(path: str) -> dict:
    """Content of an OpenCV FileStorage file: maps, lists, numbers, text, matrices as arrays."""
    import cv2

    storage = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)
    try:
        root = storage.root()
        return _node(root) if root.isMap() else {}
    finally:
        storage.release()


def _node(node):
    import numpy as np

    if node.isMap():
        keys = node.keys()
        if "data" in keys and "rows" in keys:
            return np.asarray(node.mat(), np.float64)
        return {key: _node(node.getNode(key)) for key in keys}
    if node.isSeq():
        return [_node(node.at(index)) for index in range(node.size())]
    if node.isNone():
        return None
    return node.string() if node.isString() else node.real()


def read_mat(path: str) -> dict:
    """Variables of a MATLAB file up to version 7 as arrays, dicts (structs) and lists (cells)."""
    from scipy.io import loadmat

    content = loadmat(path, squeeze_me=True, struct_as_record=False)
    return {name: _matlab(value) for name, value in content.items() if not name.startswith("__")}


def _matlab(value):
    import numpy as np

    if hasattr(value, "_fieldnames"):
        return {name: _matlab(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_matlab(item) for item in value.ravel()]
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return [str(item) for item in value.ravel()]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    return value.item() if isinstance(value, np.generic) else str(value)


def read_mat73(path: str) -> dict:
    """Camera variables of a MATLAB 7.3 file (HDF5): arrays are stored transposed, cells as references."""
    import h5py

    with h5py.File(path, "r") as file:
        wanted = [name for name in file if not name.startswith("#")]
        small = [name for name in wanted if name in ("params", "camnames", "camParams", "cameraNames")]
        return {name: _matlab73(file, file[name]) for name in (small if "params" in small else wanted)}


def _matlab73(file, item):
    import h5py
    import numpy as np

    if isinstance(item, h5py.Group):
        return _struct73({name: _matlab73(file, item[name]) for name in item})
    kind = item.attrs.get("MATLAB_class", b"")
    if item.attrs.get("MATLAB_empty", 0):
        return np.zeros(0)
    if item.dtype == h5py.ref_dtype:
        return [_matlab73(file, file[reference]) for reference in np.ravel(item[()].T, order="F")]
    if kind == b"char":
        return "".join(chr(code) for code in np.ravel(item[()].T, order="C"))
    return np.squeeze(np.asarray(item[()]).T) if item.size < 1 << 22 else np.zeros(0)


def _struct73(fields: dict):
    """A struct array is stored as one list per field: one dict per element."""
    lengths = {len(value) for value in fields.values() if isinstance(value, list)}
    if len(lengths) == 1 and all(isinstance(value, list) for value in fields.values()):
        return [{name: value[index] for name, value in fields.items()} for index in range(lengths.pop())]
    return fields


def read_hdf5(path: str) -> dict:
    """The small part of an HDF5 file that may hold cameras: `camera_parameters` and SLEAP's `sessions_json`."""
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        out = {"names": [str(name) for name in file]}
        if isinstance(file.get("camera_parameters"), h5py.Group):
            group = file["camera_parameters"]
            out["camera_parameters"] = {
                name: [text.decode() if isinstance(text, bytes) else str(text) for text in np.ravel(item[()])]
                if item.dtype.kind in "OSU"
                else np.asarray(item[()])
                for name, item in group.items()
                if isinstance(item, h5py.Dataset) and item.size < 1 << 20
            }
        if isinstance(file.get("sessions_json"), h5py.Dataset):
            rows = np.ravel(file["sessions_json"][()])
            out["sessions_json"] = [row.decode() if isinstance(row, bytes) else str(row) for row in rows]
        return out


READERS = {"opencv": read_opencv, "mat": read_mat, "mat73": read_mat73, "hdf5": read_hdf5}


def main() -> None:
    """Read each file named on the command line with the reader named first; write {path: content or reason}."""
    kind, memory, cpu, *paths = sys.argv[1:]
    limit(int(memory), int(cpu))
    found = {}
    for path in paths:
        try:
            found[path] = ("content", READERS[kind](path))
        except ModuleNotFoundError as error:
            found[path] = ("absent", str(error.name))
        except MemoryError:
            found[path] = ("refused", "it asks for too much memory")
        except BaseException as error:  # whatever a foreign parser raises is that file's reason
            cause = error.__cause__ or error  # OpenCV's binding hides its reason behind a SystemError
            found[path] = ("refused", f"{type(cause).__name__}: {' '.join(str(cause).split())}")
    sys.stdout.buffer.write(pickle.dumps(found))


if __name__ == "__main__":
    main()
