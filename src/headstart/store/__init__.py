"""Save and load without pickle: manifests (JSON), arrays (safetensors), scikit-learn parts (skops)."""

from headstart.store.archive import read_archive, write_archive
from headstart.store.folder import read_folder, staged, staged_file, write_folder
from headstart.store.parts import dump_part, load_part

__all__ = [
    "dump_part",
    "load_part",
    "read_archive",
    "read_folder",
    "staged",
    "staged_file",
    "write_archive",
    "write_folder",
]
