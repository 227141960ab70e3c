"""Downloads that can be broken off, resumed and trusted, and archives unpacked with care."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 16
_TIMEOUT = 60  # seconds without an answer
_RANGE_NOT_SATISFIABLE = 416


def fetch(url: str, path: Path, md5: str) -> None:
    """Fetch a file whose MD5 is known.

    It grows beside its place, as `NAME.part`, and gets its name when it is complete and its
    checksum is right. Broken off, it is continued by the next call where the server can.

    Raises RuntimeError where the server cannot be reached, the answer breaks off, or the checksum
    is wrong: then nothing stands under `path`.
    """
    from http.client import HTTPException  # see `_append`

    part = _part(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        missing = _append(url, part)
    except (OSError, HTTPException) as error:
        raise RuntimeError(
            f"could not download {url} ({error}). Call again to continue; or, without a network, "
            f"fetch it elsewhere and put it at {path}"
        ) from error
    if missing > 0:
        raise RuntimeError(
            f"the download of {url} broke off, {missing} bytes before its end: call again to "
            f"continue from {part}"
        )
    found = _md5(part)
    if found != md5:
        part.unlink()
        raise RuntimeError(
            f"{url} has the MD5 {found}, expected {md5}: what was downloaded is deleted"
        )
    os.replace(part, path)


def _append(url: str, part: Path) -> int:
    """Append to `part` what it lacks; returns how many bytes are missing still."""
    # These take a twentieth of a second to import, and datasets are fetched once.
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        error.close()
        if have and error.code == _RANGE_NOT_SATISFIABLE:
            return 0  # there is nothing after what we have: the checksum decides
        raise
    with response:
        if response.status != 206:  # the whole file, as asked for or by a server without ranges
            have = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        with open(part, "ab" if have else "wb") as file:
            have += _copy_with_progress(response, file, url, have, total)
    return 0 if total is None else total - have


def _copy_with_progress(
    response: Any, file: BinaryIO, url: str, have: int, total: int | None
) -> int:
    from tqdm import tqdm

    copied = 0
    name = url.rpartition("/")[2]
    with tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True) as progress:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            copied += len(chunk)
            progress.update(len(chunk))
    return copied


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path, names: Collection[str]) -> None:
    """Take the named files out of a .tar.gz, whose entries lie in a folder of the same name.

    Only these entries are looked at, and only plain files among them, so an archive can put
    nothing anywhere else. The files get their names when all are there and the archive's own
    checksum is right.

    Raises RuntimeError for an archive that is damaged or lacks one of the files.
    """
    missing = set(names)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                parent, _, name = member.name.removeprefix("./").rpartition("/")
                if parent == folder.name and name in missing and member.isfile():
                    content: Any = tar.extractfile(member)
                    with open(_part(folder / name), "wb") as file:
                        shutil.copyfileobj(content, file, _CHUNK)
                    missing.remove(name)
            while stream.read(_CHUNK):  # to its end, where the checksum is
                pass
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise RuntimeError(
            f"the archive {archive} is damaged ({error}): delete it and download it again"
        ) from error
    if missing:
        raise RuntimeError(f"the archive {archive} lacks {sorted(missing)} in {folder.name}")
    for name in names:
        os.replace(_part(folder / name), folder / name)


def _part(path: Path) -> Path:
    """Where a file grows before it gets its name."""
    return path.with_name(f"{path.name}.part")
