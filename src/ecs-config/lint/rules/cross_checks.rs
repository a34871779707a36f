//! Rules about settings that are wrong only together, or on this host.

table! { CrossChecks:

NO_CLUSTER "no-cluster" Error ALL reports "ECS_CLUSTER is not set: the agent would join the cluster named default" "write ECS_CLUSTER=NAME; ECS_CLUSTER=default if that is meant"
"No file of the merged view sets ECS_CLUSTER. The agent then joins, or creates, the cluster named default, and stays there: its saved state refuses any other later. Write ECS_CLUSTER=default if that is meant, or pass --allow-default-cluster."
b"ECS_LOGLEVEL=info\n" => b"ECS_CLUSTER=prod\nECS_LOGLEVEL=info\n" in Whole;

NO_CLUSTER_HERE "no-cluster-here" Note ALL reports "ECS_CLUSTER is not set here" "write ECS_CLUSTER=NAME; ECS_CLUSTER=default if that is meant"
"This file does not set ECS_CLUSTER. That is right for a layer; a whole configuration without it joins the cluster named default. `lint --whole` makes it an error, as `run` does."
b"ECS_LOGLEVEL=info\n" => b"ECS_CLUSTER=prod\nECS_LOGLEVEL=info\n";

PROXY_WITHOUT_NO_PROXY "proxy-without-no-proxy" Error ALL
"HTTP_PROXY is set, and NO_PROXY does not cover 169.254.169.254 and 169.254.170.2 by Go's rules: requests for instance metadata or task credentials go to the proxy, and the agent finds no credentials (aws/amazon-ecs-agent#605). Entries are separated by commas: an address, a prefix such as 169.254.0.0/16, a domain, which never covers an address, or `*`. HTTPS_PROXY alone is harmless here, since both are asked over plain http."
b"HTTP_PROXY=http://proxy:3128\n" => b"HTTP_PROXY=http://proxy:3128\nNO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock\n";

EXTERNAL_WITHOUT_REGION "external-without-region" Error ALL reports "an external host needs AWS_DEFAULT_REGION: the agent stops" "write AWS_DEFAULT_REGION=REGION"
"On an external host the agent has no metadata service to ask for its region and exits without AWS_DEFAULT_REGION; AWS_REGION alone is not enough. ecs-init restarts it for ever while the unit looks healthy."
b"ECS_CLUSTER=prod\nECS_EXTERNAL=true\nAWS_REGION=eu-west-1\n" => b"ECS_CLUSTER=prod\nECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n" in External;

EXTERNAL_NO_EFFECT "external-no-effect" Warning ALL reports "this has no effect on an external host" "remove the line"
"On an external host there are no elastic network interfaces, Spot notices or instance tags: the agent cannot do what this setting asks for, and ecs-init turns task ENIs off."
b"ECS_CLUSTER=prod\nECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n" => b"ECS_CLUSTER=prod\nECS_EXTERNAL=true\nAWS_DEFAULT_REGION=eu-west-1\n" in External;

HOST_TASKS_ESCAPE "host-tasks-escape" Error ALL reports "without task cgroups the guard does not match tasks in host network mode" "remove the line"
"Tasks in host network mode are kept from instance metadata by their cgroup. With ECS_ENABLE_TASK_CPU_MEM_LIMIT=false they get no cgroup of their own, and the guard does not match them."
b"ECS_CLUSTER=prod\nECS_ENABLE_TASK_CPU_MEM_LIMIT=false\n" => b"ECS_CLUSTER=prod\nECS_ENABLE_TASK_CPU_MEM_LIMIT=true\n" in HostTasks;

AUTH_TYPE_MISSING "auth-type-missing" Error ALL
"ECS_ENGINE_AUTH_DATA needs ECS_ENGINE_AUTH_TYPE beside it, docker or dockercfg, and the other way round. One alone is ignored: every private pull runs without credentials."
b"ECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n" => b"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={\"registry.example.com\":{\"auth\":\"dTpw\"}}\n";

JOINED_ANOTHER_CLUSTER "joined-another-cluster" Error ALL reports "the agent has joined another cluster and would exit with status 5" "replace the instance, or remove /var/lib/ecs/data/agent.db after draining it"
"The agent's saved state names another cluster than this configuration. It would exit with status 5 and stay dead. Replace the instance; or drain it, stop ecs and remove /var/lib/ecs/data/agent.db."
b"ECS_CLUSTER=blue\n" => b"ECS_CLUSTER=green\n" in JoinedGreen;

JOINED_SOME_CLUSTER "joined-some-cluster" Warning ALL reports "an agent has run here before, in an unknown cluster" ""
"/var/lib/ecs/data/agent.db shows that an agent has registered from this host, in an unknown cluster: if it was another one, the agent will exit with status 5."
b"ECS_CLUSTER=blue\n" => b"ECS_CLUSTER=blue\n" in JoinedSome;

UNREADABLE_JSON_FILE "unreadable-json-file" Error ALL reports "/etc/ecs/ecs.config.json is not a JSON object: the agent stops" "correct or empty that file"
"/etc/ecs/ecs.config.json is not a JSON object. The agent exits, and ecs-init restarts it for ever while the unit looks healthy. An empty file is fine."
b"ECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n" in JsonFile;

WRONG_JSON_FIELD "wrong-json-field" Error ALL
"A field of /etc/ecs/ecs.config.json has another type than in the agent's code: a number or a boolean is in quotes, or a duration is not a number of nanoseconds (aws/amazon-ecs-agent#409). The agent exits, and ecs-init restarts it for ever while the unit looks healthy."
b"ECS_CLUSTER=prod\n" => b"ECS_CLUSTER=prod\n" in JsonField;

}
