"""Makes be-vietnam-pro-600-subset.ttf, the font of the camera overlay (Be Vietnam Pro, OFL 1.1, see OFL.txt).

Usage: python3 subset_font.py FOLDER_WITH_WOFF2   (needs: pip install fonttools brotli)
The folder holds be-vietnam-pro-{latin,latin-ext,vietnamese}-600.woff2. No kerning, no hinting: under 60 KB.
"""

import pathlib
import string
import sys
import tempfile

from fontTools import merge, subset
from fontTools.ttLib import TTFont

WANTED = {ord(c) for c in string.printable[:95]} | set(range(0xA0, 0x180)) | {0x1A0, 0x1A1, 0x1AF, 0x1B0}
WANTED |= set(range(0x1EA0, 0x1EFA)) | {0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026}


def cut(font, codes):
    options = subset.Options()
    options.layout_features = []
    options.hinting = False
    options.notdef_outline = True
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "STAT", "DSIG"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)


def main():
    folder = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temp:
        parts = []
        for part in ("latin", "latin-ext", "vietnamese"):
            font = TTFont(folder / f"be-vietnam-pro-{part}-600.woff2")
            font.flavor = None
            cut(font, list(font.getBestCmap()))
            parts.append(f"{temp}/{part}.ttf")
            font.save(parts[-1])
        whole = merge.Merger().merge(parts)
    cut(whole, sorted(WANTED & set(whole.getBestCmap())))
    whole.save(pathlib.Path(__file__).parent / "be-vietnam-pro-600-subset.ttf")


main()
