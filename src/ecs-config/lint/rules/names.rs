//! Rules about names: those that no program reads, and those that another program reads than one
//! thinks.

table! { Names:

UNKNOWN_VARIABLE "unknown-variable" Warning ALL
"Neither the agent nor ecs-init nor the AWS SDK reads a variable of this name. ecs-init passes it on all the same, so a mistyped name goes unnoticed."
b"ECS_CLUSTR=prod\n" => b"ECS_CLUSTER=prod\n";

NAME_CASE "name-case" Error ALL
"Names are case sensitive. Only the case differs from the name of a variable that the agent reads, so the setting is surely lost: with a protection such as ECS_AWSVPC_BLOCK_IMDS, silently."
b"ECS_Cluster=prod\n" => b"ECS_CLUSTER=prod\n";

DEPRECATED_VARIABLE "deprecated-variable" Warning ALL
"No program reads the variable any more, or the code itself calls it unsupported. ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME, for one, lost its last reader in 2025."
b"ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME=eth0\n" => b"ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS=false\n";

WINDOWS_ONLY "windows-only" Warning ALL reports "this variable is for Windows only" "remove the line"
"Only the agent for Windows reads the variable."
b"ECS_ENABLE_CPU_UNBOUNDED_WINDOWS_WORKAROUND=true\n" => b"# no such setting on Linux\n";

CONTAINER_PATH "container-path" Warning ALL reports "the agent's container does not have this path" "put the file below /etc/ecs"
"The path is looked up inside the agent's container, where the host's files are not, except /etc/ecs, /var/lib/ecs, /var/cache/ecs, /log, /data, /var/run and the host's CA directories, /usr/lib and /lib."
b"AWS_CONFIG_FILE=/opt/company/aws.config\n" => b"AWS_CONFIG_FILE=/etc/ecs/aws.config\n";

STATIC_CREDENTIALS "static-credentials" Warning ALL reports "a static key hides the instance role and never rotates" "use the host's role"
"Static AWS keys come before the instance role everywhere in the agent, never rotate, and can be read with `docker inspect`. Give the host a role instead."
b"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n" => b"# the instance role\n";

SECRET_IN_COMMENT "secret-in-comment" Warning ALL reports "the comment holds what looks like a credential" "remove the line"
"The comment holds what looks like a credential. A comment with `=` becomes a variable of the agent's container, which `docker inspect` shows to every user of Docker."
b"# AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n" => b"# the keys are gone\n";

NOT_LOADED_HERE "not-loaded-here" Warning ALL reports "ecs-init takes this from its process environment, into which this file is not loaded" "set it in /etc/ecs/ecs.config where the unit loads that, else in a drop-in of the unit"
"ecs-init takes this variable from its process environment, and no unit on this host loads this file into it: on Amazon Linux only /etc/ecs/ecs.config is loaded, on SUSE no file at all. The agent may still see the variable; ecs-init does not."
b"ECS_LOG_DRIVER=awslogs\n" => b"ECS_CLUSTER=prod\n" in InstanceFile;

EXTERNAL_NOT_LOADED "external-not-loaded" Error ALL reports "ecs-init takes this from its process environment, into which this file is not loaded" "set it in /etc/ecs/ecs.config where the unit loads that, else in a drop-in of the unit"
"ECS_EXTERNAL is in a file that the unit does not load: the agent goes into external mode, but ecs-init starts it with the privileges of an EC2 host and without the rotating credentials. On Amazon Linux put it into /etc/ecs/ecs.config as well."
b"ECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n" => b"ECS_CLUSTER=prod\n" in InstanceFile;

}
