# shellcheck shell=bash
# Hosts without programs, capabilities, nf_tables or bridges; and what the guard leaves behind.

group_c() {
  lab_up || { echo "not ok the lab starts"; return; }
  check "T19 without iptables and nft in PATH the guard is set and proven" t19
  check "T13 without CAP_NET_ADMIN: exit 50, and nothing changed" t13
  check "a held xtables lock does not delay the guard" held_lock
  check "a kernel without nf_tables: the routing rules guard alone, and it is reported" without_nf_tables
  check "an interface narrows the guard, and leaving it out widens it again" narrowed
  check "100 kills at any moment leave no interface, rule, address or route" kills
  check "T14 forwarding off: exit 52 with the reason" t14
  check "T20 a hop limit of 1 is not a guard: prove still reports leaks" t20
  check "run --block-imds: the guard is set before the first packet to metadata, and stays when the fetch fails" run_guards_first
  check "repairs are reported, and a quiet call prints nothing" quiet_calls
  check "host tasks: a drop-in on cgroup v2, exit 50 on v1" host_tasks
  check "saved rule sets and ecs.config are read by status" saved
}

group_d() {
  make_legacy
  DOCKERD_PATH=$LEGACY
  lab_up || { echo "not ok the lab starts"; return; }
  check "T17 Docker on iptables-legacy: install" t17
  check "T17 Docker on iptables-legacy: a Docker restart" after dockerd_restart
  check "a held legacy lock does not delay the guard" held_legacy_lock
  check "on iptables-legacy remove leaves the firewall as before" t17_remove
  lab_down
  unset DOCKERD_PATH
  LAB=/tmp/gl-none
  lab_up --iptables=false || { echo "not ok the second lab starts"; return; }
  check "T18 Docker's nftables backend in shape" t18
  check "T11 DOCKER-USER with no jump to it is listed and leaks" t11
  check "T14 no bridge at all: exit 52 with the reason; remove leaves an empty firewall empty" bare
}

# A reduced PATH; the binary itself is called by its full path.
without_path() { host env -i PATH=/nonexistent "$BIN" --root "$LAB/root" guard "$@"; }

t19() {
  prints "not in FORWARD: this host has no iptables" without_path install && exits 0 without_path prove && is_guarded && without_path remove >/dev/null && leaks
}

without_capability() { host setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$BIN" --root "$LAB/root" guard "$@"; }

t13() {
  local before
  before=$(firewall)
  exits 50 without_capability install && prints CAP_NET_ADMIN without_capability install && prints "remedy" without_capability install && exits 53 without_capability prove && [[ $before == "$(firewall)" ]]
}

hold_lock() { # SECONDS
  flock -o "$LAB/xtables.lock" sleep "$1" & # -o: the lock dies with flock, not with its sleep
  echo $! >"$LAB/holder"
  wait_for "the lock" eval '! flock -n "$LAB/xtables.lock" true'
}

is_held() { kill -0 "$(cat "$LAB/holder")" || { echo "it waited for the lock"; return 1; }; }

held_lock() {
  hold_lock 120
  exits 0 guard install && is_held && is_guarded
  local status=$?
  kill "$(cat "$LAB/holder")"
  guard remove >/dev/null
  return $status
}

held_legacy_lock() {
  local status
  legacy guard remove >/dev/null
  hold_lock 120
  legacy prints "documented rule: not in FORWARD" guard install && is_held && proof 0
  status=$?
  kill "$(cat "$LAB/holder")"
  legacy guard install >/dev/null
  return $status
}

bare_kernel() { host env PATH="$LEGACY:$PATH" XTABLES_LOCKFILE="$LAB/xtables.lock" python3 "$HERE/without_nf_tables.py" "$BIN" --root "$LAB/root" guard "$@"; }

without_nf_tables() {
  make_legacy
  prints "nf_tables: not installed; this kernel has no nf_tables" bare_kernel install && prints '"changed": false' bare_kernel install --output json || return
  all blocked && prints "guard: effective" bare_kernel status && prints "nf_tables: left out: this kernel has no nf_tables" bare_kernel status || return
  # S2: what this kernel cannot do is not listed.
  [[ $(bare_kernel status) != *"source route"* ]] && exits 50 bare_kernel install --without routing && exits 0 bare_kernel remove && leaks
}

narrowed() {
  exits 0 guard install --interface docker0 && cells blocked open open open closed open && proof 51 && prints "restricted" guard install --interface docker0 || return
  exits 0 guard install && is_guarded && (($(host iptables -S FORWARD | grep -c $V4) == 1))
}

# Everything that a probe could leave.
traces() { host ip -o link | cut -d: -f2 && host ip -o addr | awk '{print $2, $4}' && host ip route && host ip -6 route && ip netns list | grep -c "gl-$ID-" && table; }

kills() {
  local before pid
  before=$(traces)
  for _ in {1..100}; do
    (exec nsenter --net="/run/netns/gl-$ID-host" -- "$BIN" --root "$LAB/root" guard prove) >/dev/null 2>&1 &
    pid=$!
    sleep "0.$((RANDOM % 30 + 100))"
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  wait_for "the last port to go" eval '! host ip -o link | grep -q ecsb-probe'
  [[ $before == "$(traces)" ]] || { diff <(echo "$before") <(traces); return 1; }
}

t14() {
  host sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  proof 52 "forwarding is off"
  local status=$?
  host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  return $status
}

t20() {
  guard remove >/dev/null
  kill_inside "gl-$ID-aws"
  lab_metadata 1
  host_reaches || return
  [[ $(asks $V4 inside c-bridge) == blocked ]] && proof 51
}

run_guards_first() {
  local before asked
  guard remove >/dev/null
  host_reaches || return
  before=$(requests)
  host "$BIN" --root "$LAB/root" run --block-imds --timeout 3s --config s3://bucket/key && { echo "S3 cannot be reached here"; return 1; }
  asked=$(tail -n +$((before + 1)) "$LAB/requests")
  [[ -n $asked ]] && ! grep -v '"on_request":true' <<<"$asked" && all blocked
}

quiet() { host "$BIN" --root "$LAB/root" --quiet guard "$@"; }

quiet_calls() {
  guard install >/dev/null
  [[ -z $(quiet install)$(quiet prove) ]] || { echo "printed: $(quiet install)$(quiet prove)"; return 1; }
  host nft flush ruleset
  prints "nf_tables: installed" quiet install && [[ $(proves_all) != *open* ]]
}

# On a folder that looks like a host with cgroup v2 and systemd.
tasks() { PATH="$LAB/fake:$PATH" host "$BIN" --root "$LAB/tasks" guard "$@"; }

host_tasks() {
  local dropin=$LAB/tasks/etc/systemd/system/ecstasks.slice.d/50-ecs-bootstrap-imds.conf
  guard remove >/dev/null
  mkdir -p "$LAB/fake" "$LAB/tasks/run/systemd/system" "$LAB/tasks/sys/fs/cgroup" "$LAB/tasks/etc/ecs"
  printf '#!/bin/sh\necho "$@" >>%s/systemctl.log\n' "$LAB" >"$LAB/fake/systemctl"
  chmod +x "$LAB/fake/systemctl"
  exits 50 tasks install --block-imds-host-tasks && prints "cgroup v2" tasks install --block-imds-host-tasks || return
  host nft list tables | grep -q ecs-bootstrap && { echo "half a guard"; return 1; }
  touch "$LAB/tasks/sys/fs/cgroup/cgroup.controllers"
  exits 0 tasks install --block-imds-host-tasks && grep -qx "IPAddressDeny=$V4 $V6" "$dropin" && grep -qx daemon-reload "$LAB/systemctl.log" || return
  exits 0 tasks install --block-imds-host-tasks && (($(wc -l <"$LAB/systemctl.log") == 1)) || { echo "reloaded again for nothing"; return 1; }
  echo ECS_ENABLE_TASK_CPU_MEM_LIMIT=false >"$LAB/tasks/etc/ecs/ecs.config"
  prints "ECS_ENABLE_TASK_CPU_MEM_LIMIT" tasks install --block-imds-host-tasks && exits 0 tasks remove && [[ ! -e ${dropin%/*} ]]
}

saved() {
  mkdir -p "$LAB/root/etc/ecs" "$LAB/root/etc/sysconfig"
  echo "ECS_AWSVPC_BLOCK_IMDS=true" >"$LAB/root/etc/ecs/ecs.config"
  printf 'flush ruleset\n' >"$LAB/root/etc/nftables.conf"
  echo "-A FORWARD -i docker+ -d $V4/32 -j DROP" >"$LAB/root/etc/sysconfig/iptables"
  prints "/etc/nftables.conf: " guard status && prints "/etc/sysconfig/iptables: " guard status && prints "awsvpc network mode: covered" guard status
}

make_legacy() { # a folder whose iptables is the legacy one
  local name
  LEGACY=$output/legacy-$ID
  mkdir -p "$LEGACY"
  for name in iptables ip6tables; do
    ln -sf "$(command -v $name-legacy)" "$LEGACY/$name"
    ln -sf "$(command -v $name-legacy-restore)" "$LEGACY/$name-restore"
  done
}

legacy() { PATH=$DOCKERD_PATH:$PATH "$@"; }

t17() { legacy exits 0 guard install && is_guarded && prints "-d $V4/32 -i docker+ -j DROP" host iptables-legacy -S FORWARD 1; }

t17_remove() {
  legacy exits 0 guard remove && ! (host iptables-legacy-save; host nft list tables) | grep -E "$V4|ecs-bootstrap"
}

t18() {
  local name
  host sysctl -qw net.ipv4.ip_forward=1
  host nft -f - <<'NFT'
table ip docker-bridges {
  chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; iifname != "eth0" accept; }
  chain postrouting { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }
}
NFT
  leaks open && exits 0 guard install && is_guarded
}

t11() {
  guard remove >/dev/null
  host iptables -N DOCKER-USER
  host iptables -I DOCKER-USER -d $V4/32 -j DROP
  leaks open
}

bare() {
  local before
  dockerd_stop
  kill_inside "gl-$ID-host"
  lab_unmount
  ip netns del "gl-$ID-host"
  aws ip link del eth0 2>/dev/null
  rm -rf "$LAB/root/run"
  lab_host
  before=$(host nft list ruleset)
  proof 52 "no bridge" && exits 0 guard install && shown_first && exits 0 guard remove || return
  [[ -z $before && -z $(host nft list ruleset) ]] || { host nft list ruleset; return 1; }
}
