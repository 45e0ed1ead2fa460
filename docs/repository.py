"""A preprocessor of mdBook: what a page links to outside `docs/src` becomes a page of the book.

The pages link to files of the repository by relative paths, so that the links work on GitHub. mdBook renders nothing
outside its source folder. So this adds each such file below `repository/` and rewrites the links to it. README.md is
the first page. A page that SUMMARY.md does not list fails the build.
"""

import json
import pathlib
import posixpath
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent
SOURCE = "docs/src"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".rs": "rust", ".py": "python", ".ts": "typescript"}


def page_of(file):
    """Where the book has a file of the repository, from the top of the book."""
    if file == f"{SOURCE}/SUMMARY.md":
        return "toc.html"
    # mdBook renders README.md as index.html, but does not rewrite a link to it.
    name = file.replace("README.md", "index.md").lstrip(".")
    if file.startswith(SOURCE + "/"):
        return name.removeprefix(SOURCE + "/")
    if file == "README.md":
        return name
    return f"repository/{name}" if name.endswith(".md") else f"repository/{name}.md"


def link(content, file, outside):
    """The content of a file with its links into the book. Adds what they name outside the book to `outside`."""

    def target(match):
        to = posixpath.normpath(posixpath.join(posixpath.dirname(file), match[1]))
        if (ROOT / to).is_dir():
            return match[0]
        if not to.startswith(SOURCE + "/"):
            outside.add(to)
        here = posixpath.dirname(page_of(file))
        return posixpath.relpath(page_of(to), here or ".") + (match[2] or "")

    return LINK.sub(target, content)


def chapters(items):
    """Every chapter of the book, with the nested ones."""
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def chapter(file, outside):
    """The page of a file outside the book."""
    text = (ROOT / file).read_text()
    if file.endswith(".md"):
        text = link(text, file, outside)
    else:
        text = f"# {file}\n\n````{FENCES.get(pathlib.Path(file).suffix, 'text')}\n{text}\n````\n"
    return {"Chapter": {"name": file, "content": text, "number": None, "sub_items": [], "path": page_of(file),
                        "source_path": None, "parent_names": []}}


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    outside, done, pages = {"README.md"}, set(), []
    for page in chapters(book["items"]):
        if page["source_path"]:
            page["content"] = link(page["content"], f"{SOURCE}/{page['source_path']}", outside)
    listed = {page["source_path"] for page in chapters(book["items"])} | {"SUMMARY.md"}
    unlisted = {str(file.relative_to(ROOT / SOURCE)) for file in (ROOT / SOURCE).rglob("*.md")} - listed
    if unlisted:
        sys.exit(f"docs/src/SUMMARY.md does not list {', '.join(sorted(unlisted))}")
    while todo := sorted(outside - done):
        pages += [chapter(file, outside) for file in todo]
        done.update(todo)
    pages.sort(key=lambda page: page["Chapter"]["name"])
    start = next(page for page in pages if page["Chapter"]["name"] == "README.md")
    pages.remove(start)
    start["Chapter"]["name"] = "Rollcall"
    book["items"] = [start, *book["items"], {"PartTitle": "Repository"}, *pages]
    json.dump(book, sys.stdout)


main()
