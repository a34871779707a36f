"""The commands of README.md, block by block, as a reader pastes them.

`sh` blocks are pasted; `console` blocks show what is typed behind `$ ` and what it prints. An `output` block says what the command just
before it prints. In what is printed `…` stands for anything. A block of no language is refused: nobody could tell whether it is run.
"""

import dataclasses
import re
import subprocess

MARK = "# needs an account"
OTHERS = {"json", "toml", "yaml", "text"}


@dataclasses.dataclass
class Command:
    text: str
    heading: str
    line: int
    printed: str | None = None  # what README says that it prints

    @property
    def marked(self):
        return self.text.endswith(MARK)

    @property
    def name(self):
        """Its first line, without the comment."""
        return re.sub(r"\s+#\s.*$", "", self.text.splitlines()[0])

    def prints(self, output):
        """Whether this is what README says."""
        pattern = ".*?".join(re.escape(part) for part in self.printed.strip().split("…"))
        return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def commands(readme):
    """Every command, in order."""
    heading, found = "", []
    for match in re.finditer(r"^(?:#+ (?P<heading>.*)|(?P<indent> *)```(?P<kind>.*)\n(?P<body>(?:.*\n)*?) *```)$", readme, re.MULTILINE):
        if match["heading"]:
            heading = match["heading"]
            continue
        line = readme.count("\n", 0, match.start()) + 2
        body = re.sub("^" + match["indent"], "", match["body"], flags=re.MULTILINE)
        if match["kind"] == "sh":
            found += [Command(text, heading, line + above) for above, text in statements(body)]
        elif match["kind"] == "console":
            found += typed(body, heading, line)
        elif match["kind"] == "output":
            found[-1].printed = body
        elif match["kind"] not in OTHERS:
            raise AssertionError(f"README.md, line {line - 1}: a block of the language {match['kind']!r}, which is none of sh, console, output, {OTHERS}")
    return found


def typed(body, heading, line):
    """The commands of a console block, each with what follows until the next prompt."""
    found = []
    for above, text in enumerate(body.splitlines()):
        if text.startswith("$ "):
            found.append(Command(text.removeprefix("$ "), heading, line + above, ""))
        else:
            found[-1].printed += text + "\n"
    return found


def statements(body):
    """Splits a block into commands, each with the lines above it: a command ends where a shell would not read on."""
    pending, began = "", 0
    for above, text in enumerate(body.splitlines()):
        began = began if pending else above
        pending += text + "\n"
        if not pending.strip():
            pending = ""
        elif whole(pending):
            yield began, pending.rstrip("\n")
            pending = ""
    if pending:
        raise AssertionError(f"no shell can read this to its end:\n{pending}")


def whole(text):
    """Whether a shell would run this and not wait for more."""
    heard = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    return not text.endswith("\\\n") and heard.returncode == 0 and not heard.stderr
