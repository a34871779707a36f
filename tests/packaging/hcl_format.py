"""Whether HCL is formatted as `terraform fmt` formats it: indents, and equals signs in one column."""

import re

OPENING, CLOSING = "([{", ")]}"
ASSIGNMENT = re.compile(r'( *)("[^"]*"|[\w-]+)( *)=( *)(?![=>])\S')


def faults(text):
    """What is wrong, a line each; nothing if nothing is."""
    lines = [(number, line, without_strings(line)) for number, line in enumerate(without_heredocs(text).splitlines(), 1)]
    return [*ends(text), *indents(lines), *columns(lines)]


def ends(text):
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "the file does not end with one newline"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip() or "\t" in line:
            yield f"{number}: blanks at the end, or a tab"


def indents(lines):
    """Two spaces for each line above whose brackets are still open."""
    open_ = []
    for number, line, code in lines:
        if not line.strip():
            continue
        leading = len(code.lstrip()) - len(code.lstrip().lstrip(CLOSING))
        close(open_, leading)
        if len(line) - len(line.lstrip()) != 2 * len(open_):
            yield f"{number}: the indent is not {2 * len(open_)}"
        balance = leading + sum(char in OPENING for char in code) - sum(char in CLOSING for char in code)
        close(open_, -balance)
        if balance > 0:
            open_.append(balance)


def close(open_, count):
    for _ in range(count):
        open_[-1] -= 1
        if open_[-1] == 0:
            open_.pop()


def columns(lines):
    """The equals signs of lines that follow one another are aligned; a value of several lines has a line of its own."""
    group = []
    for number, line, code in [*lines, (0, "", "")]:
        whole = sum(char in OPENING for char in code) == sum(char in CLOSING for char in code)
        found = ASSIGNMENT.match(line)
        if found and not whole and (found[3], found[4]) != (" ", " "):
            yield f"{number}: not one space on each side of ="
        found = found if whole else None
        if group and not (found and found[1] == group[-1][1][1]):
            widest = max(one.end(2) for _, one in group)
            yield from (f"{at}: the equals sign is not aligned" for at, one in group if (one.end(3), one[4]) != (widest + 1, " "))
            group = []
        if found:
            group.append((number, found))


def without_heredocs(text):
    """What is in heredocs is in another language; the lines stay, so that their numbers do."""
    heredoc = re.compile(r"<<-?(\w+)\n.*?^ *\1$", re.M | re.S)
    return heredoc.sub(lambda found: '""' + "\n" * found[0].count("\n"), text)


def without_strings(line):
    """The line without its strings and comment, whose brackets do not count. Templates stay: theirs are in pairs."""
    line = re.sub(r"\\.", "", line)
    line = re.sub(r'"(?:[^"$]|\$(?!\{)|\$\{(?:[^"{}]|"[^"]*")*\})*"', "", line)
    return re.sub(r"(#|//).*", "", line)
