#!/usr/bin/env python3
"""What the documentation names must exist: files, tests, targets of make, in the tables of security and model the
functions of a file, and whatever a link leads to, its heading included.

Of names only those in `backticks` are looked at; in code, names of documents. Prints what is missing; exit status 1 when anything is."""
import pathlib
import re
import subprocess
import sys

NAMING_FUNCTIONS = {"docs/ARCHITECTURE.md", "docs/security/threat-model.md", "docs/security/bound-mode.md", "docs/model/README.md"}
SOURCE = r"[\w./-]+\.(?:c|h|py|pv|scd|proto)"


def tracked():
    return subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split()


def has_file(files, name):
    """A path may leave out its first folders."""
    return any(path == name or path.endswith("/" + name) for path in files)


def has_test(files, name):
    return any(pathlib.PurePath(path).stem.startswith(name.rstrip("*")) for path in files)


def anchors_of(document):
    """The anchors of a document's headings, as web pages of repositories make them."""
    headings = re.findall(r"^#+ (.*)$", pathlib.Path(document).read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document):
    text = re.sub(r"^( {4}|```).*$", "", pathlib.Path(document).read_text(), flags=re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        place = pathlib.Path(document).parent / path if path else pathlib.Path(document)
        if not place.exists():
            yield "%s: the link to %s leads nowhere" % (document, target)
        elif anchor and anchor not in anchors_of(place):
            yield "%s: the link to %s has no such heading" % (document, target)


def missing_in(document, files):
    text = pathlib.Path(document).read_text()
    for name in re.findall(r"`(%s)`" % SOURCE, text):
        if not has_file(files, name):
            yield "%s: there is no %s" % (document, name)
    for name in re.findall(r"`(test_\w+\*?)`", text):
        if not has_test(files, name):
            yield "%s: there is no test program %s" % (document, name)
    if document in NAMING_FUNCTIONS:
        for name, functions in re.findall(r"`(%s)`((?:,? `\w+`)+)" % SOURCE, text):
            body = "".join(pathlib.Path(path).read_text() for path in files if path == name)
            for function in re.findall(r"\w+", functions):
                if not re.search(r"\b%s\b" % function, body):
                    yield "%s: there is no %s in %s" % (document, function, name)


def missing_targets(document):
    """Targets of make, in `backticks` or at the beginning of an indented line."""
    targets = set(re.findall(r"^([a-z-]+):", pathlib.Path("Makefile").read_text(), re.M))
    for line in re.findall(r"(?:`| {4})make((?: [\w=,/.-]+)+)", pathlib.Path(document).read_text()):
        for word in line.split():
            if re.fullmatch(r"[a-z][a-z-]*", word) and word not in targets:
                yield "%s: there is no target %s of make" % (document, word)


def missing_in_code(files):
    """Documents that a comment or a message names, with their folders or without."""
    for source in files:
        if source.endswith((".c", ".h")):
            for name in re.findall(r"[\w./-]+\.md\b", pathlib.Path(source).read_text()):
                if not has_file(files, name):
                    yield "%s: there is no %s" % (source, name)


def main():
    files = tracked()
    documents = [name for name in files if name.endswith(".md")]
    missing = [line for document in documents for line in list(missing_in(document, files)) + list(broken_links(document)) +
               list(missing_targets(document))]
    missing += missing_in_code(files)
    for line in missing:
        print(line)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
