# shellcheck shell=bash
# Each of the two guards alone, ways around them, and faults of `status`, `install` and `remove`; on a host without Docker.

group_k() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "without a guard the container reaches metadata" cell_asks open
  check "each guard alone blocks, and --without removes the other one" each_alone
  check "after nft flush ruleset and ip rule flush the routing rules block, and the host stays connected" both_flushed
  check "a rule that another program had at priority 0 before is reported" preceded
  check "S1 a table without its source-route rule is weakened, and status lists what is in force" s1
  check "tables and rules of an earlier version are weakened, and repaired" former_shapes
  check "S3 --interface '*' is refused" s3
  check "S4 a trailing * of --interface is a + in the documented rule" s4
  check "--interface with a whole name restricts both guards" whole_name
  check "--interface with a beginning has no routing rules, and says so" beginning
  check "R1 remove leaves others' copies of the documented rule in their places" r1
  check "C2 a table that another process owns is named as the cause, and the routing rules block" c2
  check "L1 a source route over a hop of policy routing does not get through" l1
  check "P1 a transparent proxy on the host gets nothing, unless allow_local_proxy is set" p1
  check "rules of an earlier version in mangle are removed" earlier_version
}

group_u() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "P2 frames that a bridge passes on to its uplink are dropped, and the host is not" p2
}

remove_rules() { remove_routing_rules; host nft flush ruleset; }

each_alone() {
  exits 0 guard install --without nftables && [[ -z $(host nft list tables | grep ecs-bootstrap) ]] && cell_asks blocked && host_reaches || return
  exits 0 guard install --without routing && [[ $(host ip rule; host ip -6 rule) != *prohibit* ]] && cell_asks blocked && host_reaches || return
  exits 0 guard install && prints "guard: effective" guard status && remove_routing_rules && cell_asks blocked && prints "guard: weakened" guard status || return
  exits 0 guard install && remove_rules && cell_asks open && proof 51
}

both_flushed() {
  guard install >/dev/null
  host nft flush ruleset
  flush_routing_rules
  cell_asks blocked && host_reaches && restore_main && cell_asks blocked && host_reaches || return
  prints "routing rules: repaired" guard install && prints "guard: effective" guard status && prints "routing rules: unchanged" guard install
}

preceded() {
  guard remove >/dev/null
  host ip rule add pref 0 iif docker0 lookup 77 && guard install >/dev/null && prints "has priority 0 and comes before" guard status
  local status=$?
  host ip rule del pref 0 iif docker0 lookup 77
  [[ $(guard status) != *"comes before"* ]] && return $status
}

s1() {
  local handle
  guard install >/dev/null
  prints "with a source route" guard status || return
  handle=$(host nft -a list table inet ecs-bootstrap | grep -oP 'fib daddr type local.*handle \K[0-9]+')
  host nft delete rule inet ecs-bootstrap forward handle "$handle"
  prints "nf_tables: weakened" guard status && [[ $(guard status) != *"with a source route"* ]] && prints "nf_tables: repaired" guard install && prints "nf_tables: effective" guard status || return
  host nft flush chain inet ecs-bootstrap forward-drop
  [[ $(guard status) != *"drop forwarded packets"* ]] && prints "after all" guard status && prints "nf_tables: repaired" guard install
}

# As earlier versions wrote them.
former_shapes() {
  local family
  guard install >/dev/null
  host nft "delete table inet ecs-bootstrap; table inet ecs-bootstrap { chain forward { type filter hook forward priority -10; ip daddr $V4 counter drop; }; }"
  for family in -4 -6; do
    host ip $family rule add pref 1 protocol kernel nop && host ip $family rule del pref 1 iif lo nop || return
  done
  prints "routing rules: weakened" guard status && prints "nf_tables: weakened" guard status && cell_asks blocked && host_reaches || return
  exits 0 guard install && prints "guard: effective" guard status && cell_asks blocked && host_reaches || return
  [[ $(host ip rule; host ip -6 rule) != *unresolved* && $(host ip rule; host ip -6 rule) != *"all nop"* ]]
}

s3() {
  guard remove >/dev/null
  exits 2 guard install --interface '*' && prints "leave out --interface" guard install --interface '*' && cell_asks open
}

s4() { exits 0 guard install --interface 'docker*' && prints "-i docker+ -j DROP" host iptables -S FORWARD && cell_asks blocked; }

whole_name() {
  exits 0 guard install --interface docker0 && prints "iif docker0 prohibit" host ip rule && prints "iif docker0 prohibit" host ip -6 rule && cell_asks blocked && host_reaches || return
  exits 0 guard install --interface br-none && cell_asks open && exits 0 guard install && cell_asks blocked && [[ $(host ip rule) != *br-none* ]]
}

beginning() {
  prints "docker+ is the beginning of one" guard install --interface docker+ && [[ $(host ip rule) != *prohibit* ]] && cell_asks blocked || return
  exits 50 guard install --interface docker+ --without nftables && cell_asks blocked && exits 0 guard install
}

r1() {
  local rule=(-i docker+ -d $V4/32 -j DROP) before
  guard remove >/dev/null
  host iptables -F FORWARD
  host iptables -A FORWARD -i lo -j ACCEPT
  host iptables -A FORWARD "${rule[@]}"
  host iptables -A FORWARD -i docker0 -j ACCEPT
  host iptables -A FORWARD "${rule[@]}"
  before=$(host iptables -S FORWARD)
  guard install >/dev/null && shown_first && host iptables -I FORWARD 1 -i br-x -j ACCEPT && guard install >/dev/null && shown_first || return
  host iptables -D FORWARD -i br-x -j ACCEPT
  exits 0 guard remove && [[ $before == "$(host iptables -S FORWARD)" ]] || { diff <(echo "$before") <(host iptables -S FORWARD); return 1; }
  # A copy that another program takes away meanwhile is reported.
  guard install >/dev/null
  for _ in 1 2 3; do host iptables -D FORWARD "${rule[@]}"; done
  prints "had 2 copies of the documented rule" guard remove
  host iptables -F FORWARD
}

c2() {
  local owner
  guard remove >/dev/null
  host sh -c "(echo 'add table inet ecs-bootstrap { flags owner; }'; exec sleep 60) | nft -i" >/dev/null 2>&1 &
  owner=$!
  wait_for "the table" eval 'host nft list tables | grep -q ecs-bootstrap'
  exits 50 guard install && prints "belongs to another process" guard install && cell_asks blocked && host_reaches &&
    exits 0 guard install --without nftables && prints "belongs to another process" guard install --without nftables &&
    exits 50 guard remove && prints "belongs to another process" guard remove
  local status=$?
  kill "$owner"
  for pid in $(ip netns pids "gl-$ID-host"); do [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == "sleep 60 " ]] && kill "$pid"; done
  wait_for "the table to go" eval '! host nft list tables | grep -q ecs-bootstrap'
  exits 0 guard install && return $status
}

# As TPROXY is set up: a whole network is local to the host, in a table of its own, where `fib daddr type` does not look.
l1() {
  local bare nft_alone both
  host sysctl -qw net.ipv4.conf.all.accept_source_route=1
  host ip rule add iif docker0 lookup 100
  host ip route add local 198.51.100.0/24 dev lo table 100
  aws nft add table ip seen
  aws nft add chain ip seen in '{ type filter hook prerouting priority 0; }'
  aws nft add rule ip seen in ip daddr $V4 ip hdrlength gt 5 counter
  arrived() { aws nft list table ip seen | grep -oP 'packets \K[0-9]+'; }
  source_routed() { cell python3 "$HERE/lsrr.py" 172.17.0.2 198.51.100.7 $V4; sleep 0.2; arrived; }
  guard install >/dev/null
  both=$(source_routed)
  guard install --without routing >/dev/null
  nft_alone=$(source_routed)
  guard remove >/dev/null
  source_routed
  wait_for "both packets" eval '(($(arrived) == 2))'
  bare=$(arrived)
  host sysctl -qw net.ipv4.conf.all.accept_source_route=0
  host ip rule del iif docker0 lookup 100
  ((both == 0 && nft_alone == 0 && bare == 2)) || { echo "arrived with both: $both, with nf_tables alone: $nft_alone, without: $bare"; return 1; }
}

# It dials whatever the client dialled.
transparent_proxy() {
  exec nsenter --net="/run/netns/gl-$ID-host" -- python3 -c '
import socket, struct, threading
def serve(client):
    port, address = struct.unpack("!2xH4s8x", client.getsockopt(socket.SOL_IP, 80, 16))
    with socket.create_connection((socket.inet_ntoa(address), port), 3) as server:
        server.sendall(client.recv(4096))
        while answer := server.recv(4096):
            client.sendall(answer)
    client.close()
listener = socket.create_server(("", 3128))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()'
}

p1() {
  transparent_proxy >/dev/null 2>&1 &
  local proxy=$! redirect=(PREROUTING -i docker0 -p tcp --dport 80 -j REDIRECT --to-ports 3128) opened
  wait_for "the proxy" eval 'host ss -ltn | grep -q :3128'
  guard remove >/dev/null
  host iptables -t nat -A "${redirect[@]}"
  wait_for "an answer through the proxy" eval '[[ $(asks $V4 cell) == open ]]' || return
  exits 0 guard install && [[ $(asks $V4 cell) == blocked ]] && host_reaches || { echo "open through the proxy"; return 1; }
  exits 0 guard install --allow-local-proxy && wait_for "an answer through the proxy" eval '[[ $(asks $V4 cell) == open ]]' && opened=open
  mkdir -p "$LAB/root/etc/ecs-bootstrap"
  echo "allow_local_proxy = true" >"$LAB/root/etc/ecs-bootstrap/ecs-bootstrap.toml"
  exits 0 guard install --allow-local-proxy=false && exits 0 guard install && wait_for "an answer through the proxy" eval '[[ $(asks $V4 cell) == open ]]' && opened+=" open"
  [[ $(guard status) != *"redirected to this host"* ]] && prints "allow_local_proxy lets them pass" guard status && prints "guard: effective" guard status
  local status=$?
  rm "$LAB/root/etc/ecs-bootstrap/ecs-bootstrap.toml"
  kill $proxy
  host iptables -t nat -D "${redirect[@]}"
  [[ $opened == "open open" ]] || { echo "with allow_local_proxy: $opened"; return 1; }
  exits 0 guard install && return $status
}

earlier_version() {
  guard remove >/dev/null
  mkdir -p "$LAB/root/run/ecs-bootstrap"
  echo '{"mangle_is_ours": true}' >"$LAB/root/run/ecs-bootstrap/guard.json"
  host iptables -t mangle -I FORWARD -d $V4/32 -j DROP
  host ip6tables -t mangle -I FORWARD -d $V6/128 -j DROP
  exits 0 guard install && cell_asks blocked && ! (host iptables-save -t mangle; host ip6tables-save -t mangle) | grep -E "$V4|$V6"
}

# The uplink is a port of the bridge, and the container's gateway is the router beyond it.
p2() {
  local bridged
  host ip link add br0 type bridge
  host ip link set br0 up
  host ip link set eth0 master br0
  host ip addr flush dev eth0 scope global
  host ip addr add 10.254.0.2/30 dev br0
  host ip addr add fd00:254::2/64 dev br0 nodad
  host ip route replace default via 10.254.0.1
  host ip route replace default via fd00:254::1
  aws ip addr add 10.254.1.1/24 dev eth0
  host ip link set veth0 master br0
  cell ip addr flush dev eth0 scope global
  cell ip addr add 10.254.1.5/24 dev eth0
  cell ip addr add fd00:254::5/64 dev eth0 nodad
  cell ip route replace default via 10.254.1.1
  cell ip route replace default via fd00:254::1
  host sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null
  cell_asks open || { echo "the bridged way does not work"; return 1; }
  exits 0 guard install && cell_asks blocked && host_reaches && PORT=53 reaches 169.254.169.253 cell || return
  bridged=$(host nft list table bridge ecs-bootstrap | grep -oP 'packets \K[0-9]+' | paste -sd+)
  (($bridged > 0)) || { echo "the bridge table counted nothing"; return 1; }
  exits 0 guard remove && cell_asks open
}
