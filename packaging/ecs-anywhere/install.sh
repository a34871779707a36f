#!/bin/sh
# Makes this server an external instance of Amazon ECS (ECS Anywhere) that has its configuration before its agent starts for the first time.
#
#   ACTIVATION_ID=... ACTIVATION_CODE=... ./install.sh              one after the other: AWS's script with --no-start, our run, the agent
#   ACTIVATION_ID=... ACTIVATION_CODE=... ./install.sh --interlock  our unit first: AWS's script may then start the agent itself, and at
#                                                                   each boot it starts only after a run
#   ... ./install.sh [--interlock] -- OPTION..                      gives AWS's script these options too. RHEL needs
#                                                                   `--docker-install-source none` (and Docker), GPUs --enable-gpu, a
#                                                                   network without IPv4 `--ip-compatibility ipv6`
#
# Before: make the role (`ecs-bootstrap role print --for external --config SOURCE`) and an activation (`aws ssm create-activation --iam-role
# ecsAnywhereRole`), install this package and gnupg, write /etc/ecs-bootstrap/ecs-bootstrap.toml, and fill in these lines. Can be repeated.
set -eu

region=us-west-2
cluster=my-cluster
from=https://amazon-ecs-agent.s3.amazonaws.com
script=ecs-anywhere-install-latest.sh
# sha256sum of AWS's script, taken once, where its signature was verified; AWS may publish another one under the same name:
#   gpg --keyserver hkps://keyserver.ubuntu.com --recv-keys F34C3DDAE72926B079BEAEC6BCE9D9A42D51784F # Amazon ECS <ecs-security@amazon.com>
#   gpg --verify ecs-anywhere-install-latest.sh.asc ecs-anywhere-install-latest.sh
sum=0000000000000000000000000000000000000000000000000000000000000000

registration=/var/lib/amazon/ssm/Vault/Store/RegistrationKey

die() {
    echo "install.sh: $*" >&2
    exit 1
}

check() {
    [ "$(id -u)" = 0 ] || die "run it as root"
    : "${ACTIVATION_ID:?as aws ssm create-activation gave it}" "${ACTIVATION_CODE:?as aws ssm create-activation gave it}"
    command -v ecs-bootstrap >/dev/null || die "install the package ecs-bootstrap first"
    command -v gpg >/dev/null || die "install gnupg first: without it AWS's script does not look at the signatures of what it installs"
}

# Gives AWS's script, checked, its arguments. It writes ECS_CLUSTER into /etc/ecs/ecs.config, AWS_DEFAULT_REGION and ECS_EXTERNAL into
# /var/lib/ecs/ecs.config; but nothing at all where an agent is installed. Without --cluster it writes `default`.
aws_script() {
    if [ -e /usr/libexec/amazon-ecs-init ]; then
        echo "install.sh: an agent is installed already, AWS's script is left out"
        return
    fi
    folder=$(mktemp -d)
    curl --fail --silent --show-error --location --proto =https --retry 5 --output "$folder/$script" "$from/$script"
    echo "$sum  $folder/$script" | sha256sum --check --quiet || die "$from/$script is not the one that was verified"
    for file in /etc/ecs/ecs.config /var/lib/ecs/ecs.config; do
        end_line "$file"
    done
    bash "$folder/$script" --region "$region" --cluster "$cluster" \
        --activation-id "$ACTIVATION_ID" --activation-code "$ACTIVATION_CODE" "$@"
    rm -r "$folder"
}

# AWS's script appends, and would do so in the middle of a last line that has no end.
end_line() {
    if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >>"$1"; fi
}

# --no-start leaves the SSM agent off as well. It brings the host's credentials, which the run waits for.
start_ssm_agent() {
    agent=amazon-ssm-agent
    if systemctl --quiet is-enabled snap.amazon-ssm-agent.amazon-ssm-agent 2>/dev/null; then
        agent=snap.amazon-ssm-agent.amazon-ssm-agent
    fi
    systemctl start $agent
    seconds=0
    until grep -qs '"mi-' $registration; do
        [ $seconds -lt 60 ] || die "no registration in $registration after a minute: journalctl --unit $agent"
        sleep 1
        seconds=$((seconds + 1))
    done
}

by_hand() {
    aws_script --no-start "$@"
    start_ssm_agent
    # What is missing is said before anything is changed.
    ecs-bootstrap verify
    ecs-bootstrap run
    systemctl start ecs
}

with_interlock() {
    # From here on no agent starts without a run of this boot.
    systemctl enable ecs-bootstrap
    aws_script "$@"
    # Where AWS's script was left out, or the first try came too early.
    start_ssm_agent
    systemctl start ecs
    ecs-bootstrap status --check
}

way=by_hand
if [ "${1-}" = --interlock ]; then
    way=with_interlock
    shift
fi
case ${1---} in
--) [ $# = 0 ] || shift ;;
*) die "unknown argument $1; there is --interlock, and AWS's own options come after --" ;;
esac
for option; do
    case $option in
    # Two of one option: the last one would count, and what follows here relies on ours.
    --region | --cluster | --activation-id | --activation-code | --no-start)
        die "$option is given to AWS's script by install.sh itself: leave it out after --" ;;
    esac
done
check
"$way" "$@"
