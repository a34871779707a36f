# shellcheck shell=bash
# `guard prove` on hosts that once misled it, each without a guard (51, or 52 with the true reason, never 0) and with it; without Docker.

group_v() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "each guard alone is its own evidence" evidence
  check "P1 a proxy on the host, and NAT to another machine: metadata answered" v1
  check "P3 ecs-bridge behind FORWARD DROP: each guard alone proves it" v3
  check "P3b an internal network: each guard alone proves it" v3b
  check "P3c no default route" v3c
  check "P3d a bridge that is down, in a /30, that STP keeps closed, without ports" v3d
  check "P5 a port mirror is not a leak, and does not hide one" v5
  check "P6 a rule for one subnet of a bridge does not cover the other" v6
  check "P7 a next hop that does not answer proves nothing" v7
  check "P8 a network without a bridge is not probed, which prove reports" v8
  check "P9 task credentials are answered by this host or not" v9
  check "R2, R3 no MAC, port or state of a bridge changes" untouched
  check "a leak lasts until its network is found blocked" lasting_leak
  check "a host without /dev/net/tun: exit 53 without routing rules, 0 with them" without_tun
}

group_w() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "P4 a bridge with MTU 65535 does not hide a leak elsewhere" v4_mtu
  check "P4 bridges that vanish during the proof do not hide a leak elsewhere" v4_vanish
  check "T1, T2, T3 200 bridges: all verdicts with 64 descriptors, no line in the kernel's log" crowd_of_bridges
}

group_x() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "P2b a bridge without an address that holds an uplink is listed and probed" v2b
  check "P2 a bridge that holds the uplink and the address: its frames have their own verdict" v2
}

# The same network without a guard, and with each one alone.
proven_alone() { # BRIDGE STATUS-WITHOUT TEXT-WITHOUT
  guard remove >/dev/null && proof "$2" "$3" || return
  guard install --without nftables >/dev/null && proof 0 "$1 IPv4: blocked: refused by this host" || return
  guard install --without routing >/dev/null && proof 0 "$1 IPv4: blocked: dropped by the guard's rule" && guard remove >/dev/null
}

add_bridge() { # NAME ADDRESS
  host ip link add "$1" type bridge
  host ip addr add "$2" dev "$1"
  host ip link set "$1" up
}

add_guest() { # BRIDGE NAME: a port that is up, and its other end
  ip link add "$2" netns "gl-$ID-host" type veth peer name "$2" netns "gl-$ID-c"
  host ip link set "$2" master "$1" up
  cell ip link set "$2" up
  wait_for "the carrier of $1" eval "[[ \$(host ip -o link show $1) == *LOWER_UP* ]]"
}

evidence() {
  proven_alone docker0 51 "docker0 IPv4: leaks: it left by eth0" && guard install --without routing >/dev/null &&
    proof 0 "docker0 IPv6: blocked: dropped by the guard's rule" && guard install >/dev/null && proof 0 "docker0 IPv6: blocked: refused by this host"
}

v1() {
  local redirect=(PREROUTING -i docker0 -p tcp --dport 80 -j REDIRECT --to-ports 3128) proxy status
  local elsewhere=(PREROUTING -i docker0 -d $V4 -p tcp -j DNAT --to-destination 10.254.0.1:81)
  guard remove >/dev/null
  transparent_proxy >/dev/null 2>&1 &
  proxy=$!
  wait_for "the proxy" eval 'host ss -ltn | grep -q :3128'
  host iptables -t nat -A "${redirect[@]}"
  proof 51 "docker0 IPv4: leaks: $V4 answered through this host" && guard install --without nftables >/dev/null && proof 51 "docker0 IPv4: leaks: $V4 answered" &&
    guard install >/dev/null && proof 0 "docker0 IPv4: blocked: dropped by the guard's rule" && guard install --allow-local-proxy >/dev/null && proof 51 &&
    run_refuses
  status=$?
  kill $proxy
  host iptables -t nat -D "${redirect[@]}"
  guard remove >/dev/null
  metadata aws "$LAB/elsewhere" 10.254.0.1:81 --
  wait_for "the other machine" eval '[[ $(PORT=81 asks 10.254.0.1 host) == open ]]'
  host iptables -t nat -A "${elsewhere[@]}"
  proof 51 "docker0 IPv4: leaks: $V4 answered through this host" || status=1
  host iptables -t nat -D "${elsewhere[@]}"
  return $status
}

# A leak ends a run, long before its sources are given up.
run_refuses() {
  local status started=$SECONDS
  mkdir -p "$LAB/root/etc/ecs-bootstrap"
  echo "allow_local_proxy = true" >"$LAB/root/etc/ecs-bootstrap/ecs-bootstrap.toml"
  exits 51 host "$BIN" --root "$LAB/root" run --block-imds --timeout 30s --config s3://bucket/key && ((SECONDS - started < 25)) && [[ ! -e $LAB/root/etc/ecs/ecs.config ]]
  status=$?
  rm "$LAB/root/etc/ecs-bootstrap/ecs-bootstrap.toml"
  return $status
}

v3() {
  add_bridge ecs-bridge 169.254.172.1/22
  add_guest ecs-bridge guest1
  host iptables -P FORWARD DROP
  proven_alone ecs-bridge 51 "ecs-bridge IPv4: inconclusive: the control packet to 169.254.169.253 did not leave either" # 51: docker0 over IPv6
  local status=$?
  host iptables -P FORWARD ACCEPT
  host ip link del ecs-bridge
  return $status
}

v3b() {
  add_bridge internal0 172.29.0.1/16
  add_guest internal0 guest2
  host iptables -I FORWARD -i internal0 ! -d 172.29.0.0/16 -j DROP
  proven_alone internal0 51 "internal0 IPv4: inconclusive: the control packet to 169.254.169.253 did not leave either" # 51: docker0
  local status=$?
  host iptables -D FORWARD -i internal0 ! -d 172.29.0.0/16 -j DROP
  host ip link del internal0
  return $status
}

v3c() {
  host ip route del default
  host ip route add $V4 via 10.254.0.1
  proven_alone docker0 51 "docker0 IPv4: leaks: it left by eth0"
  local status=$?
  host ip route del $V4
  host ip route add default via 10.254.0.1
  return $status
}

v3d() {
  local status
  add_bridge down0 172.30.0.1/16 && host ip link set down0 down
  add_bridge small0 172.31.0.1/30 && add_guest small0 guest3
  host ip link add closed0 type bridge stp_state 1 forward_delay 1500
  host ip addr add 172.28.0.1/16 dev closed0
  host ip link set closed0 up
  ip link add guest4 netns "gl-$ID-host" type veth peer name guest4 netns "gl-$ID-c"
  host ip link set guest4 master closed0 up
  cell ip link set guest4 up
  add_bridge empty0 172.27.0.1/16 && add_guest empty0 guest5 && host ip link del guest5 # without a port it keeps its carrier until one was there
  guard remove >/dev/null
  proof 51 "down0 IPv4: inconclusive: down0 is down" "small0 IPv4: leaks" "closed0 IPv4: inconclusive: closed0 has no carrier" \
    "empty0 IPv4: inconclusive: empty0 has no carrier" && guard install >/dev/null &&
    proof 0 "down0 IPv4: blocked: would be refused" "small0 IPv4: blocked: refused by this host" "closed0 IPv4: blocked: would be refused" "empty0 IPv4: blocked: would be refused"
  status=$?
  for bridge in down0 small0 closed0 empty0; do host ip link del $bridge; done
  return $status
}

v4_mtu() {
  guard remove >/dev/null
  add_bridge big0 172.30.0.1/16
  host ip link set big0 up mtu 65535
  add_guest big0 guest1 && proof 51 "docker0 IPv4: leaks" "big0 IPv4: leaks" && guard install >/dev/null && proof 0 "big0 IPv4: blocked"
  local status=$?
  host ip link del big0
  return $status
}

v4_vanish() {
  local delay number
  guard remove >/dev/null
  for delay in 0.005 0.01 0.015 0.02 0.03 0.04 0.05 0.06; do
    for number in {1..30}; do echo "link add v$number type bridge"; echo "addr add 172.30.$number.1/24 dev v$number"; echo "link set v$number up"; done | host ip -batch -
    (sleep $delay; for number in {1..30}; do echo "link del v$number"; done | host ip -batch -) &
    proof 51 "docker0 IPv4: leaks" || { wait $!; return 1; }
    wait $!
  done
}

v5() {
  local status
  host ip link add ids0 type veth peer name ids1
  host ip link set ids0 up
  host ip link set ids1 up
  host tc qdisc add dev docker0 handle ffff: ingress
  host tc filter add dev docker0 parent ffff: protocol all u32 match u32 0 0 action mirred egress mirror dev ids0
  proven_alone docker0 51 "docker0 IPv4: leaks: it left by eth0"
  status=$?
  host tc qdisc del dev docker0 ingress
  host nft add table netdev mirror
  host nft add chain netdev mirror in '{ type filter hook ingress device docker0 priority 0; }'
  host nft add rule netdev mirror in dup to ids0
  proven_alone docker0 51 "docker0 IPv4: leaks: it left by eth0" || status=1
  host nft delete table netdev mirror
  host ip link del ids0
  return $status
}

v6() {
  guard remove >/dev/null
  host ip addr add 172.26.0.1/16 dev docker0
  host iptables -I FORWARD -s 172.17.0.0/16 -d $V4 -j DROP
  proof 51 "docker0 IPv4: leaks" && guard install >/dev/null && proof 0 "docker0 IPv4: blocked: refused by this host"
  local status=$?
  host iptables -D FORWARD -s 172.17.0.0/16 -d $V4 -j DROP
  host ip addr del 172.26.0.1/16 dev docker0
  return $status
}

v7() {
  guard remove >/dev/null
  host ip route add $V4 via 10.254.0.9 dev eth0 onlink
  host ip -6 addr del fd00:1ab::1/64 dev docker0
  proof 52 "docker0 IPv4: inconclusive: 10.254.0.9 does not answer as a neighbour" || return
  aws ip addr add 10.254.0.9/32 dev eth0
  host ip neigh flush dev eth0
  proof 51 "docker0 IPv4: leaks: it left by eth0"
  local status=$?
  aws ip addr del 10.254.0.9/32 dev eth0
  host ip route del $V4
  host ip -6 addr add fd00:1ab::1/64 dev docker0 nodad
  return $status
}

v8() { guard install >/dev/null && proof 0 "bridges only: networks without a bridge"; }

v9() {
  local agent
  guard install >/dev/null
  proof 0 "docker0 to task credentials: not answered by this host" || return # it went to the VPC, where the lab has that address
  host sysctl -qw net.ipv4.conf.docker0.route_localnet=1
  host iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679
  proof 0 "docker0 to task credentials: not answered by this host" || return # no agent is there
  metadata host "$LAB/agent" 127.0.0.1:51679 --
  agent=$!
  wait_for "the agent's stand-in" eval '[[ $(PORT=51679 asks 127.0.0.1 host) == open ]]'
  proof 0 "docker0 to task credentials: answered by this host"
  local status=$?
  kill $agent
  host iptables -t nat -D PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679
  return $status
}

untouched() {
  local before monitor status
  guard install >/dev/null
  add_bridge bare0 172.30.0.1/16
  add_bridge high0 172.29.0.1/16
  ip link add guest6 netns "gl-$ID-host" type veth peer name guest6 netns "gl-$ID-c"
  cell sysctl -qw net.ipv6.conf.guest6.disable_ipv6=1 # its solicitations would make it a neighbour
  host ip link set guest6 address fe:ff:ff:ff:ff:fe
  host ip link set guest6 master high0 up
  cell ip link set guest6 up
  wait_for "the carrier of high0" eval '[[ $(host ip -o link show high0) == *LOWER_UP* ]]'
  sleep 1.5 # what the kernel reports of the new links is over
  before=$(host ip -o link; host ip -o addr; host ip route; host ip -6 route)
  host timeout 30 ip monitor link >"$LAB/monitor" &
  monitor=$!
  sleep 0.2
  proof 0 "bare0 IPv4: blocked" "high0 IPv4: blocked" && [[ $before == "$(host ip -o link; host ip -o addr; host ip route; host ip -6 route)" ]] &&
    ! grep -E '[0-9]+: (bare0|high0|docker0):' "$LAB/monitor"
  status=$?
  kill $monitor
  host ip -o neigh show dev high0 | grep -vE 'FAILED|lladdr (0[^2]|[^0])' && status=1 # the probe's MACs begin with 02
  for bridge in bare0 high0; do host ip link del $bridge; done
  return $status
}

lasting_leak() {
  guard remove >/dev/null
  proof 51 "docker0 IPv4: leaks" && host ip link set docker0 down && proof 51 "it leaked when last proven" "where containers reached instance metadata when last proven" &&
    proof 51 "it leaked when last proven" && guard install >/dev/null && proof 0 && guard remove >/dev/null && proof 52
  local status=$?
  host ip link set docker0 up
  host ip -6 addr add fd00:1ab::1/64 dev docker0 nodad 2>/dev/null
  wait_for "the carrier of docker0" eval '[[ $(host ip -o link show docker0) == *LOWER_UP* ]]'
  return $status
}

without_tun() {
  prove_without_tun() { host unshare --mount sh -c 'mount --bind /dev/null /dev/net/tun; exec "$@"' sh "$BIN" --root "$LAB/root" guard prove "$@"; }
  guard remove >/dev/null
  rm -f "$LAB/root/run/ecs-bootstrap/guard.json"
  exits 53 prove_without_tun && prints "guard_probe_failed" prove_without_tun && prints '"failure": "no packet could be sent' prove_without_tun --output json || return
  guard install >/dev/null && exits 0 prove_without_tun && prints "would be refused by this host's routing rules" prove_without_tun
}

crowd_of_bridges() {
  local number logged
  for ((number = 0; number < 199; number++)); do
    echo "link add crowd$number type bridge"
    echo "addr add 10.$((number / 250 + 1)).$((number % 250)).1/24 dev crowd$number"
    echo "link set crowd$number up"
    echo "link add ca$number type veth peer name cb$number"
    echo "link set ca$number master crowd$number up"
    echo "link set cb$number up"
  done | host ip -batch -
  wait_for "the carrier of all bridges" eval '(($(host ip -o link show type bridge | grep -c LOWER_UP) == 200))'
  guard remove >/dev/null
  proof 51 "crowd198 IPv4: leaks" || return
  guard install >/dev/null
  logged=$(dmesg | grep -cE 'ecsb-probe|tc mirred')
  (ulimit -n 64; guard prove --output json) | python3 -c '
import json, sys
proof = json.load(sys.stdin)
verdicts = [(row["verdict"], row["evidence"]) for row in proof["networks"]]
assert verdicts == [("blocked", "refused_by_host")] * 201, verdicts
print(proof["duration_ms"], "ms")' || return
  (($(dmesg | grep -cE 'ecsb-probe|tc mirred') - logged <= 1)) || { echo "it writes to the kernel's log"; return 1; }
}

v2b() {
  local status
  guard remove >/dev/null
  host ip link add passing0 type bridge
  host ip link set passing0 up
  ip link add eth1 netns "gl-$ID-host" type veth peer name eth1 netns "gl-$ID-aws"
  aws ip link set eth1 up
  host ip link set eth1 master passing0 up
  proof 51 "docker0 IPv4: leaks" "passing0 holds eth1 and no container: the frames that it passes on were not probed" || return
  add_guest passing0 guest1
  proof 51 "passing0 frames IPv4: leaks: it left by eth1" "passing0 frames IPv6: leaks: it left by eth1" && guard install >/dev/null &&
    proof 0 "passing0 frames IPv4: blocked: dropped by the guard's rule" "passing0 frames IPv6: blocked: dropped by the guard's rule" &&
    guard install --without nftables >/dev/null && proof 51 "docker0 IPv4: blocked: refused by this host" "passing0 frames IPv4: leaks"
  status=$?
  host ip link del passing0
  host ip link del eth1
  return $status
}

v2() {
  guard remove >/dev/null
  host ip link add br0 type bridge
  host ip link set br0 up
  host ip link set eth0 master br0
  host ip addr flush dev eth0 scope global
  host ip addr add 10.254.0.2/24 dev br0
  host ip addr add fd00:254::2/64 dev br0 nodad
  host ip route replace default via 10.254.0.1
  host ip route replace default via fd00:254::1
  host ip link set veth0 master br0
  host sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null
  wait_for "metadata" eval '[[ $(asks $V4 host) == open ]]'
  proof 51 "br0 IPv4: leaks" "br0 frames IPv4: leaks: it left by eth0" "br0 frames IPv6: leaks: it left by eth0" && guard install --without nftables >/dev/null &&
    proof 51 "br0 IPv4: blocked: refused by this host" "br0 frames IPv4: leaks" && guard install >/dev/null &&
    proof 0 "br0 IPv4: blocked: refused by this host" "br0 frames IPv4: blocked: dropped by the guard's rule" "br0 frames IPv6: blocked: dropped by the guard's rule" && host_reaches
}
