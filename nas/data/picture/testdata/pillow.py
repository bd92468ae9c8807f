"""Makes image files of all kinds with Pillow in the directory given, and says what Pillow reads there.

For NAME there is NAME.rgb, the bytes of ImageOps.exif_transpose(image).convert("RGB"), with its size in the listing on
standard output: a line of JSON for each file. NAME.SIDE.rgb are the same pixels, the square in the middle resized;
NAME.scaled the upper 8 bits of 16 bits of grey."""

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
    if image.mode.startswith("I"):  # which convert clips
        with open(os.path.join(out, name + ".scaled"), "wb") as f:
            f.write(bytes(v >> 8 for (v,) in struct.iter_unpack("=i", image.convert("I").tobytes())))
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
    "tiff": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I;16"),
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
                record("big-" + name, saved(image, kind, big_tiff=True))
                if mode in ("L", "RGB", "RGBX", "CMYK"):
                    record("jpeg-" + name, saved(image, kind, compression="jpeg", quality=70))
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

# Grey that 16 bits hold and 8 do not quite; and with one level that is transparent.
for w, h in ((31, 9), (17, 23)):
    dark = Image.frombytes("I;16", (w, h), b"".join(struct.pack("<H", random.randrange(300)) for _ in range(w * h)))
    for kind in ("png", "tiff", "ppm"):
        record("dark-%dx%d.%s" % (w, h, kind), saved(dark, kind))
    record("dark-t-%dx%d.png" % (w, h), png16(0, 1, (w, h), chunk(b"tRNS", bytes(2))))
    levels = b"".join(struct.pack(">H", random.randrange(1000)) for _ in range(w * h))
    record("white-999-%dx%d.pgm" % (w, h), b"P5 %d %d 999\n" % (w, h) + levels)
    record("white-200-%dx%d.ppm" % (w, h), b"P5 %d %d 200\n" % (w, h) + bytes(random.randrange(201) for _ in range(w * h)))


def tiff(order, size, kind, bits, samples, pack=1, planes=1, tile=0, tags=()):
    """Returns a TIFF file of noise: in strips of 5 rows or in tiles, in one plane or one for each sample."""
    w, h = size
    each = 1 if planes == 2 else samples
    across, rows = (tile, tile) if tile else (w, 5)
    blocks = []
    for _ in range((samples if planes == 2 else 1) * -(-w // across)):
        for y in range(0, h, rows):
            n = (tile if tile else min(rows, h - y)) * -(-across * each * bits // 8)
            block = bytes(random.randrange(256) for _ in range(n))
            block = zlib.compress(block) if pack == 8 else block
            blocks.append(bytes(int(format(v, "08b")[::-1], 2) for v in block) if (266, [2]) in tags else block)
    offsets = [8 + sum(map(len, blocks[:i])) for i in range(len(blocks))]
    place, length = (324, 325) if tile else (273, 279)
    tags = [(256, [w]), (257, [h]), (258, [bits] * samples), (259, [pack]), (262, [kind]), (277, [samples]), (284, [planes]),
            (place, offsets), (length, list(map(len, blocks)))] + ([(322, [tile]), (323, [tile])] if tile else [(278, [5])]) + list(tags)
    at = 8 + sum(map(len, blocks))
    entries, values = b"", b""
    for tag, v in sorted(tags):
        b = struct.pack(order + "%d%s" % (len(v), "I" if tag in (place, length) else "H"), *v)
        where = b.ljust(4, b"\0") if len(b) <= 4 else struct.pack(order + "I", at + 6 + 12 * len(tags) + len(values))
        entries += struct.pack(order + "HHI", tag, 4 if tag in (place, length) else 3, len(v)) + where
        values += b if len(b) > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return head + b"".join(blocks) + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0) + values


GREY, RGB, PALETTE, CMYK = 1, 2, 3, 5
for order in "<>":
    for tile in (0, 16):
        for pack in (1, 8):
            for name, kind, bits, samples, planes, tags in (
                ("grey-2", GREY, 2, 1, 1, ()),
                ("grey-4", GREY, 4, 1, 1, ()),
                ("grey-16", GREY, 16, 1, 1, ()),
                ("inverse", 0, 4, 1, 1, ()),
                ("grey-x", GREY, 8, 2, 1, ((338, [0]),)),
                ("palette", PALETTE, 4, 1, 1, ((320, [random.randrange(65536) for _ in range(48)]),)),
                ("rgb", RGB, 8, 3, 2, ()),
                ("rgba", RGB, 8, 4, 2, ((338, [2]),)),
                ("rgba-16", RGB, 16, 4, 1, ((338, [1]),)),
                ("difference", RGB, 16, 3, 1, ((317, [2]),)),
                ("planes", RGB, 8, 3, 2, ((317, [2]),)),
                ("cmyk", CMYK, 8, 4, 2, ()),
                ("cmyk-16", CMYK, 16, 4, 1, ()),
                ("reversed", RGB, 8, 3, 1, ((266, [2]),)),
            ):
                record("%s-%s-%d-%d.tiff" % (name, "le" if order == "<" else "be", tile, pack), tiff(order, (37, 21), kind, bits, samples, pack, planes, tile, tags))


def bmp(bits, size, pixels=None, header=40, packing=0, masks=(), down=False):
    """Returns a BMP file of noise, or of packed pixels."""
    w, h = size
    colours = 1 << bits if bits <= 8 else 0
    palette = b"".join(bytes(random.randrange(256) for _ in range(3)) + b"\0" * (header != 12) for _ in range(colours))
    pixels = pixels or bytes(random.randrange(256) for _ in range((w * bits + 31) // 32 * 4 * h))
    head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    if header != 12:
        head = struct.pack("<IiiHHIIiiII", header, w, -h if down else h, 1, bits, packing, len(pixels), 0, 0, colours, 0)
        head = (head + struct.pack("<%dI" % len(masks), *masks)).ljust(header, b"\0")
    at = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<III", at + len(pixels), 0, at) + head + palette + pixels


def runs(bits, size):
    """Returns rows of runs, literals and gaps."""
    w, h = size
    out = b""
    for _ in range(h):
        out += bytes([5, random.randrange(256)]) + bytes([0, 7]) + bytes(random.randrange(256) for _ in range(8 if bits == 8 else 4))
        out += bytes([0, 2, 3, 0]) + bytes([255, random.randrange(256)] if w > 40 else []) + b"\0\0"
    return out + b"\0\1"


for w, h in ((31, 9), (45, 12)):
    size = "%dx%d.bmp" % (w, h)
    for header in (12, 40, 52, 56, 64, 108, 124):
        for bits in (1, 4, 8, 16, 24, 32):
            record("bmp-%d-%d-%s" % (header, bits, size), bmp(bits, (w, h), header=header))
            if header != 12:
                record("bmp-down-%d-%d-%s" % (header, bits, size), bmp(bits, (w, h), header=header, down=True))
        if header in (40, 108):
            for bits, masks in ((16, (0xF800, 0x7E0, 0x1F)), (16, (0x7C00, 0x3E0, 0x1F)), (32, (0xFF000000, 0xFF0000, 0xFF00)), (32, (0xFF0000, 0xFF00, 0xFF))):
                record("bmp-masks-%d-%d-%x-%s" % (header, bits, masks[0], size), bmp(bits, (w, h), header=header, packing=3, masks=masks + (0,)))
    for bits, packing in ((8, 1), (4, 2)):
        record("bmp-runs-%d-%s" % (bits, size), bmp(bits, (w, h), runs(bits, (w, h)), packing=packing))

# Animations, whose first frame counts; it may be smaller than the canvas, or larger.
for w, h in ((31, 9), (17, 23)):
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            frames = [picture(mode, (w, h)) for _ in range(2)]
            data = saved(frames[0], "webp", save_all=True, append_images=frames[1:], lossless=lossless, exact=True, background=(9, 8, 7, 255))
            record("frames-%s-%d-%dx%d.webp" % (mode, lossless, w, h), data)
            at = data.index(b"ANMF") + 8
            canvas = struct.pack("<I", w + 9)[:3] + struct.pack("<I", h + 4)[:3]
            place = struct.pack("<I", 3)[:3] + struct.pack("<I", 2)[:3]
            record("part-%s-%d-%dx%d.webp" % (mode, lossless, w, h), data[:24] + canvas + data[30:at] + place + data[at + 6 :])
    data = saved(picture("P", (w, h)), "gif")
    record("enlarged-%dx%d.gif" % (w, h), data[:6] + struct.pack("<HH", 5, 30) + data[10:])
    data = bytearray(saved(picture("RGB", (w, h)).quantize(64), "gif", optimize=False))
    cut = 13 + 3 * (2 << (data[10] & 7))
    data[10] = data[10] & 0xF8 | 2
    record("beyond-%dx%d.gif" % (w, h), bytes(data[:13] + data[13:37] + data[cut:]))
    frames = [picture("RGBA", (w, h)) for _ in range(2)]
    record("default-%dx%d.png" % (w, h), saved(frames[0], "png", save_all=True, append_images=frames[1:], default_image=True))
