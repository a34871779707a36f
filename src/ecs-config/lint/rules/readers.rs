//! Rules about readers that disagree. What each reader does with a line was found by running
//! systemd, ecs-init's reader and docker on it.

table! { Readers:

QUOTED_VALUE "quoted-value" Error NOT_SYSTEMD reports "only systemd removes the quotes" "write the value without quotes"
"systemd takes the quotes off; ecs-init and docker keep them, so the agent gets a value that begins and ends with a quote. Lists become invalid JSON, names become other names. Nothing in this file needs quotes."
b"ECS_CLUSTER=\"prod\"\n" => b"ECS_CLUSTER=prod\n";

UNCLOSED_QUOTE "unclosed-quote" Error SYSTEMD reports "systemd reads on to the next quote, or to the end" "remove the quote"
"A value that starts with a quote and does not close it swallows the rest of the file for systemd: every later line becomes part of this value. ecs-init and docker take the quote as a character of the value."
b"ECS_CLUSTER=\"prod\nECS_LOGLEVEL=info\n" => b"ECS_CLUSTER=prod\nECS_LOGLEVEL=info\n";

BACKSLASH_LOST "backslash-lost" Error SYSTEMD reports "systemd removes the backslash, ecs-init keeps it" "write the value without one"
"systemd removes a backslash and keeps the character after it; ecs-init and docker keep both. ecs-init takes this variable from its process environment, which systemd made, so it works with another value than the one written."
b"ECS_LOG_OPTS={\"tag\":\"a\\\"b\"}\n" => b"ECS_LOG_OPTS={\"tag\":\"a-b\"}\n";

BACKSLASH "backslash" Warning SYSTEMD reports "systemd removes the backslash, ecs-init keeps it" "write the value without one"
"systemd removes a backslash and keeps the character after it; ecs-init and docker keep both. The agent gets its value from ecs-init's own reader, so this is harmless until the agent is started from the unit's environment."
b"ECS_INSTANCE_ATTRIBUTES={\"path\":\"a\\\\b\"}\n" => b"ECS_INSTANCE_ATTRIBUTES={\"path\":\"a/b\"}\n";

LINE_CONTINUATION "line-continuation" Error ALL reports "a backslash joins lines for systemd only" "write the value on one line"
"A backslash at the end joins two lines for systemd only. For ecs-init and docker the value ends with the backslash and the next line is one of its own. Write the value on one line."
b"ECS_CLUSTER=prod\\\nuction\n" => b"ECS_CLUSTER=production\n";

SPACE_AROUND_EQUALS "space-around-equals" Error ALL reports "only systemd removes blanks around `=`" "write NAME=value without blanks"
"Only systemd removes blanks around `=`. For ecs-init a blank before it becomes part of the name, so the variable stays unset in the agent, and a blank after it becomes part of the value; docker refuses a name with a blank."
b"ECS_CLUSTER = prod\n" => b"ECS_CLUSTER=prod\n";

LEADING_SPACE "leading-space" Warning ALL reports "blanks before the name" "remove them"
"Blanks before a name are ignored by all readers today. They hide the name from `grep ^ECS_` and from scripts that edit the file."
b"  ECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

TRAILING_SPACE "trailing-space" Warning DOCKER reports "docker keeps the blanks at the end" "remove them"
"docker keeps blanks at the end of a line as part of the value; systemd and ecs-init remove them."
b"ECS_CLUSTER=prod  \n" => b"ECS_CLUSTER=prod\n";

EXPORT_PREFIX "export-prefix" Error ALL reports "`export ` becomes part of the name" "remove `export `"
"This file is not a shell script. systemd drops the line, ecs-init makes a variable whose name begins with `export `, docker refuses the file: the agent never sees the setting."
b"export ECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

ECHO_OPTION "echo-option" Error ALL reports "an option of echo was written into the file" "remove it"
"`echo -e` was run by a shell whose echo has no such option, as dash's: it writes the option out. It becomes part of the name, so the agent never sees the setting, and docker refuses the file."
b"-e ECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

COMMENT_WITH_EQUALS "comment-with-equals" Warning ECS_INIT reports "ecs-init reads this comment as a variable" "reword it without `=`, or remove it"
"ecs-init has no comments: a line with `=` becomes an environment variable of the agent whose name begins with `#`. It does no harm, but it shows up in `docker inspect`."
b"# ECS_CLUSTER=staging\nECS_CLUSTER=prod\n" => b"# once the cluster was staging\nECS_CLUSTER=prod\n";

SEMICOLON_COMMENT "semicolon-comment" Error NOT_SYSTEMD reports "`;` begins a comment for systemd only" "begin the comment with `#`"
"Only systemd takes `;` for a comment. ecs-init and docker read a variable whose name begins with `;`."
b";ECS_CLUSTER=staging\nECS_CLUSTER=prod\n" => b"# staging\nECS_CLUSTER=prod\n";

COMMENT_CONTINUATION "comment-continuation" Error SYSTEMD_TO_253 reports "systemd up to 253 joins the next line to this comment" "remove the backslash"
"Up to version 253 systemd joins a comment that ends in a backslash with the next line, so the setting in that line is lost; from 254 it does not. ecs-init and docker read the setting."
b"# the cluster \\\nECS_CLUSTER=prod\n" => b"# the cluster\nECS_CLUSTER=prod\n";

TRAILING_COMMENT "trailing-comment" Error ALL reports "no reader strips a comment after a value" "put the comment on its own line"
"No reader strips a comment after a value: all of them make it part of the value. Put the comment on a line of its own."
b"ECS_CLUSTER=prod # the blue one\n" => b"# the blue one\nECS_CLUSTER=prod\n";

MULTI_LINE_VALUE "multi-line-value" Error ALL reports "the JSON does not end on its line" "write it on one line"
"A value ends where its line ends. JSON over several lines leaves the agent with its first line only; the rest is dropped, or becomes variables with odd names. Write it on one line."
b"ECS_INSTANCE_ATTRIBUTES={\n  \"stack\":\"prod\"\n}\n" => b"ECS_INSTANCE_ATTRIBUTES={\"stack\":\"prod\"}\n";

DUPLICATE_KEY "duplicate-key" Warning ALL
"The same setting is in the file twice with the same value. The last one counts for systemd and ecs-init; docker sends both."
b"ECS_CLUSTER=prod\nECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

CONFLICTING_DUPLICATE "conflicting-duplicate" Error ALL
"The same setting is in the file twice with different values. The last one counts for systemd and ecs-init, docker sends both, and the author of the other one does not expect that."
b"ECS_CLUSTER=prod\nECS_CLUSTER=staging\n" => b"ECS_CLUSTER=staging\n";

NOT_AN_ASSIGNMENT "not-an-assignment" Error ALL reports "expected NAME=value" "write NAME=value, or begin the line with `#`"
"A line needs `NAME=value`. Without `=` systemd and ecs-init drop it, and docker copies a variable of that name from its own environment or refuses the file."
b"ECS_CLUSTER: prod\n" => b"ECS_CLUSTER=prod\n";

EMPTY_NAME "empty-name" Error ALL reports "the name before `=` is missing" "write a name, or begin the line with `#` and leave `=` out"
"A line that begins with `=` gives ecs-init a variable without a name. Docker then refuses to create the agent's container, and systemd retries every ten seconds for ever."
b"=====\nECS_CLUSTER=prod\n" => b"# ----\nECS_CLUSTER=prod\n";

BAD_NAME "bad-name" Error ALL reports "this is not a valid variable name" "use letters, digits and `_`"
"A name may hold letters, digits and `_`. systemd drops a name with anything else in it, ecs-init passes it on unchanged, and docker refuses one with a blank: the agent does not find the setting."
b"ECS CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

ODD_NAME "odd-name" Warning ALL reports "systemd drops a name like this" "use letters, digits and `_`"
"systemd drops a name with `-` or `.` in it or a digit in front; ecs-init and docker pass it on. No variable of the agent has such a name."
b"MY.SETTING=1\n" => b"# my.setting is not for ECS\n";

LOWER_CASE_NAME "lower-case-name" Warning ALL reports "the agent's variables are in upper case" "write the name in upper case"
"Names are case sensitive and the agent's are in upper case (only http_proxy and the like exist in both). All readers set the lower case name, and no program reads it. If only the case differs from a known name, `name-case` says so."
b"my_setting=1\n" => b"MY_SETTING=1\n";

SHELL_COMMAND "shell-command" Error ALL reports "a shell command was left in" "keep only the NAME=value that it was to write"
"A shell command was left in the file, most likely because a script was uploaded instead of what it writes. No reader runs it; the name it seems to set is not set."
b"echo ECS_CLUSTER=prod >> /etc/ecs/ecs.config\n" => b"ECS_CLUSTER=prod\n";

HEREDOC_LEFT_IN "heredoc-left-in" Error ALL reports "a line of a here-document was left in" "remove the line"
"A line of a here-document (`cat <<EOF`, or `EOF` alone) was left in: a botched heredoc. docker refuses the file, and settings after the end mark may belong to the script around it."
b"cat <<'EOF' > /etc/ecs/ecs.config\nECS_CLUSTER=prod\nEOF\n" => b"ECS_CLUSTER=prod\n";

MIME_BOUNDARY "mime-boundary" Error ALL reports "a boundary of MIME was left in" "remove the line"
"The line separates the parts of user data in MIME; most likely the here-document around the settings was not closed before it. systemd drops it, the others make a variable of it if it has `=`."
b"ECS_CLUSTER=prod\n--==BOUNDARY==--\n" => b"ECS_CLUSTER=prod\n";

MISSING_FINAL_NEWLINE "missing-final-newline" Warning ALL reports "the last line has no newline" "add one"
"The readers do not mind, but whatever appends to the file does: the ECS Anywhere script and AWS Batch use `>>`, and their first line then continues this last one."
b"ECS_CLUSTER=prod" => b"ECS_CLUSTER=prod\n";

CRLF "crlf" Warning ALL
"Lines end with CR LF, as Windows writes them. All readers cope today; old agents kept the CR (aws/amazon-ecs-agent#53), and shell scripts that read the file still do."
b"ECS_CLUSTER=prod\r\n" => b"ECS_CLUSTER=prod\n";

CR_ONLY "cr-only" Error NOT_SYSTEMD reports "a lone CR in the line" "end lines with LF"
"A lone CR ends a line for systemd only. ecs-init and docker read on, so this line's value holds the CR and the next setting."
b"ECS_CLUSTER=prod\rECS_LOGLEVEL=info\n" => b"ECS_CLUSTER=prod\nECS_LOGLEVEL=info\n";

BOM "bom" Error NOT_DOCKER reports "the file begins with a byte order mark" "save it without"
"The file begins with a byte order mark. Only docker removes it: systemd drops the first variable, and ecs-init makes the mark part of its name, so the agent does not find it."
b"\xef\xbb\xbfECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n";

BOM_BEFORE_COMMENT "bom-before-comment" Warning ALL reports "the file begins with a byte order mark" "save it without"
"The file begins with a byte order mark. It is before a comment, so no setting is lost yet; the next edit may put one there."
b"\xef\xbb\xbf# our cluster\nECS_CLUSTER=prod\n" => b"# our cluster\nECS_CLUSTER=prod\n";

INVALID_UTF8 "invalid-utf8" Error ALL reports "a byte here is not UTF-8" "save the file as UTF-8"
"A byte here is not UTF-8. systemd then rejects the whole file, silently; ecs-init replaces the byte; docker stops with an error. Save the file as UTF-8."
b"ECS_CLUSTER=caf\xe9\n" => b"ECS_CLUSTER=cafe\n";

INVALID_UTF8_COMMENT "invalid-utf8-comment" Warning DOCKER reports "a byte here is not UTF-8" "save the file as UTF-8"
"A byte in this comment is not UTF-8. systemd and ecs-init do not look at it; docker stops with an error."
b"# caf\xe9\nECS_CLUSTER=prod\n" => b"# cafe\nECS_CLUSTER=prod\n";

UTF_16 "utf-16" Error ALL reports "the file is UTF-16" "save it as UTF-8"
"The file is UTF-16, as some Windows tools write it. systemd and docker reject all of it; ecs-init sets nothing that the agent knows. Save it as UTF-8."
b"\xff\xfeE\0C\0S\0=\x001\0\n\0" => b"ECS_CLUSTER=prod\n";

NUL "nul" Error ALL reports "a NUL byte" "remove it"
"There is a NUL byte. systemd rejects the whole file (219 on Amazon Linux 2 cuts it there), silently; ecs-init and docker hand the byte to Docker, which cannot put it into an environment."
b"ECS_CLUSTER=pr\0od\n" => b"ECS_CLUSTER=prod\n";

INVISIBLE_CHARACTER "invisible-character" Error ALL reports "an invisible character" "retype the line"
"There is an invisible character, such as a no-break space pasted from a web page. The readers disagree about which of them to trim, and those that stay become part of the name or the value."
b"ECS_CLUSTER=prod\xc2\xa0\n" => b"ECS_CLUSTER=prod\n";

CONTROL_CHARACTER "control-character" Warning ALL reports "a control character in the value" "remove it"
"There is a control character in the value. All readers keep it; nothing that the agent understands needs one."
b"ECS_CLUSTER=pr\x07od\n" => b"ECS_CLUSTER=prod\n";

NO_EXPANSION "no-expansion" Note ALL reports "nothing expands `$`, `%` or `~` in this file" ""
"`$`, `%` and `~` are plain characters to every reader of this file: no variable, specifier or home directory is inserted. `ecs-bootstrap run --expand` replaces `${region}` and the like."
b"ECS_CLUSTER=$CLUSTER\n" => b"ECS_CLUSTER=prod\n";

EMPTY_VALUE "empty-value" Warning ALL reports "empty is not unset" "remove the line"
"Empty is not unset. The agent treats most empty values like absent ones, but an empty value here still overrides one from `/var/lib/ecs/ecs.config`. Leave the line out."
b"ECS_INSTANCE_ATTRIBUTES=\n" => b"# no attributes\n";

EMPTY_OVERRIDES_DEFAULT "empty-overrides-default" Error ECS_INIT reports "the empty value overrides what ecs-init sets" "remove the line"
"ecs-init gives the agent a value for this variable unless the file has the name; an empty value overrides it. ECS_DATADIR= turns checkpointing off, so every restart registers a new container instance; ECS_ENABLE_TASK_IAM_ROLE= turns task roles off; ECS_AVAILABLE_LOGGING_DRIVERS= leaves json-file and none. Leave the line out."
b"ECS_DATADIR=\n" => b"# ecs-init sets ECS_DATADIR\n";

TOO_LONG "too-long" Error ALL reports "NAME=value has 131072 bytes or more" "shorten it"
"NAME=value has 131072 bytes or more. The kernel refuses to start a program with such an environment: first ecs-init, then the agent."
b"ECS_INSTANCE_ATTRIBUTES=......\n" => b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"b\"}\n" in Stretched;

NOT_A_CONFIGURATION "not-a-configuration" Error ALL
"The file is something else altogether: XML or HTML, as of a download that failed and was not checked, user data, a script, JSON, YAML, TOML, base64 or compressed. Lines that look like settings in it are not looked at one by one."
b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n" => b"ECS_CLUSTER=prod\n";

FIXED "normalised" Note ALL
"`run` corrected the layer before it installed it: a byte order mark was removed, CR LF became LF, or a final newline was added. The readers take the result as the author meant it."
b"ECS_CLUSTER=prod\r\n" => b"ECS_CLUSTER=prod\n" in Installed;

READERS_DISAGREE "readers-disagree" Error ALL
"The programs that read this file would set different values, for a reason that no other rule names; a line of 64 KiB, which docker refuses, is one. `lint --readers` shows what each would set."
b"ECS_NVIDIA_RUNTIME=...\n" => b"ECS_NVIDIA_RUNTIME=nvidia\n" in Stretched;

}
