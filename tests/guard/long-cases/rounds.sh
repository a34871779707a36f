# shellcheck shell=bash
# Hundreds of rounds, for tests/guard/long.

ROUNDS=${ROUNDS:-200}

group_x() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "$ROUNDS rounds of install beside remove end in order" beside remove
  check "$ROUNDS rounds of install beside install --interface end in order" beside "install --interface docker0"
}

group_y() {
  lab_up && make_packages && make_system || { echo "not ok the lab starts"; return; }
  guard() { host chroot "$LAB/system" ecs-bootstrap guard "$@"; }
  check "a container that never stops asking gets nothing over $ROUNDS installs, removals of one guard, restarts of Docker and upgrades of the package" never_answered
}

# Two packages of the same program, each an upgrade of the other.
make_packages() {
  local revision
  for revision in 1 2; do REVISION=$revision ../../packaging/build package "$BIN" "$TARGET/guard-packages" >&2 || return; done
}

# A Debian with its own dpkg, over the cached one.
make_system() {
  local debian
  debian=$(debian bookworm) && mkdir -p "$LAB"/{upper,work,system} &&
    mount -t overlay -o "lowerdir=$debian,upperdir=$LAB/upper,workdir=$LAB/work" overlay "$LAB/system" &&
    mount -t proc proc "$LAB/system/proc" && host mount -t sysfs -o ro sysfs "$LAB/system/sys" &&
    mkdir -p "$LAB/system/dev/net" && mknod "$LAB/system/dev/net/tun" c 10 200 && upgrade 1
}

# The whole upgrade as dpkg does it, with the package's scripts.
upgrade() { # REVISION
  cp "$TARGET/guard-packages/"*"-$1_amd64.deb" "$LAB/system/package.deb"
  host chroot "$LAB/system" dpkg -i /package.deb >"$LAB/dpkg.log" 2>&1 &&
    [[ $(chroot "$LAB/system" dpkg-query -W -f '${Status} ${Version}' ecs-bootstrap) == "install ok installed "*"-$1" ]] || { cat "$LAB/dpkg.log"; return 1; }
}

# Both calls end with 0, and the next install and remove repair whatever they left.
beside() { # THE OTHER CALL
  local round pids pid before
  guard remove >/dev/null
  before=$(firewall)
  for ((round = 1; round <= ROUNDS; round++)); do
    pids=()
    guard install >/dev/null 2>"$LAB/one" & pids+=($!)
    # shellcheck disable=SC2086 # options
    guard $1 >/dev/null 2>"$LAB/other" & pids+=($!)
    for pid in "${pids[@]}"; do wait "$pid" || { echo "round $round:"; cat "$LAB/one" "$LAB/other"; return 1; }; done
    ((round % 20)) || { guard install >/dev/null && prints "guard: effective" guard status && cell_asks blocked || return; }
  done
  exits 0 guard remove && [[ $before == "$(firewall)" ]] || { diff <(echo "$before") <(firewall); return 1; }
}

# One in ten of the rounds has a restart of Docker, and another one an upgrade.
never_answered() {
  local before round upgrades=0 restarts=0
  docker run -d --init --restart always --name hammer --network user tiny \
    sh -c "for loop in 1 2 3 4 5 6 7 8; do while :; do printf 'GET / HTTP/1.0\r\n\r\n' | timeout 1 nc -w 1 $V4 80; echo asked; done & done; wait" >/dev/null
  wait_for "the hammer's requests" eval '(($(requests) > 3))' || return
  guard install >/dev/null
  sleep 1.2
  before=$(requests)
  for ((round = 1; round <= ROUNDS; round++)); do
    guard install --without routing >/dev/null && guard install --without nftables >/dev/null && guard install >/dev/null || return
    ((round % 3)) || { host nft flush ruleset; guard install >/dev/null; }
    ((round % 4)) || { remove_routing_rules; guard install >/dev/null; }
    case $((round % 10)) in
      0) dockerd_restart && wait_for "the hammer" running hammer && ((++restarts)) || return ;;
      5) upgrade $((2 - upgrades % 2)) && guard install >/dev/null && ((++upgrades)) || return ;;
    esac
  done
  echo "$ROUNDS rounds, $restarts restarts, $upgrades upgrades: $(docker logs hammer 2>/dev/null | grep -c asked) times asked," \
    "$(($(requests) - before)) answers" | tee "$TARGET/tests/guard-hammer"
  (($(docker logs hammer 2>/dev/null | grep -c asked) > ROUNDS && $(requests) == before))
}
