"""The commands of a page in Markdown, block by block, as a reader pastes them.

`sh` blocks are pasted; `console` blocks show what is typed after `$ ` and what it prints. An `output` block shows what the command just
before it prints, in which `…` stands for anything. A block of any other language is refused unless it is one that nobody runs.
"""

import dataclasses
import re
import subprocess

MARK = "# needs an account"
NOT_RUN = {"json", "toml", "yaml", "text"}
BLOCK = re.compile(r"^(?:#+ (?P<heading>.*)|(?P<indent> *)```(?P<language>.*)\n(?P<body>(?:.*\n)*?) *```)$", re.MULTILINE)


@dataclasses.dataclass
class Command:
    text: str
    heading: str
    line: int
    page: str = ""
    printed: str | None = None  # what the page says that it prints

    @property
    def marked(self):
        return self.text.endswith(MARK)

    @property
    def name(self):
        """Its first line, without the comment."""
        return re.sub(r"\s+#\s.*$", "", self.text.splitlines()[0])

    @property
    def place(self):
        return f"{self.page}, line {self.line}"

    def prints(self, output):
        """Whether this is what the page says."""
        pattern = ".*?".join(re.escape(part) for part in self.printed.strip().split("…"))
        return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def commands(text, page):
    """Every command of the page, in order."""
    heading, found = "", []
    for match in BLOCK.finditer(text):
        if match["heading"]:
            heading = match["heading"]
            continue
        line = text.count("\n", 0, match.start()) + 2
        body = re.sub("^" + match["indent"], "", match["body"], flags=re.MULTILINE)
        if match["language"] == "sh":
            found += [Command(statement, heading, line + above, page) for above, statement in statements(body)]
        elif match["language"] == "console":
            found += typed(body, heading, line, page)
        elif match["language"] == "output":
            found[-1].printed = body
        elif match["language"] not in NOT_RUN:
            allowed = ", ".join(["sh", "console", "output", *sorted(NOT_RUN)])
            raise AssertionError(f"{page}, line {line - 1}: a block of the language {match['language']!r}; allowed are {allowed}")
    return found


def typed(body, heading, line, page):
    """The commands of a console block, each with what follows until the next prompt."""
    found = []
    for above, text in enumerate(body.splitlines()):
        if text.startswith("$ "):
            found.append(Command(text.removeprefix("$ "), heading, line + above, page, ""))
        else:
            found[-1].printed += text + "\n"
    return found


def statements(body):
    """Splits a block into commands, each with the number of lines above it: a command ends where a shell would not read on."""
    pending, began = "", 0
    for above, text in enumerate(body.splitlines()):
        began = began if pending else above
        pending += text + "\n"
        if not pending.strip():
            pending = ""
        elif complete(pending):
            yield began, pending.rstrip("\n")
            pending = ""
    if pending:
        raise AssertionError(f"no shell can read this to its end:\n{pending}")


def complete(text):
    """Whether a shell would run this and not wait for more."""
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    return not text.endswith(("\\\n", "|\n")) and checked.returncode == 0 and not checked.stderr
