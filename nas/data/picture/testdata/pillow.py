"""Makes image files of all kinds with Pillow in the directory given, and says what Pillow reads there.

For NAME there is NAME.rgb, the bytes of ImageOps.exif_transpose(image).convert("RGB"), with its size in the listing on
standard output: a line of JSON for each file. NAME.SIDE.rgb are the same pixels, the square in the middle resized."""

import io
import json
import os
import random
import struct
import sys
import warnings
import zlib

from PIL import Image, ImageDraw, ImageOps, PngImagePlugin

warnings.simplefilter("ignore")
out = sys.argv[1]
SIDES = (1, 7, 32)
SIZES = ((1, 1), (3, 5), (2, 7), (17, 23), (64, 33), (40, 40), (31, 9))
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
random.seed(4)


def picture(mode, size):
    """Returns areas, edges and noise in saturated and dull colours."""
    w, h = size
    base = Image.new("RGBA", size)
    base.putdata([(x * 255 // w, y * 255 // h, (x + y) * 255 // (w + h), 255 - (x * 7 + y * 3) % 256) for y in range(h) for x in range(w)])
    draw = ImageDraw.Draw(base)
    draw.rectangle((w // 4, h // 4, w // 2, h * 3 // 4), fill=(250, 10, 20, 0))
    draw.line((0, h - 1, w - 1, 0), fill=(10, 20, 240, 130))
    for _ in range(w * h // 6):
        base.putpixel((random.randrange(w), random.randrange(h)), tuple(random.randrange(256) for _ in range(4)))
    if mode == "I;16":
        levels = b"".join(struct.pack("<H", v * 257 + 100 * (v < 255)) for v in base.convert("L").tobytes())
        return Image.frombytes("I;16", size, levels)
    if mode == "P;t":
        image = base.convert("RGB").quantize(16)
        image.info["transparency"] = 3
        return image
    if mode == "P;tt":
        image = base.convert("RGB").quantize(16)
        image.info["transparency"] = bytes(range(0, 256, 16))
        return image
    if mode == "P":
        return base.convert("RGB").quantize(60)
    if mode == "RGB;t":
        image = base.convert("RGB")
        image.info["transparency"] = image.getpixel((0, 0))
        return image
    return base.convert(mode)


def record(name, data, read=None):
    """Writes a file, and what Pillow reads of it or of another one."""
    with open(os.path.join(out, name), "wb") as f:
        f.write(data)
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data if read is None else read)))
    except Exception as e:
        print(json.dumps({"name": name, "error": str(e)}))
        return
    if image.mode.startswith("I"):  # convert would clip
        image = Image.frombytes("L", image.size, image.tobytes()[1::2] if image.mode == "I;16" else bytes(v >> 8 for (v,) in struct.iter_unpack("=i", image.tobytes())))
    image = image.convert("RGB")
    w, h = image.size
    with open(os.path.join(out, name + ".rgb"), "wb") as f:
        f.write(image.tobytes())
    with open(os.path.join(out, name + ".grey"), "wb") as f:
        f.write(image.convert("L").tobytes())
    side = min(w, h)
    box = ((w - side) // 2, (h - side) // 2, (w - side) // 2 + side, (h - side) // 2 + side)
    for r in SIDES:
        with open(os.path.join(out, "%s.%d.rgb" % (name, r)), "wb") as f:
            f.write(image.resize((r, r), Image.Resampling.BILINEAR, box=box).tobytes())
    print(json.dumps({"name": name, "width": w, "height": h}))


def saved(image, kind, **options):
    b = io.BytesIO()
    image.save(b, kind, **options)
    return b.getvalue()


def exif(o, order):
    e = order + (struct.pack(">HI", 42, 8) if order == b"MM" else struct.pack("<HI", 42, 8))
    p = ">" if order == b"MM" else "<"
    return b"Exif\0\0" + e + struct.pack(p + "HHHIHHI", 1, 0x112, 3, 1, o, 0, 0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(colour, channels, size, transparent=b""):
    """Returns a PNG of 16 bits, which Pillow does not write."""
    w, h = size
    rows = b"".join(b"\0" + bytes(random.randrange(256) for _ in range(2 * channels * w)) for _ in range(h))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + transparent + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


MODES = {
    "png": ("1", "L", "LA", "P", "P;t", "P;tt", "RGB", "RGB;t", "RGBA", "I;16"),
    "jpeg": ("L", "RGB", "CMYK"),
    "webp": ("L", "RGB", "RGBA"),
    "gif": ("1", "L", "P", "P;t", "RGB"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "tiff": ("1", "L", "P", "RGB", "RGBA", "I;16"),
    "ppm": ("1", "L", "RGB", "I;16"),
}
for kind, modes in MODES.items():
    for mode in modes:
        for w, h in SIZES:
            image = picture(mode, (w, h))
            name = "%s-%s-%dx%d.%s" % (kind, mode.replace(";", ""), w, h, kind)
            if kind == "jpeg":
                for sampling in ("4:4:4", "4:2:2", "4:2:0") if mode == "RGB" else ("4:4:4",):
                    for progressive in (False, True):
                        data = saved(image, kind, quality=85, subsampling=sampling, progressive=progressive)
                        record("%s-%d-%s" % (sampling.replace(":", ""), progressive, name), data)
            elif kind == "webp":
                record("lossless-" + name, saved(image, kind, lossless=True, exact=True))
                record(name, saved(image, kind, quality=70, exact=True))
            elif kind == "tiff":
                for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits") + (("group3", "group4") if mode == "1" else ()):
                    record("%s-%s" % (compression, name), saved(image, kind, compression=compression))
            else:
                record(name, saved(image, kind))

# Orientation: everywhere that it can be noted.
for o in range(1, 9):
    for w, h in ((17, 23), (64, 33)):
        image = picture("RGB", (w, h))
        size = "%d-%dx%d" % (o, w, h)
        for order in (b"II", b"MM"):
            note = exif(o, order)
            record("exif-%s-%s.jpg" % (order.decode(), size), saved(image, "jpeg", exif=note, subsampling="4:2:0"))
            record("exif-%s-%s.png" % (order.decode(), size), saved(image, "png", exif=note))
            record("exif-%s-%s.webp" % (order.decode(), size), saved(image, "webp", exif=note, quality=80))
            record("exif-lossless-%s-%s.webp" % (order.decode(), size), saved(image, "webp", exif=note, lossless=True))
        record("tag-%s.tiff" % size, saved(image, "tiff", tiffinfo={274: o}))
        record("tag-lzw-%s.tiff" % size, saved(image, "tiff", tiffinfo={274: o}, compression="tiff_lzw"))
        record("xmp-%s.jpg" % size, saved(image, "jpeg", xmp=(XMP % o).encode()))
        record("xmp-%s.webp" % size, saved(image, "webp", xmp=(XMP % o).encode(), lossless=True))
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP % o, zip=o % 2 == 0)
        record("xmp-%s.png" % size, saved(image, "png", pnginfo=info))
        info = PngImagePlugin.PngInfo()
        note = exif(o, b"MM")
        info.add_text("Raw profile type exif", "\nexif\n%8d\n%s\n" % (len(note), note.hex()), zip=o % 2 == 0)
        record("profile-%s.png" % size, saved(image, "png", pnginfo=info))
        whole = saved(image, "png")
        record("late-%s.png" % size, whole[:-12] + chunk(b"eXIf", exif(o, b"II")[6:]) + whole[-12:])
        grey = picture("L", (w, h))
        record("grey-%s.jpg" % size, saved(grey, "jpeg", exif=exif(o, b"II")))
        record("cmyk-%s.jpg" % size, saved(picture("CMYK", (w, h)), "jpeg", exif=exif(o, b"II")))

# 16 bits, and transparency by colour.
for w, h in SIZES:
    for name, colour, channels in (("la", 4, 2), ("rgb", 2, 3), ("rgba", 6, 4)):
        record("16-%s-%dx%d.png" % (name, w, h), png16(colour, channels, (w, h)))
    record("16-rgb-t-%dx%d.png" % (w, h), png16(2, 3, (w, h), chunk(b"tRNS", bytes(6))))

# The same four components, taken for others; and nothing said of them.
for w, h in SIZES:
    data = saved(picture("CMYK", (w, h)), "jpeg", quality=85)
    at = data.index(b"Adobe")
    record("ycck-%dx%d.jpg" % (w, h), data[: at + 11] + b"\2" + data[at + 12 :])
    record("bare-%dx%d.jpg" % (w, h), data[: at - 4] + data[at + 12 :])

# A file whose name lies; one behind another; wide samples.
record("png.jpg", saved(picture("RGB", (9, 9)), "png"))
record("more.jpg", saved(picture("RGB", (9, 9)), "jpeg") + b"trailing")
record("rgb.jpg", saved(picture("RGB", (33, 21)), "jpeg", keep_rgb=True))
record("plain.ppm", b"P3\n# three\n2 2 # wide\n100\n" + b" ".join(b"%d" % (v * 9) for v in range(12)))
record("plain.pgm", b"P2 3 2 15 0 3 6 9 12 15")
record("plain.pbm", b"P1\n3 2\n101\n0 1 0")
record("wide.ppm", b"P6 2 2 65535\n" + bytes(random.randrange(256) for _ in range(24)))
record("odd.ppm", b"P6 2 2 200\n" + bytes(random.randrange(201) for _ in range(12)))

# A first frame that is smaller than the canvas; indices beyond the palette; a multiplied alpha.
for mode in ("P", "P;t", "L"):
    data = bytearray(saved(picture(mode, (9, 7)), "gif"))
    at = 13 + 3 * (2 << (data[10] & 7))
    while data[at] != 0x2C:
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    data[6:10] = struct.pack("<HH", 14, 12)
    data[at + 1 : at + 5] = struct.pack("<HH", 2, 3)
    record("part-%s.gif" % mode.replace(";", ""), bytes(data))
rows = b"".join(b"\0" + bytes(random.randrange(6) for _ in range(7)) for _ in range(5))
head = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 3, 0, 0, 0)) + chunk(b"PLTE", bytes(range(50, 59)))
record("beyond.png", b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
data = bytearray(saved(picture("RGBA", (17, 9)), "tiff"))
at = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
data[at] = 1
record("multiplied.tiff", bytes(data))

# JPEG with restarts, of all qualities, and with chroma halved from top to bottom or quartered: the blocks of other samplings
# in another order.
for w, h in SIZES + ((130, 77),):
    image = picture("RGB", (w, h))
    for quality in (1, 30, 100):
        for k, options in enumerate(({"restart_marker_rows": 1}, {"restart_marker_blocks": 3}, {"progressive": True, "restart_marker_blocks": 2}, {"optimize": True})):
            record("quality-%d-%d-%dx%d.jpg" % (quality, k, w, h), saved(image, "jpeg", quality=quality, **options))


def resampled(data, sampling, size):
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", size[1], size[0]) + data[at + 9 : at + 11] + bytes([sampling]) + data[at + 12 :]


for progressive in (False, True):
    for less in (0, 1, 3, 7):
        data = saved(picture("RGB", (96, 40)), "jpeg", subsampling="4:2:2", quality=80)
        record("440-%d-%d.jpg" % (progressive, less), resampled(data, 0x12, (48 - less, 80 - less)))
        data = saved(picture("RGB", (48, 96)), "jpeg", subsampling="4:2:0", quality=80)
        record("411-%d-%d.jpg" % (progressive, less), resampled(data, 0x41, (96 - less, 48 - less)))

# Notes that say nothing, or in another way.
image = picture("RGB", (19, 8))
for name, note in (
    ("none", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    ("zero", exif(0, b"II")),
    ("nine", exif(9, b"MM")),
    ("twice", b"Exif\0\0" + exif(6, b"MM")),
    ("long", b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
    ("two", b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x02\0\0\0\x06\0\x06\0\0\0\0\0"),
    ("cut", exif(6, b"II")[:20]),
):
    record("note-%s.jpg" % name, saved(image, "jpeg", exif=note, xmp=(XMP % 8).encode()))
    record("note-%s.webp" % name, saved(image, "webp", exif=note, xmp=(XMP % 8).encode(), lossless=True))

# Alpha that is packed with loss, fewer bits, frames, a predictor, and zero for white.
for w, h in ((130, 77), (31, 9)):
    size = "%dx%d" % (w, h)
    for quality in (0, 50, 100):
        record("alpha-%d-%s.webp" % (quality, size), saved(picture("RGBA", (w, h)), "webp", quality=quality, alpha_quality=quality))
    for b in (1, 2, 4):
        record("bits-%d-%s.png" % (b, size), saved(picture("RGB", (w, h)).quantize(1 << b), "png", bits=b))
    frames = [picture("P;t", (w, h)) for _ in range(3)]
    record("frames-%s.gif" % size, saved(frames[0], "gif", save_all=True, append_images=frames[1:], disposal=2))
    record("frames-rgba-%s.gif" % size, saved(picture("RGBA", (w, h)), "gif", save_all=True, append_images=[picture("RGBA", (w, h))]))
    record("frames-%s.png" % size, saved(picture("RGBA", (w, h)), "png", save_all=True, append_images=[picture("RGBA", (w, h))]))
    for mode in ("L", "RGB", "I;16"):
        record("predictor-%s-%s.tiff" % (mode.replace(";", ""), size), saved(picture(mode, (w, h)), "tiff", compression="tiff_lzw", tiffinfo={317: 2}))
    record("inverted-%s.tiff" % size, saved(picture("L", (w, h)), "tiff", tiffinfo={262: 0}))
