# shellcheck shell=bash
# A container instance in network namespaces: a host with a dockerd of its own, and the rehearsal double as its metadata service.
#
#   container ── docker0, a user-defined, an IPv6 and an internal bridge ── [gl-ID-host] eth0 ── eth0 [gl-ID-aws] 169.254.169.254,
#   awsvpc task ecs-eth0 ── ecs-bridge ─────────────────────────────────────────┘                                  fd00:ec2::254
#
# Source it, set ID (1 to 6 letters, another for each lab that runs at the same time), and call lab_up. Nothing is made in the caller's own
# namespace and no packet leaves through it; lab_down removes everything, also what a broken test left.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
V4=169.254.169.254 V6=fd00:ec2::254
CELLS=(bridge,$V4 user,$V4 six,$V4 six,$V6 internal,$V4 task,$V4)

lab_install_tools() { # from Debian's archive, those of tests/guard/packages that are missing
  local missing package
  missing=$(grep -v '^#' "$HERE/packages" | while read -r package; do dpkg-query -s "$package" >/dev/null 2>&1 || echo "$package"; done)
  [[ -z $missing ]] && return 0
  # shellcheck disable=SC2086 # package names have no blanks
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } >/dev/null
}

# Without Docker, in a second instead of ten: docker0 made by hand, and a namespace on it in place of a container.
lab_bare() {
  LAB=/tmp/gl-$ID
  lab_down
  mkdir -p "$LAB/root"
  lab_aws
  lab_host
  host ip link add docker0 type bridge
  host ip addr add 172.17.0.1/16 dev docker0
  host ip addr add fd00:1ab::1/64 dev docker0 nodad
  host ip link set docker0 up
  host sysctl -qw net.ipv4.ip_forward=1
  aws ip route add 172.17.0.0/16 via 10.254.0.2
  ip netns add "gl-$ID-c"
  ip link add veth0 netns "gl-$ID-host" type veth peer name eth0 netns "gl-$ID-c"
  host ip link set veth0 master docker0 up
  cell ip link set lo up
  cell ip addr add 172.17.0.2/16 dev eth0
  cell ip addr add fd00:1ab::2/64 dev eth0 nodad
  cell ip link set eth0 up
  cell ip route add default via 172.17.0.1
  cell ip route add default via fd00:1ab::1
  wait_for "metadata" eval '[[ $(asks $V4 host)$(asks $V6 host) == openopen ]]'
}

# In the namespace that stands for a container.
cell() { in_ns "gl-$ID-c" "$@"; }

# What the container there gets over IPv4 and IPv6; silence is asked about again, as a busy machine may be silent.
cell_asks() { # WANTED
  local answers
  for _ in {1..10}; do
    answers="$(asks $V4 cell) $(asks $V6 cell)"
    [[ $answers != "$1 $1" ]] || return 0
    [[ $1 == open || $answers != *open* ]] || break
  done
  echo "wanted $1; the container: $answers"
  return 1
}

# Enters only the network namespace, and never the caller's own by accident.
in_ns() {
  local ns=$1
  shift
  [[ -e /run/netns/$ns ]] || { echo "no namespace $ns" >&2; return 99; }
  nsenter --net="/run/netns/$ns" -- "$@"
}
host() { in_ns "gl-$ID-host" "$@"; }
aws() { in_ns "gl-$ID-aws" "$@"; }
docker() { timeout 120 docker -H "unix://$LAB/docker.sock" "$@"; }
guard() { host env XTABLES_LOCKFILE="$LAB/xtables.lock" "$BIN" --root "$LAB/root" guard "$@"; }

lab_up() { # [dockerd options]
  LAB=/tmp/gl-$ID
  lab_down
  [[ -z ${DEBIAN13:-} ]] || debian13 || return
  mkdir -p "$LAB/root" "$LAB/data" "$LAB/exec"
  echo '{}' >"$LAB/daemon.json"
  lab_aws
  lab_host
  DOCKERD_OPTIONS=("$@")
  dockerd_start
  lab_image
  docker network create user >/dev/null
  docker network create --ipv6 --subnet fd00:1ab::/64 six >/dev/null
  docker network create --internal --subnet 10.99.0.0/24 --gateway 10.99.0.1 internal >/dev/null
  lab_containers
}

lab_aws() {
  local address
  ip netns add "gl-$ID-aws"
  aws ip link set lo up
  for address in $V4/32 169.254.169.253/32 169.254.170.2/32; do aws ip addr add $address dev lo; done
  for address in $V6/128 fd00:ec2::253/128; do aws ip addr add $address dev lo nodad; done
  : >"$LAB/requests"
  lab_metadata
}

# Notes at each request whether the guard's table is in the host. Also something to connect to at the resolver's addresses.
lab_metadata() { # [HOP-LIMIT]
  metadata aws "$LAB/requests" $V4:80 "[$V6]:80" 169.254.169.253:53 "[fd00:ec2::253]:53" -- --hop-limit "${1:-64}" \
    --on-request "nsenter --net=/run/netns/gl-$ID-host nft list table inet ecs-bootstrap"
}

metadata() { # NAMESPACE LOG ADDRESS... -- [OPTION...]
  local namespace=$1 log=$2 listen=()
  shift 2
  while [[ $1 != -- ]]; do listen+=(--imds "$1"); shift; done
  $namespace setsid "$REHEARSAL_BIN" --serve --until-killed --log "$log" "${listen[@]}" "${@:2}" </dev/null >"$log.out" 2>&1 &
}

lab_host() {
  local link network
  ip netns add "gl-$ID-host"
  host ip link set lo up
  # A bridge's IPv6 address is tentative for a second or two after its first port comes up.
  host sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0
  ip link add eth0 netns "gl-$ID-host" type veth peer name eth0 netns "gl-$ID-aws"
  aws ip addr add 10.254.0.1/30 dev eth0
  host ip addr add 10.254.0.2/30 dev eth0
  aws ip addr add fd00:254::1/64 dev eth0 nodad
  host ip addr add fd00:254::2/64 dev eth0 nodad
  for link in aws host; do $link ip link set eth0 up; done
  host ip route add default via 10.254.0.1
  host ip route add default via fd00:254::1
  aws ip route add fd00:1ab::/64 via fd00:254::2
  for network in 10.99.0.0/24 169.254.172.0/22; do aws ip route add $network via 10.254.0.2; done # Docker masks neither
  host sysctl -qw net.ipv6.conf.all.forwarding=1
}

# The folder of a whole Debian, which tests/boot boots too.
debian() { # SUITE
  LAB_SUITE=$1 python3 -B -c 'import sys; sys.path.insert(0, sys.argv[1]); import lab; print(lab.debian())' "$HERE/../boot"
}

# From now on Docker is that of Debian 13: in a mount namespace with that system's /usr.
debian13() {
  local system
  system=$(debian trixie) || return
  # Others' mounts are let go there, or they would last as long as it does.
  unshare --mount --propagation slave sh -c '
    awk "\$2 ~ \"^/tmp/gl-\" {print \$2}" /proc/self/mounts | sort -r | xargs -r -n1 umount -l
    mount --bind "$1/usr" /usr && touch "$2" && exec sleep infinity' sh "$system" "$LAB-ready" </dev/null >/dev/null 2>&1 &
  SYSTEM=$!
  wait_for "Debian 13" rm "$LAB-ready"
}

# Where Docker is.
system() { if [[ -n ${SYSTEM:-} ]]; then nsenter "--mount=/proc/$SYSTEM/ns/mnt" -- "$@"; else "$@"; fi; }

dockerd_start() {
  PATH=${DOCKERD_PATH:+$DOCKERD_PATH:}$PATH system nsenter "--net=/run/netns/gl-$ID-host" -- setsid dockerd -H "unix://$LAB/docker.sock" --pidfile "$LAB/docker.pid" \
    --data-root "$LAB/data" --exec-root "$LAB/exec" --config-file "$LAB/daemon.json" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/gl-$ID" "${DOCKERD_OPTIONS[@]}" </dev/null >>"$LAB/dockerd.log" 2>&1 &
  wait_for "dockerd" docker version
}

dockerd_stop() { # [KILL]
  local file pid
  for file in "$LAB/docker.pid" "$LAB/exec/containerd/containerd.pid"; do
    pid=$(cat "$file" 2>/dev/null) || continue
    kill "-${1:-TERM}" "$pid" 2>/dev/null || continue
    wait_for "the end of ${file##*/}" ended "$pid"
    rm -f "$file"
  done
  rm -f "$LAB/docker.sock"
}

dockerd_restart() {
  dockerd_stop "$@"
  dockerd_start
}

# The host namespace is thrown away with all rules, routes and settings; COMMAND is what runs at boot before Docker.
lab_reboot() { # COMMAND...
  dockerd_stop
  kill_inside "gl-$ID-host"
  lab_unmount # dockerd keeps a handle on its namespace
  ip netns del "gl-$ID-host"
  aws ip link del eth0 2>/dev/null
  task ip link del ecs-eth0
  aws ip -6 route del fd00:1ab::/64 2>/dev/null
  rm -rf "$LAB/root/run"
  lab_host
  "$@" || return
  dockerd_start
  lab_containers
}

lab_image() {
  local root=$LAB/image applet
  mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc}
  cp "$(command -v busybox)" "$root/bin/"
  for applet in sh sleep nc printf timeout; do ln -s busybox "$root/bin/$applet"; done
  tar -C "$root" -c . | docker import - tiny >/dev/null
  rm -rf "$root"
}

# One container on each network, which comes back by itself whenever dockerd does.
lab_containers() {
  local network
  for network in bridge user six internal; do
    docker inspect "c-$network" >/dev/null 2>&1 || docker run -d --init --restart always --name "c-$network" --network "$network" tiny sleep 9999 >/dev/null
  done
  for network in bridge user six internal; do wait_for "container c-$network" running "c-$network"; done
  wait_for "the IPv6 address of c-six" settled c-six
  lab_task
}

# The second interface of a task in awsvpc mode, as the ECS agent's bridge plugin makes it: ecs-bridge with 169.254.172.0/22, and on it a
# route to task credentials. To this, the route to metadata that a task with CAP_NET_ADMIN could add, on a host whose FORWARD lets it pass.
lab_task() {
  local way
  [[ -e /run/netns/gl-$ID-task ]] || ip netns add "gl-$ID-task"
  if ! host ip link show ecs-bridge >/dev/null 2>&1; then
    host ip link add ecs-bridge type bridge
    host ip addr add 169.254.172.1/22 dev ecs-bridge
    host ip link set ecs-bridge up
    ip link add vethtask netns "gl-$ID-host" type veth peer name ecs-eth0 netns "gl-$ID-task"
    host ip link set vethtask master ecs-bridge up
    task ip link set lo up
    task ip addr add 169.254.172.2/22 dev ecs-eth0
    task ip link set ecs-eth0 up
    for way in 169.254.170.2 $V4; do task ip route add $way via 169.254.172.1; done
  fi
  for way in -i -o; do
    host iptables -C FORWARD $way ecs-bridge -j ACCEPT 2>/dev/null || host iptables -A FORWARD $way ecs-bridge -j ACCEPT
  done
  wait_for "the carrier of ecs-bridge" eval '[[ $(host ip -o link show ecs-bridge) == *LOWER_UP* ]]'
}
task() { in_ns "gl-$ID-task" "$@"; }

ended() { ! kill -0 "$1"; }
running() { (($(docker inspect -f '{{.State.Pid}}' "$1") > 0)); }

# Its IPv6 addresses can be used: until the kernel has found them unique, a packet would fail although no guard stopped it.
settled() {
  local addresses
  addresses=$(inside "$1" ip -6 -o addr show dev eth0) && [[ -n $addresses && $addresses != *tentative* ]]
}

# Runs a command in the network namespace of a container, or of the awsvpc task.
inside() { # CONTAINER COMMAND...
  local pid
  [[ $1 != c-task ]] || { task "${@:2}"; return; }
  pid=$(docker inspect -f '{{.State.Pid}}' "$1") && ((pid > 0)) || return 99
  shift
  nsenter -t "$pid" -n -- "$@"
}

# Whether a program there gets a session token from metadata: `open` or `blocked`.
asks() { # ADDRESS COMMAND-PREFIX...
  local address=$1 port=${PORT:-80} answer
  shift
  answer=$("$@" busybox sh -c "printf 'PUT /latest/api/token HTTP/1.0\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n' |
    timeout 3 busybox nc -w 1 $address $port 2>&1")
  if [[ $answer == *IMDS-TOKEN* ]]; then echo open; else echo blocked; fi
}

# An answer is wanted there: asks up to ten times, as a busy machine may be silent.
reaches() { # ADDRESS COMMAND-PREFIX...
  for _ in {1..10}; do [[ $(asks "$@") != open ]] || return 0; done
  echo "no answer from $1"
  return 1
}

# The same from CELLS: the containers on docker0, user, six, on six over IPv6, internal, and the task on ecs-bridge; all at once.
asks_all() {
  local cell pids=()
  inside c-internal ip route replace $V4 via 10.99.0.1 # Docker gives it none, but who has CAP_NET_ADMIN can
  for cell in "${CELLS[@]}"; do
    asks "${cell#*,}" inside "c-${cell%,*}" >"$LAB/cell-$cell" &
    pids+=($!)
  done
  wait "${pids[@]}"
  for cell in "${CELLS[@]}"; do cat "$LAB/cell-$cell"; done | xargs
}

bridge_of() { docker network inspect -f '{{.Id}}' "$1" | cut -c1-12 | sed 's/^/br-/'; }

# What `guard prove` reports of the same cells.
proves_all() {
  local user six internal
  user=$(bridge_of user) six=$(bridge_of six) internal=$(bridge_of internal)
  guard prove --output json 2>/dev/null | python3 -c '
import json, sys
found = {(row["network"], row["family"]): row["verdict"].replace("leaks", "open") for row in json.load(sys.stdin)["networks"]}
user, six, internal = sys.argv[1:]
cells = [("docker0", "IPv4"), (user, "IPv4"), (six, "IPv4"), (six, "IPv6"), (internal, "IPv4"), ("ecs-bridge", "IPv4")]
print(*(found.get(cell, "missing") for cell in cells))' "$user" "$six" "$internal"
}

wait_for() { # WHAT COMMAND...
  local what=$1 until=$((SECONDS + 120))
  shift
  while ((SECONDS < until)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
  echo "gave up waiting for $what" >&2
  return 1
}

requests() { wc -l <"$LAB/requests"; }

kill_inside() { # NAMESPACE: all processes there were started here
  local pid
  for pid in $(ip netns pids "$1" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
  wait_for "the end of all in $1" eval "[[ -z \$(ip netns pids '$1' 2>/dev/null) ]]"
}

lab_unmount() {
  system awk -v lab="$LAB/" 'index($2, lab) == 1 {print $2}' /proc/self/mounts | sort -r | system xargs -r -n1 umount -l 2>/dev/null
}

lab_down() {
  local ns group pid
  [[ -S $LAB/docker.sock ]] && docker ps -q 2>/dev/null | xargs -r command docker -H "unix://$LAB/docker.sock" kill >/dev/null 2>&1
  [[ -d $LAB ]] && dockerd_stop KILL
  for ns in "gl-$ID-host" "gl-$ID-aws" "gl-$ID-c" "gl-$ID-task"; do
    [[ -e /run/netns/$ns ]] && kill_inside "$ns"
  done
  for group in /sys/fs/cgroup/*/"gl-$ID" /sys/fs/cgroup/"gl-$ID"; do
    [[ -d $group ]] || continue
    for pid in $(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u); do kill -KILL "$pid" 2>/dev/null; done
    for _ in 1 2 3; do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
      [[ -d $group ]] && sleep 0.1
    done
  done
  lab_unmount
  [[ -z ${SYSTEM:-} ]] || kill "$SYSTEM"
  unset SYSTEM
  for ns in "gl-$ID-host" "gl-$ID-aws" "gl-$ID-c" "gl-$ID-task"; do
    [[ -e /run/netns/$ns ]] && ip netns del "$ns"
  done
  rm -rf --one-file-system "$LAB"
}
