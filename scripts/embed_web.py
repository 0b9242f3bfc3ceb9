#!/usr/bin/env python3
"""embed_web.py OUT.c FILE... - writes the files of web/ as a C table of pages (src/server/pages.h); run by Meson.

NAME.html is the page at /NAME; every other file is at /web/NAME. The tag is a hash of the content, so that a browser
asks again only for what has changed.
"""
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def path_of(file):
    return f"/{file.stem}" if file.suffix == ".html" else f"/web/{file.name}"


def bytes_of(data):
    lines = (data[i : i + 32] for i in range(0, len(data), 32))
    return "\n".join(",".join(map(str, line)) + "," for line in lines)


def main(out, *names):
    arrays, rows = [], []
    for i, file in enumerate(sorted(map(pathlib.Path, names))):
        data = file.read_bytes()
        tag = hashlib.sha256(data).hexdigest()[:20]
        arrays.append(f"static const unsigned char file_{i}[] = {{\n{bytes_of(data)}\n}};\n")
        rows.append(f'    {{ "{path_of(file)}", "{TYPES[file.suffix]}", "\\"{tag}\\"", file_{i}, {len(data)} }},\n')
    pathlib.Path(out).write_text(
        '#include "server/pages.h"\n\n'
        + "\n".join(arrays)
        + "\nconst struct pn_page pn_pages[] = {\n"
        + "".join(rows)
        + f"}};\nconst size_t pn_n_pages = {len(rows)};\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
