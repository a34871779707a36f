# shellcheck shell=bash
# Hundreds of rounds, for tests/guard/long.

ROUNDS=${ROUNDS:-200}

group_x() {
  lab_bare || { echo "not ok the lab starts"; return; }
  check "$ROUNDS rounds of install beside remove end in order" beside remove
  check "$ROUNDS rounds of install beside install --interface end in order" beside "install --interface docker0"
}

group_y() {
  lab_up || { echo "not ok the lab starts"; return; }
  check "a container that never stops asking gets nothing over $ROUNDS installs, removals of one guard and restarts of Docker" never_answered
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

# Restarts of Docker are one in ten of the rounds.
never_answered() {
  local before round
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
    ((round % 10)) || dockerd_restart || return
    ((round % 10)) || wait_for "the hammer" running hammer || return
  done
  echo "$(docker logs hammer 2>/dev/null | grep -c asked) times asked, $(($(requests) - before)) answers" | tee "$TARGET/tests/guard-hammer"
  (($(docker logs hammer 2>/dev/null | grep -c asked) > ROUNDS && $(requests) == before))
}
