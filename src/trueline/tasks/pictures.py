"""Images of items: local files or bytes, read when they are shown, never fetched from a network."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.errors import InputError, MissingExtra

#: Largest file, in bytes, and largest image, in pixels, that are read.
MAX_BYTES = 50_000_000
MAX_PIXELS = 50_000_000
#: Most images of one item.
MAX_IMAGES = 64
#: Decoders that are used; others stay shut, whatever a file says that it is.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class Picture:
    """One image, by its local ``path`` or its ``data`` (one of them is given)."""

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """How messages and run directories call it."""
        return self.path if self.path is not None else f"image of {len(self.data or b'')} bytes"

    def read(self) -> bytes:
        """The bytes of the file. Raises ``InputError`` when it is no regular file, cannot be read or is too large."""
        if self.data is not None:
            return self.data
        _check_file(Path(self.path or ""))
        try:
            return Path(self.path or "").read_bytes()
        except OSError as error:
            raise InputError(f"the image {self.name} cannot be read: {error.strerror}") from error

    def digest(self) -> str:
        """SHA-256 of its bytes."""
        return hashlib.sha256(self.read()).hexdigest()

    def open(self) -> Any:
        """The decoded image (Pillow, RGB).

        Raises ``InputError`` for what is broken, too large, or no image, and ``MissingExtra`` without Pillow.
        """
        try:
            from PIL import Image, UnidentifiedImageError
        except ImportError as error:
            raise MissingExtra("images are read with Pillow; install it: pip install 'trueline[vision]'") from error
        data = io.BytesIO(self.read())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is the stricter one
                opened = Image.open(data, formats=FORMATS)
            with opened as image:
                if (pixels := image.width * image.height) > MAX_PIXELS:
                    raise InputError(f"the image {self.name} has {pixels:,} pixels; at most {MAX_PIXELS:,} are read: make it smaller")
                return image.convert("RGB")
        except UnidentifiedImageError as error:
            raise InputError(f"{self.name} is no image that can be read; expected {', '.join(FORMATS)}") from error
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the image {self.name} is broken ({' '.join(str(error).split())[:120]})") from error


def pictures_of(value: Any, folder: Path) -> tuple[Picture, ...]:
    """The images of one cell: a path, bytes, ``{"bytes", "path"}``, a ``data:`` URI, or a list of them, also as JSON in a string.

    Paths are relative to ``folder``. Raises ``InputError`` for addresses on a network, missing files and anything else.
    """
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"the list of images is not valid JSON ({error})") from error
    cells = value if isinstance(value, list | tuple) else [value]
    if len(cells) > MAX_IMAGES:
        raise InputError(f"{len(cells)} images in one item; at most {MAX_IMAGES} are read")
    return tuple(_picture(cell, folder) for cell in cells)


def _picture(cell: Any, folder: Path) -> Picture:
    if isinstance(cell, Mapping):  # as data sets of Hugging Face hold images
        data, path = cell.get("bytes"), cell.get("path")
        return _picture(path if data is None else data, folder)
    if isinstance(cell, bytes | bytearray):
        return _in_memory(bytes(cell))
    if not isinstance(cell, str) or not cell:
        raise InputError(f"an image is a local path or bytes, got {type(cell).__name__}")
    if cell.startswith("data:"):
        try:
            return _in_memory(base64.b64decode(cell.partition(",")[2], validate=True))
        except binascii.Error as error:
            raise InputError(f"the data: image is not valid base64 ({error})") from error
    if "://" in cell:
        raise InputError(f"the image {cell[:100]!r} is on a network, and images are never fetched; save it and give its path")
    path = Path(cell) if Path(cell).is_absolute() else folder / cell
    _check_file(path)
    return Picture(path=str(path))


def _in_memory(data: bytes) -> Picture:
    if len(data) > MAX_BYTES:
        raise InputError(f"an image of {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    return Picture(data=data)


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"there is no image {str(path)[:200]!r}; paths are relative to the file of questions") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"the image {str(path)!r} is no regular file")
    if found.st_size > MAX_BYTES:
        raise InputError(f"the image {str(path)!r} has {found.st_size:,} bytes; at most {MAX_BYTES:,} are read")
