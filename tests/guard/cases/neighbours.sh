# shellcheck shell=bash
# The guard beside other programs that write rules (firewalld, systemd-networkd), what `remove` leaves, and what a program of AWS makes of it.

group_n() {
  lab_up || { echo "not ok the lab starts"; return; }
  check "systemd-networkd, restarted and reloaded, removes others' rules and keeps the guard's" networkd_keeps
}

group_o() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "boto3 without credentials gives up sooner with the routing rules than with nf_tables alone" boto3
}

group_f() {
  lab_up || { echo "not ok the lab starts"; return; }
  check "firewalld, started, reloaded, reloaded completely and stopped, leaves the guard in force" firewalld_keeps
}

group_r() {
  local start
  for start in $(compgen -A function start_ | sed 's/^start_//'); do
    check "remove leaves the host as before: $start" restored "$start"
  done
}

# A system bus of its own, and a /sys that is read-only, as in a container: networkd then does not wait for udev.
networkd() { # COMMAND: a line for the shell, run beside networkd
  host unshare --mount --pid --fork sh -c '
    mount -t tmpfs none /run
    mkdir -p /run/dbus /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases
    chown -R systemd-network: /run/systemd/netif
    mount -t sysfs sysfs /sys && mount -o remount,ro /sys
    printf "[Match]\nName=net0\n[Network]\nAddress=10.9.9.9/24\nIPv6AcceptRA=no\n" >/run/systemd/network/net0.network
    dbus-daemon --config-file="$1" --fork --nopidfile
    start() { /lib/systemd/systemd-networkd >/dev/null 2>&1 & networkd=$!; settled; }
    settled() { for _ in $(seq 1200); do networkctl status net0 2>/dev/null | grep -q "State:.*(configured)" && return; sleep 0.1; done; echo "networkd does not start"; exit 1; }
    gone() { for _ in $(seq 1200); do ip rule | grep -q 203.0.113.9 || return 0; sleep 0.1; done; echo "it keeps a rule that it did not make"; exit 1; }
    eval "$2"
    kill $networkd' sh "$LAB/bus.conf" "$1"
}

networkd_keeps() {
  local before element allows=
  for element in send receive; do
    for type in method_call method_return signal error; do allows+="<allow ${element}_type='$type'/>"; done
  done
  cat >"$LAB/bus.conf" <<XML
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context='default'><allow user='*'/><allow own='*'/>$allows</policy></busconfig>
XML
  host ip link add net0 type veth peer name net1
  host ip link set net1 up
  guard install >/dev/null
  before=$(rules)
  host ip rule add pref 500 protocol static to 203.0.113.9 prohibit
  networkd 'start; touch /run/systemd/network/net0.network; networkctl reload; networkctl reconfigure net0; gone' || return
  host ip rule add pref 500 to 203.0.113.9 prohibit
  networkd 'start; kill $networkd; wait; start; networkctl reconfigure net0; gone' || return
  [[ $before == "$(rules)" ]] || { diff <(echo "$before") <(rules); return 1; }
  is_guarded || return
  host nft flush ruleset
  dockerd_restart && lab_containers && is_guarded && guard install >/dev/null
}

rules() { host ip -details rule; host ip -details -6 rule; }

# How long a program without credentials looks for them, in milliseconds.
looks_for_credentials() {
  cell env -i PATH="$PATH" HOME="$LAB" "$TARGET/guard-python/bin/python" -c '
import time, botocore.session
begin = time.monotonic()
assert botocore.session.get_session().get_credentials() is None
print(round(1000 * (time.monotonic() - begin)))'
}

boto3() {
  local both nft_alone
  [[ -x $TARGET/guard-python/bin/python ]] || { python3 -m venv "$TARGET/guard-python" && "$TARGET/guard-python/bin/pip" install -q botocore==1.44.5; } || return
  guard remove >/dev/null
  cell_asks open || return
  guard install >/dev/null
  # The kernel refuses to one address six times at once, and then once a second (net.ipv4.icmp_ratelimit).
  sleep 7
  both=$(looks_for_credentials)
  guard install --without routing >/dev/null
  nft_alone=$(looks_for_credentials)
  guard install >/dev/null
  echo "$both ms with the routing rules, $nft_alone ms with nf_tables alone" | tee "$TARGET/tests/guard-boto3"
  ((both < nft_alone))
}

firewalld() { host env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$LAB/bus" "$@"; }

firewalld_keeps() {
  local step network
  host dbus-daemon --session --address="unix:path=$LAB/bus" --fork --nopidfile
  mkdir -p "$LAB/firewalld"
  firewalld firewalld --nofork --nopid --system-config "$LAB/firewalld" >"$LAB/firewalld.log" 2>&1 &
  wait_for "firewalld" firewalld firewall-cmd --state || return
  for network in docker0 eth0 ecs-bridge "$(bridge_of user)" "$(bridge_of six)" "$(bridge_of internal)"; do
    firewalld firewall-cmd -q --zone=trusted --permanent --change-interface="$network" || return
  done
  # It flushes Docker's rules. Docker sets them again when it is told so over the system's bus, which is another one here: a restart does.
  firewalld firewall-cmd -q --reload && dockerd_restart && lab_containers && leaks || { echo "firewalld itself blocks"; return 1; }
  guard install >/dev/null
  for step in "--reload" "--complete-reload" "--direct --add-rule ipv4 filter FORWARD 0 -i docker0 -j ACCEPT"; do
    # shellcheck disable=SC2086 # options
    firewalld firewall-cmd -q $step
    is_guarded && dockerd_restart && lab_containers && is_guarded && prints "guard: effective" guard status || { echo "after $step"; return 1; }
  done
  kill_named firewalld
  is_guarded && prints "guard: effective" guard status
}

kill_named() { # WORD: processes in the host's namespace
  local pid
  for pid in $(ip netns pids "gl-$ID-host"); do [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *"$1"* ]] || { kill "$pid"; wait_for "$1 to end" eval "! kill -0 $pid"; }; done
}

# Everything that the guard may touch, without counters.
host_state() {
  firewall
  host iptables-legacy-save 2>/dev/null | sed -E 's/^#.*//; s/\[[0-9:]+\]//'
  host ip -details rule
  host ip -details -6 rule
  host ip -o link | sed -E 's/ (qlen|group) .*link/ link/'
  host ip -o addr | awk '{print $2, $4}'
}

restored() { # START: on a host of its own, which has a bridge
  local before after
  LAB=/tmp/gl-$ID
  lab_down
  mkdir -p "$LAB/root"
  ip netns add "gl-$ID-host"
  host ip link set lo up
  host ip link add docker0 type bridge
  host ip addr add 172.17.0.1/16 dev docker0
  host ip link set docker0 up
  "start_$1"
  before=$(host_state)
  guard install >/dev/null && guard prove >/dev/null 2>&1
  guard install --interface docker0 >/dev/null && guard install --without routing >/dev/null && guard install >/dev/null && exits 0 guard remove || return
  after=$(host_state)
  [[ $before == "$after" ]] || { diff <(echo "$before") <(echo "$after"); return 1; }
}

start_empty() { :; }
start_policy_drop() { host iptables -P FORWARD DROP; }
start_documented_first() { documented; }
start_documented_twice() {
  host iptables -A FORWARD -i lo -j ACCEPT
  host iptables -A FORWARD -i docker+ -d $V4/32 -j DROP
  host iptables -A FORWARD -i docker0 -j ACCEPT
  host iptables -A FORWARD -i docker+ -d $V4/32 -j DROP
}
start_docker_chains() {
  host iptables -N DOCKER-USER
  host iptables -A FORWARD -j DOCKER-USER
  host iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
  host iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
}
start_legacy() { host iptables-legacy -A FORWARD -i docker0 -j ACCEPT; }
start_own_mangle_rules() {
  host iptables -t mangle -A FORWARD -d $V4/32 -j DROP
  host ip6tables -t mangle -A FORWARD -d $V6/128 -j DROP
}
start_nft_tables() {
  host nft -f - <<'NFT'
table inet filter { chain forward { type filter hook forward priority filter; policy drop; iifname "docker0" accept; }; }
table bridge filter { chain forward { type filter hook forward priority filter; policy accept; }; }
NFT
}
start_routing_rules() {
  host ip rule add iif docker0 lookup 100
  host ip rule add pref 1 to 203.0.113.1 prohibit
  host ip -6 rule add pref 2 nop protocol static
}
start_rules_to_metadata() { host ip rule add pref 0 protocol static to $V4 prohibit; }
start_ip6tables() {
  host ip6tables -P FORWARD DROP
  host ip6tables -A FORWARD -i docker0 -j ACCEPT
}
