"""Makes the small array archives and pictures that the tests of data sets read.

    pip install numpy pillow
    python3 make.py

Made with numpy 2.4.6, pillow 13.0.0.
"""

import pathlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
(HERE / "npz").mkdir(exist_ok=True)
x, y = np.arange(42.0).reshape(7, 2, 3) / 8, np.arange(7)[::-1].copy()
np.savez(HERE / "npz/plain.npz", x=x, y=y)
np.savez_compressed(HERE / "npz/compressed.npz", x=x, y=y)
np.savez(HERE / "npz/fortran.npz", x=np.asfortranarray(x), y=y)
np.savez(HERE / "npz/big_endian.npz", x=x.astype(">f8"), y=y.astype(">i4"))


def planes(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([100 * c + 10 * rows + columns for c in range(3)], -1).astype(np.uint8)


for folder in ("pictures/cat", "pictures/dog", "pictures-wrong"):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
rgb = planes(3, 4)
opaque = np.dstack([rgb, np.full((3, 4), 255, np.uint8)])
Image.fromarray(rgb[..., 0]).save(HERE / "pictures/cat/grey.png")
palette = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4), "P")
palette.putpalette(rgb.reshape(-1).tolist())
palette.save(HERE / "pictures/cat/palette.png")
Image.fromarray(rgb).save(HERE / "pictures/dog/rgb.png")
Image.fromarray(rgb).save(HERE / "pictures/dog/photo.jpg", quality=100, subsampling=0)
Image.fromarray(opaque).save(HERE / "pictures/dog/opaque.png")
Image.fromarray(planes(3, 5)).save(HERE / "pictures-wrong/wide.png")
opaque[1, 2, 3] = 254
Image.fromarray(opaque).save(HERE / "pictures-wrong/transparent.png")
Image.fromarray((rgb[..., 0].astype(np.uint16) * 257)).save(HERE / "pictures-wrong/deep.png")
