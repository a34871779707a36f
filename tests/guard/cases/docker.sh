# shellcheck shell=bash
# What Docker and flushes of all rules do to a host: without rules, with the documented rule, with the guard.

group_a() {
  lab_up || { echo "not ok the lab starts"; return; }
  states
  installs
}

# The states, and a reboot, with the Docker of Debian 13.
group_g() {
  DEBIAN13=yes
  lab_up || { echo "not ok the lab starts"; return; }
  check "what follows is with Docker $(docker version -f '{{.Server.Version}}')" eval '[[ $(docker version -f "{{.Server.Version}}") == 2[6-9].* ]]'
  check "T6 a reboot with the guard before Docker" boots_guarded
  guard remove >/dev/null
  states
}

states() {
  check "T1 without a guard every container reaches metadata, and prove reports it" leaks
  check "T1 the documented rule alone covers docker0 only" documented_alone
  check "T10 the documented rule is listed after a Docker restart, and leaks" documented_after_restart
  before=$(firewall)
  check "T2 after install no container reaches metadata" t2
  check "T3 installing twice changes nothing" t3
  check "the documented rule is the first of FORWARD" shown_first
  check "T16 task credentials' address answers through the guard" t16
  check "T26 the VPC's resolver stays reachable" t26
  check "T25 a loose source route is warned of and does not get through" t25
  check "T7 networks made after install are blocked" t7
  check "T4 a Docker restart" after dockerd_restart
  check "the documented rule was moved down, is repaired, and is set once" sunk
  check "T5 Docker killed and started" after dockerd_restart KILL
  check "T8 all of iptables flushed" after flush_iptables
  check "T15 dockerd stopped, docker0 left without a port: would be refused with the guard, no verdict without" t15
  check "T9 nft flush ruleset leaves the routing rules: blocked" t9
  check "ip rule flush, and others' rules at automatic priority and priority 1: blocked, and the host connected" others_rules
  check "only both guards removed by hand leak, and install repairs them" both_removed
}

installs() {
  check "a weakened table is found, reported and repaired" weakened
  check "status reports rules, counters, networks and the last proof" status_reports
  check "20 installs at once and 100 in a row leave each rule once" crowd
  check "T12 remove leaves the firewall as before" t12
  check "T23 a host without IPv6 networks is proven on IPv4 alone, which prove reports" t23
}

documented() { host iptables -I FORWARD 1 -i docker+ -d $V4/32 -j DROP; }

documented_alone() {
  documented
  cells blocked open open open closed open
}

documented_after_restart() {
  dockerd_restart && lab_containers
  host iptables -S FORWARD | grep -q -- "-d $V4/32 -i docker+ -j DROP" && leaks
  local status=$?
  host iptables -D FORWARD -i docker+ -d $V4/32 -j DROP
  return $status
}

t2() { exits 0 guard install && is_guarded; }

# Rules without what changes by itself.
table() { host nft -j list table inet ecs-bootstrap | sed -E 's/"(packets|bytes|handle)": [0-9]+//g'; }

t3() {
  local before
  before=$(table)
  prints '"changed": false' guard install --output json && [[ $before == "$(table)" ]] && (($(host nft list table inet ecs-bootstrap | grep -c goto) == 7))
}

shown_first() { prints "-A FORWARD -d $V4/32 -i docker+ -j DROP" host iptables -S FORWARD 1; }

t16() {
  local network
  host sysctl -qw net.ipv4.conf.all.route_localnet=1
  host iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679
  metadata host "$LAB/agent" 127.0.0.1:51679 --
  wait_for "the agent's stand-in" eval '[[ $(PORT=51679 asks 127.0.0.1 host) == open ]]'
  for network in bridge user task; do
    reaches 169.254.170.2 inside c-$network || { echo "$network does not reach task credentials"; return 1; }
  done
  prints "docker0 to task credentials: answered by this host" guard prove
}

t26() { PORT=53 reaches 169.254.169.253 inside c-bridge && PORT=53 reaches fd00:ec2::253 inside c-six; }

t25() {
  local gateway address
  gateway=$(docker inspect -f '{{.NetworkSettings.Gateway}}' c-bridge) address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' c-bridge)
  host sysctl -qw net.ipv4.conf.all.accept_source_route=1
  aws nft add table ip seen
  aws nft add chain ip seen in '{ type filter hook prerouting priority 0; }'
  aws nft add rule ip seen in ip daddr $V4 ip hdrlength gt 5 counter
  arrived() { aws nft list table ip seen | grep -oP 'packets \K[0-9]+'; }
  inside c-bridge python3 "$HERE/lsrr.py" "$address" "$gateway" $V4
  local guarded
  guarded=$(arrived)
  prints accept_source_route guard prove && prints accept_source_route guard status || return 1
  guard remove >/dev/null
  inside c-bridge python3 "$HERE/lsrr.py" "$address" "$gateway" $V4
  wait_for "both packets" eval '(($(arrived) == 2))'
  local bare
  bare=$(arrived)
  guard install >/dev/null
  host sysctl -qw net.ipv4.conf.all.accept_source_route=0
  ((guarded == 0 && bare == 2)) || { echo "arrived with the guard: $guarded, without: $bare"; return 1; }
}

t7() {
  local network
  docker network create --ipv6 --subnet fd00:1ac::/64 later >/dev/null
  docker network create --internal --subnet 10.98.0.0/24 --gateway 10.98.0.1 within >/dev/null
  for network in later within; do
    docker run -d --init --name c-$network --network $network tiny sleep 999 >/dev/null
    wait_for "c-$network" running c-$network
  done
  wait_for "the IPv6 address of c-later" settled c-later
  inside c-within ip route add $V4 via 10.98.0.1
  [[ "$(asks $V4 inside c-later) $(asks $V6 inside c-later) $(asks $V4 inside c-within)" == "blocked blocked blocked" ]] &&
    proof 0 "$(bridge_of later) IPv4: blocked" "$(bridge_of later) IPv6: blocked" "$(bridge_of within) IPv4: blocked"
  local status=$?
  for network in later within; do
    docker rm -f c-$network >/dev/null
    docker network rm $network >/dev/null
  done
  return $status
}

after() { # WHAT...: is guarded afterwards, without any repair
  "$@" && lab_containers && is_guarded
}

sunk() {
  prints ", below: -j DOCKER" guard status && prints "inserted at FORWARD 1" guard install && shown_first &&
    (($(host iptables -S FORWARD | grep -c -- "-d $V4/32 -i docker+ -j DROP") == 1))
}

flush_iptables() { for table in filter mangle raw; do host iptables -t $table -F; done; host iptables -P FORWARD ACCEPT; }

t15() {
  dockerd_stop
  host ip link del ecs-bridge
  proof 0 && guard remove >/dev/null && proof 52 "docker0 has no carrier" && guard install >/dev/null && proof 0
  local status=$?
  dockerd_start && lab_containers
  return $status
}

t9() {
  host nft flush ruleset
  dockerd_restart && lab_containers
  is_guarded && prints "nf_tables: absent" guard status && prints "nf_tables: installed" guard install && is_guarded
}

# With nf_tables out of the way.
others_rules() {
  host nft flush ruleset
  dockerd_restart && lab_containers
  host ip route add default via 10.254.0.1 table 100
  host ip rule add iif docker0 lookup 100
  host ip rule add pref 1 lookup 100
  is_guarded || return
  flush_routing_rules
  # The host's own way to metadata outlives the flush; everything else needs its table again.
  host_reaches && restore_main && is_guarded && prints "routing rules: repaired" guard install && is_guarded
}

flush_routing_rules() { host ip rule flush; host ip -6 rule flush; }
restore_main() { for family in -4 -6; do host ip $family rule add pref 32766 lookup main; done; }

both_removed() {
  host nft flush ruleset
  dockerd_restart && lab_containers
  remove_routing_rules
  leaks && prints "guard: absent" guard status && prints "routing rules: installed" guard install && is_guarded
}

remove_routing_rules() {
  while host ip rule del pref 0 to $V4 2>/dev/null; do :; done
  while host ip -6 rule del pref 0 to $V6 2>/dev/null; do :; done
}

weakened() {
  local spoil
  guard install --without routing >/dev/null
  for spoil in "insert rule inet ecs-bootstrap forward accept" "add table inet ecs-bootstrap { flags dormant; }" \
    "flush chain inet ecs-bootstrap forward" "flush chain inet ecs-bootstrap postrouting-drop" "add chain inet ecs-bootstrap guest"; do
    host nft "$spoil" || return
    prints "nf_tables: weakened" guard status && prints "nf_tables: repaired" guard install --without routing && prints "nf_tables: effective" guard status || { echo "after: $spoil"; return 1; }
  done
  # An accept above the rules of one chain opens nothing; above those of both, and without the routing rules, prove finds the leak.
  host iptables -D FORWARD -i docker+ -d $V4/32 -j DROP
  host nft insert rule inet ecs-bootstrap forward accept
  all blocked closed || return
  host nft insert rule inet ecs-bootstrap postrouting accept
  leaks && guard install >/dev/null && is_guarded
}

status_reports() {
  guard status --output json | python3 -c '
import json, sys
report = json.load(sys.stdin)
guards = report["guards"]
assert report["state"] == guards["routing"]["state"] == guards["nftables"]["state"] == "effective", report
assert (len(guards["routing"]["rules"]), len(guards["nftables"]["rules"])) == (2, 9), report
assert report["dropped_packets"] is not None and report["documented_rule"]["place"] == 1, report
assert len(report["networks"]) == 5 and all(network["covered"] for network in report["networks"]), report
assert report["last_proof"]["age_seconds"] < 60 and report["error"] is None, report'
}

crowd() {
  local pids=() pid
  guard remove >/dev/null
  for _ in {1..20}; do guard install >/dev/null 2>&1 & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || { echo "one of 20 failed"; return 1; }; done
  for _ in {1..100}; do guard install >/dev/null || return; done
  (($(host iptables -S FORWARD | grep -c -- "$V4") == 1 && $(host nft list table inet ecs-bootstrap | grep -c goto) == 7))
}

firewall() { host ip rule; host ip -6 rule; host iptables-save | sed -E 's/^#.*//; s/\[[0-9:]+\]//'; host ip6tables-save | sed -E 's/^#.*//; s/\[[0-9:]+\]//'; host nft list ruleset | sed -E 's/packets [0-9]+ bytes [0-9]+//'; }

t12() {
  local before
  guard remove >/dev/null
  before=$(firewall)
  guard install >/dev/null && exits 0 guard remove || return
  [[ $before == "$(firewall)" ]] || { diff <(echo "$before") <(firewall); return 1; }
  leaks && exits 0 guard remove && prints "was not installed" guard remove
}

t23() {
  guard install >/dev/null
  docker rm -f c-six >/dev/null && docker network rm six >/dev/null
  proof 0 "docker0 has no global IPv6 address: IPv6 was not probed there"
}
