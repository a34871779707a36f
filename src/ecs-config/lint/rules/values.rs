//! Rules about values: what the agent, ecs-init and the AWS SDK accept, from their own parsers.

table! { Values:

BAD_PLACEHOLDER "bad-placeholder" Error ALL reports "this placeholder is not known" "write ${region}, ${availability_zone}, ${instance_id}, ${instance_type}, ${ami_id}, ${account_id}, ${tag:KEY}, ${ssm:/PATH}, ${secret:NAME} or ${secret:NAME#FIELD}"
"What `run --expand` does not know it does not install. In a value that it expands every `${` begins a placeholder; a `$` alone is a plain character."
b"ECS_CLUSTER=${regoin}\n" => b"ECS_CLUSTER=${region}\n" in Expanded;

NOT_A_BOOLEAN "not-a-boolean" Error ALL
"The agent knows the words 1, t, T, TRUE, true, True and their negatives; anything else, such as yes or on, counts as not set, and a default that ecs-init had set is lost as well. The AWS SDK stops on it. Write true or false."
b"ECS_ENABLE_TASK_IAM_ROLE=yes\n" => b"ECS_ENABLE_TASK_IAM_ROLE=true\n";

BOOLEAN_SPELLING "boolean-spelling" Warning ALL
"The agent takes this word, but other programs on the host take only true and false. Write those."
b"ECS_DISABLE_METRICS=True\n" => b"ECS_DISABLE_METRICS=true\n";

NOT_EXACTLY_TRUE "not-exactly-true" Error ALL reports "the agent takes this word for true, ecs-init does not" "write true"
"ecs-init compares this variable with the exact word true, while the agent takes other spellings: with one of those, one half of ECS is switched on and the other is not."
b"ECS_ENABLE_GPU_SUPPORT=1\n" => b"ECS_ENABLE_GPU_SUPPORT=true\n";

NOT_A_NUMBER "not-a-number" Error ALL
"The value must be a plain decimal number, without unit, blank or fraction. Anything else is ignored."
b"ECS_RESERVED_MEMORY=256MB\n" => b"ECS_RESERVED_MEMORY=256\n";

OUT_OF_RANGE "out-of-range" Error ALL
"The value is outside the bounds that the agent enforces, so it is ignored and the default is used."
b"ECS_IMAGE_CLEANUP_INTERVAL=1m\n" => b"ECS_IMAGE_CLEANUP_INTERVAL=10m\n";

CLAMPED "clamped" Warning ALL
"The value is outside the bounds that the agent enforces; it uses the nearest bound and only logs that."
b"ECS_CONTAINER_STOP_TIMEOUT=100ms\n" => b"ECS_CONTAINER_STOP_TIMEOUT=1s\n";

BAD_DURATION "bad-duration" Error ALL
"A duration needs a number and a unit for each part: ns, us, ms, s, m or h, as in 1h30m. There are no days, and a number alone is not a duration. The agent ignores what it cannot parse."
b"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=3\n" => b"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=3h\n";

BAD_SIZE "bad-size" Error ALL reports "Docker does not take this size" "write a number and k, m or g, as in 16m"
"Docker wants a number and one of the units k, m or g here, and refuses to create the agent's container otherwise."
b"ECS_INIT_DOCKER_LOG_FILE_SIZE=16 megabytes\n" => b"ECS_INIT_DOCKER_LOG_FILE_SIZE=16m\n";

UNKNOWN_WORD "unknown-word" Error ALL
"The value is not one of the words that this variable takes, or is written in another case. Depending on the variable it is ignored, replaced by the default, or stops the AWS SDK."
b"ECS_IMAGE_PULL_BEHAVIOR=Always\n" => b"ECS_IMAGE_PULL_BEHAVIOR=always\n";

BREAKS_LOGGING "breaks-logging" Error ALL
"This word breaks the log set-up of the agent: no log file, and debug text on its standard output. For ECS_LOGLEVEL that is true of crit, which the documentation lists, of none, and of any upper case; a valid ECS_LOGLEVEL_ON_INSTANCE repairs it. Safe levels are debug, info, warn and error."
b"ECS_LOGLEVEL=crit\n" => b"ECS_LOGLEVEL=error\n";

BAD_JSON "bad-json" Error ALL
"The value is not valid JSON. For attributes and tags the agent exits and ecs-init restarts it for ever while the unit looks healthy; elsewhere the value is ignored."
b"ECS_INSTANCE_ATTRIBUTES={\"stack\":prod}\n" => b"ECS_INSTANCE_ATTRIBUTES={\"stack\":\"prod\"}\n";

JSON_SHAPE "json-shape" Error ALL
"The JSON is valid but of another shape: the variable takes an object of strings, not an array or a number in it (aws/amazon-ecs-agent#727), or a list of strings. For attributes and tags the agent exits, and ecs-init restarts it for ever."
b"ECS_INSTANCE_ATTRIBUTES=[{\"stack\":\"prod\"}]\n" => b"ECS_INSTANCE_ATTRIBUTES={\"stack\":\"prod\"}\n";

DUPLICATE_JSON_KEY "duplicate-json-key" Warning ALL reports "a key is in the JSON object twice" "keep one of them"
"A key is in the JSON object more than once. Go takes the last one; the author of the other one does not expect that."
b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"1\",\"a\":\"2\"}\n" => b"ECS_INSTANCE_ATTRIBUTES={\"a\":\"2\"}\n";

TYPOGRAPHIC_QUOTES "typographic-quotes" Error ALL reports "curly quotes, as from a text document" "type straight quotes (U+0022)"
"The value holds curly quotes, pasted from a document or a chat. JSON knows only the straight one (aws/amazon-ecs-agent#2074)."
b"ECS_AVAILABLE_LOGGING_DRIVERS=[\xe2\x80\x9cawslogs\xe2\x80\x9d]\n" => b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"awslogs\"]\n";

UNKNOWN_LOG_DRIVER "unknown-log-driver" Error ALL
"The agent does not know one of the log drivers. It exits, and ecs-init restarts it for ever while the unit looks healthy."
b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"cloudwatch\"]\n" => b"ECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"awslogs\"]\n";

BAD_PORT "bad-port" Error ALL
"An element is not a number from 0 to 65535; a number in quotes is not one either. The agent turns it into port 0, and the list still replaces the default one, so 22, 2375, 2376, 51678 and 51679 are handed out to tasks."
b"ECS_RESERVED_PORTS=[\"22\",8080]\n" => b"ECS_RESERVED_PORTS=[22,2375,2376,51678,51679,8080]\n";

DEFAULT_PORTS_DROPPED "default-ports-dropped" Note ALL
"The list replaces the default one, 22, 2375, 2376, 51678 and 51679; those of them that it leaves out may be handed out to tasks."
b"ECS_RESERVED_PORTS=[8080]\n" => b"ECS_RESERVED_PORTS=[22,2375,2376,51678,51679,8080]\n";

BAD_PORT_RANGE "bad-port-range" Error ALL reports "this is not a range of ports" "write FIRST-LAST, as in 49153-65535"
"The range must be two ports from 1 to 65535, the smaller one first, with a hyphen between them, or one port. Anything else is ignored."
b"ECS_DYNAMIC_HOST_PORT_RANGE=60000-50000\n" => b"ECS_DYNAMIC_HOST_PORT_RANGE=50000-60000\n";

BAD_PREFIX "bad-prefix" Error ALL
"An element is not an address prefix such as 10.0.0.0/16. The agent exits, and ecs-init restarts it for ever while the unit looks healthy."
b"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0\"]\n" => b"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/16\"]\n";

BAD_RATE_LIMIT "bad-rate-limit" Error ALL reports "this is not a pair of rates" "write STEADY,BURST, as in 40,60"
"The limit must be two whole numbers above zero with a comma between them: the steady rate and the burst. Anything else is ignored."
b"ECS_TASK_METADATA_RPS_LIMIT=40\n" => b"ECS_TASK_METADATA_RPS_LIMIT=40,60\n";

BLANK_IN_LIST "blank-in-list" Warning ALL reports "an element begins or ends with a blank" "remove blanks around commas"
"The elements of this list are not trimmed, so a blank after a comma becomes part of the next element."
b"ECS_EXCLUDE_UNTRACKED_IMAGE=alpine:3, busybox:1\n" => b"ECS_EXCLUDE_UNTRACKED_IMAGE=alpine:3,busybox:1\n";

BOOLEAN_FOR_LIST "boolean-for-list" Warning ALL reports "this is a list of names, not a switch" "list the names, or remove the line"
"The variable takes a list of names with commas between them: true or false is taken for the only name in it, which no image and no host has."
b"ECS_EXCLUDE_UNTRACKED_IMAGE=false\n" => b"ECS_EXCLUDE_UNTRACKED_IMAGE=alpine:3\n";

BAD_URL "bad-url" Error ALL
"The value is not an address that the program can use: an endpoint needs http:// or https:// and a host, and the Docker and credentials-fetcher sockets need unix:// before the path."
b"DOCKER_HOST=/var/run/docker.sock\n" => b"DOCKER_HOST=unix:///var/run/docker.sock\n";

AUTHS_WRAPPER "auths-wrapper" Error ALL reports "this is a whole Docker config.json: every private pull would run without credentials" "keep only the object inside `auths`"
"This is a whole Docker config.json. The agent wants what is inside its `auths`; with the wrapper every private pull runs without credentials, and only one line in the log shows it (aws/amazon-ecs-agent#273, #728)."
b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"auths\":{\"registry.example.com\":{\"auth\":\"dTpw\"}}}\n" => b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n";

AUTH_SHAPE "auth-shape" Error ALL
"A registry's entry lacks what its type needs: `auth` for dockercfg, `username` and `password` for docker. Its pulls run without credentials."
b"ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n" => b"ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"username\":\"u\",\"password\":\"p\"}}\n";

AUTH_NOT_USER_PASSWORD "auth-not-user-password" Error ALL
"`auth` must be the base64 form of user:password, as `docker login` writes it. This one is not base64, has no colon, or nothing on one side of it, as where the secret is in an identity token; so the registry's pulls run without credentials."
b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dXNlcg==\"}}\n" => b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n";

EXAMPLE_CREDENTIAL "example-credential" Note ALL
"The credential holds the word EXAMPLE, which AWS puts into the invented secrets of its documentation. It opens no registry."
b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"zq212MzEXAMPLE7o6T25Dk0i\"}}\n" => b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n";

REGISTRY_NAME "registry-name" Error ALL
"A key of ECS_ENGINE_AUTH_DATA must be the registry's host name, with or without http:// or https:// before it and a path behind it; the one of Docker Hub is exactly https://index.docker.io/v1/, with or without the scheme. Any other key is never looked up, and pulls run without credentials, silently (aws/amazon-ecs-agent#215, #1552)."
b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"https://index.docker.io/v1/user\":{\"auth\":\"dTpw\"}}\n" => b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n";

AWS_TAG_KEY "aws-tag-key" Error ALL
"Tag keys that begin with aws: are reserved. ECS refuses the registration, and the agent stays dead with exit status 5 (aws/amazon-ecs-agent#1704)."
b"ECS_CONTAINER_INSTANCE_TAGS={\"aws:team\":\"blue\"}\n" => b"ECS_CONTAINER_INSTANCE_TAGS={\"team\":\"blue\"}\n";

TAG_LIMITS "tag-limits" Error ALL
"ECS takes at most 50 tags; a key has 1 to 128 characters, a value at most 256, of letters, digits, blanks and + - = . _ : / @. It refuses the registration otherwise."
b"ECS_CONTAINER_INSTANCE_TAGS={\"team\":\"blue;green\"}\n" => b"ECS_CONTAINER_INSTANCE_TAGS={\"team\":\"blue\"}\n";

ATTRIBUTE_LIMITS "attribute-limits" Error ALL
"An attribute's name has 1 to 128 letters, digits and - _ . / \\; its value 1 to 128 of the same and @, : and blanks, but no blank at either end. ECS refuses the registration otherwise."
b"ECS_INSTANCE_ATTRIBUTES={\"stack name\":\"prod\"}\n" => b"ECS_INSTANCE_ATTRIBUTES={\"stack-name\":\"prod\"}\n";

BAD_REGION "bad-region" Error ALL reports "this is not a region" "write a region such as eu-west-1, without the letter of a zone"
"A region has the form eu-west-1. A zone such as eu-west-1a is not one, and the agent finds no endpoint for it: it exits, and ecs-init restarts it for ever while the unit looks healthy."
b"AWS_DEFAULT_REGION=eu-west-1a\n" => b"AWS_DEFAULT_REGION=eu-west-1\n";

CLUSTER_NAME "cluster-name" Error ALL reports "this is not a valid cluster name" "write 1 to 255 letters, digits, `-` and `_`, or the cluster's ARN"
"A cluster has a name of 1 to 255 letters, digits, hyphens and underscores, or the ARN that ends in one. ECS refuses anything else, and the agent stays dead with exit status 5."
b"ECS_CLUSTER=prod cluster\n" => b"ECS_CLUSTER=prod-cluster\n";

SHELL_IN_VALUE "shell-in-value" Error ALL reports "shell syntax was left in the value" "keep only what the shell was to write"
"A redirection, a pipe, the end of a command or a command substitution is part of the value, most likely because a line of a script was put into a here-document. No reader of this file is a shell: the program gets all of it."
b"ECS_LOGFILE=/log/ecs-agent.log >> /etc/ecs/ecs.config\n" => b"ECS_LOGFILE=/log/ecs-agent.log\n";

PLACEHOLDER_LEFT_IN "placeholder-left-in" Error ALL reports "a placeholder of a template was not filled in" "write the value itself"
"The value has the marks of a template (Jinja, ERB, CloudFormation, CDK and the like) or a word such as CHANGEME: the program that was to fill it in did not run, or did not know the name. The agent takes it as it is."
b"ECS_DATADIR={{ data_dir }}\n" => b"ECS_DATADIR=/data\n";

}
