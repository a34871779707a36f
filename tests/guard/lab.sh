# shellcheck shell=bash
# A container instance in network namespaces: a host with a dockerd of its own, and the rehearsal double as its metadata service.
#
#   container ── docker0, a user-defined bridge, an IPv6 bridge ── [gl-ID-host] eth0 ── eth0 [gl-ID-aws] 169.254.169.254, fd00:ec2::254
#
# Source it, set ID (1 to 6 letters, another for each lab that runs at the same time), and call lab_up. Nothing is made in the caller's own
# namespace and no packet leaves through it; lab_down removes everything, also what a broken test left.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
V4=169.254.169.254 V6=fd00:ec2::254

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
  mkdir -p "$LAB/root" "$LAB/data" "$LAB/exec"
  echo '{}' >"$LAB/daemon.json"
  lab_aws
  lab_host
  DOCKERD_OPTIONS=("$@")
  dockerd_start
  lab_image
  docker network create user >/dev/null
  docker network create --ipv6 --subnet fd00:1ab::/64 six >/dev/null
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
  local link
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
  host sysctl -qw net.ipv6.conf.all.forwarding=1
}

dockerd_start() {
  PATH=${DOCKERD_PATH:+$DOCKERD_PATH:}$PATH host setsid dockerd -H "unix://$LAB/docker.sock" --pidfile "$LAB/docker.pid" \
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
  for network in bridge user six; do
    docker inspect "c-$network" >/dev/null 2>&1 || docker run -d --init --restart always --name "c-$network" --network "$network" tiny sleep 9999 >/dev/null
  done
  for network in bridge user six; do wait_for "container c-$network" running "c-$network"; done
  wait_for "the IPv6 address of c-six" settled c-six
}

ended() { ! kill -0 "$1"; }
running() { (($(docker inspect -f '{{.State.Pid}}' "$1") > 0)); }

# Its IPv6 addresses can be used: until the kernel has found them unique, a packet would fail although no guard stopped it.
settled() {
  local addresses
  addresses=$(inside "$1" ip -6 -o addr show dev eth0) && [[ -n $addresses && $addresses != *tentative* ]]
}

# Runs a command in the network namespace of a container.
inside() { # CONTAINER COMMAND...
  local pid
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

# The same from the containers on docker0, user, six, and on six over IPv6; all at once.
asks_all() {
  local cell pids=()
  for cell in bridge,$V4 user,$V4 six,$V4 six,$V6; do
    asks "${cell#*,}" inside "c-${cell%,*}" >"$LAB/cell-$cell" &
    pids+=($!)
  done
  wait "${pids[@]}"
  for cell in bridge,$V4 user,$V4 six,$V4 six,$V6; do cat "$LAB/cell-$cell"; done | xargs
}

bridge_of() { docker network inspect -f '{{.Id}}' "$1" | cut -c1-12 | sed 's/^/br-/'; }

# What `guard prove` reports of the same four cells.
proves_all() {
  local user six
  user=$(bridge_of user) six=$(bridge_of six)
  guard prove --output json 2>/dev/null | python3 -c '
import json, sys
found = {(row["network"], row["family"]): row["verdict"].replace("leaks", "open") for row in json.load(sys.stdin)["networks"]}
cells = [("docker0", "IPv4"), (sys.argv[1], "IPv4"), (sys.argv[2], "IPv4"), (sys.argv[2], "IPv6")]
print(*(found.get(cell, "missing") for cell in cells))' "$user" "$six"
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
  awk -v lab="$LAB/" 'index($2, lab) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null
}

lab_down() {
  local ns group pid
  [[ -S $LAB/docker.sock ]] && docker ps -q 2>/dev/null | xargs -r command docker -H "unix://$LAB/docker.sock" kill >/dev/null 2>&1
  [[ -d $LAB ]] && dockerd_stop KILL
  for ns in "gl-$ID-host" "gl-$ID-aws" "gl-$ID-c"; do
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
  for ns in "gl-$ID-host" "gl-$ID-aws" "gl-$ID-c"; do
    [[ -e /run/netns/$ns ]] && ip netns del "$ns"
  done
  rm -rf "$LAB"
}
