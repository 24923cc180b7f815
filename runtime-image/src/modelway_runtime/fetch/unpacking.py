"""From what a store holds to the model's files: archives are unpacked beside the model and then moved into it."""

import shutil
from dataclasses import replace
from pathlib import Path

from modelway_runtime import digest, formats, logs
from modelway_runtime.digest import File
from modelway_runtime.fetch import archive, download
from modelway_runtime.fetch.patience import check_size
from modelway_runtime.fetch.source import Entry
from modelway_runtime.reasons import Failure

_PACKED = f"{digest.OWN_FOLDER}/packed"
_UNPACKED = f"{digest.OWN_FOLDER}/unpacked"


def marked(entries: tuple[Entry, ...], model_format: str) -> tuple[Entry, ...]:
    """A model that is one archive, and not a file of its format, is packed. Packed entries lie apart from the model."""
    if len(entries) == 1 and archive.is_archive(entries[0].path) and not _is_model(entries[0].path, model_format):
        entries = (replace(entries[0], is_packed=True),)
    return tuple(
        replace(entry, path=f"{_PACKED}/{number}-{Path(entry.path).name}") if entry.is_packed else entry
        for number, entry in enumerate(entries)
    )


def _is_model(name: str, model_format: str) -> bool:
    if model_format not in formats.FORMATS:
        return False
    try:
        formats.find((name,), model_format)
    except Failure:
        return False
    return True


def unpacked(entries: tuple[Entry, ...], files: tuple[File, ...], folder: Path, *, max_bytes: int) -> tuple[File, ...]:
    """The model's files once every archive among them is unpacked and gone."""
    place = folder / _UNPACKED
    shutil.rmtree(place, ignore_errors=True)
    kept = [file for entry, file in zip(entries, files, strict=True) if not entry.is_packed]
    for entry, file in zip(entries, files, strict=True):
        if entry.is_packed:
            packed = folder / file.path
            name = Path(entry.path).name.partition("-")[2]
            found = archive.unpack(packed, name, place, max_bytes=max_bytes)
            packed.unlink()
            # Of an archive that is the model; one among others keeps the folder that the others lie beside.
            top = _only_folder(found) if len(entries) == 1 else ""
            kept += _moved(found, place, folder, top)
            shutil.rmtree(place, ignore_errors=True)
            logs.write("Unpacked", archive=name, files=len(found))
    # As with the layers of an image, a later file takes the place of an earlier one.
    model = {file.path: file for file in kept}
    check_size(sum(file.size for file in model.values()), max_bytes)
    return tuple(model.values())


def _only_folder(files: tuple[File, ...]) -> str:
    """`fraud/` where every file lies in the folder fraud, else nothing."""
    tops = {file.path.partition("/")[0] for file in files}
    is_nested = len(tops) == 1 and all("/" in file.path for file in files)
    return f"{tops.pop()}/" if is_nested else ""


def _moved(files: tuple[File, ...], place: Path, folder: Path, top: str) -> list[File]:
    """To the model's folder, without the one folder that they may all lie in."""
    moved = []
    for file in files:
        path = file.path.removeprefix(top)
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            (place / file.path).replace(target)
        except OSError as error:
            raise download.local_failure(target, error) from error
        moved.append(replace(file, path=path))
    return moved
