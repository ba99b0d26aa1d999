#!/usr/bin/env python3
"""Looks at each link of the HTML files below a folder: its file and its place in it must be there. Others' sites are not asked."""

import html.parser
import os
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """What a page links to, and the places in it that links can name."""

    def __init__(self, path):
        super().__init__()
        self.links = []
        self.places = {""}
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.places.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


def main():
    top = sys.argv[1]
    files = [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]
    pages = {path: Page(path) for path in files if path.endswith(".html")}
    mistakes = []
    count = 0
    for path, page in sorted(pages.items()):
        # The page of a server that has not found another; it can be anywhere, so it has links from the top.
        if os.path.basename(path) == "404.html":
            continue
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            count += 1
            target = urllib.parse.unquote(url.path)
            target = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            if target not in pages and target not in files:
                mistakes.append(f"{path}: {link}: there is no such file")
            elif target in pages and urllib.parse.unquote(url.fragment) not in pages[target].places:
                mistakes.append(f"{path}: {link}: there is no such place")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    print(f"{top}: {len(pages)} pages, {count} links" + (f", {len(mistakes)} of them lead nowhere" if mistakes else ""))
    return 1 if mistakes or not count else 0


sys.exit(main())
