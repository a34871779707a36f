# shellcheck shell=bash
# Reboots, restarts under load, and a daemon that keeps its containers.

group_b() {
  lab_up || { echo "not ok the lab starts"; return; }
  check "T6 a reboot with the guard before Docker" boots_guarded
  check "T22 a container that hammers metadata over a reboot gets nothing through" t22
  check "a container that hammers metadata over ten Docker restarts gets nothing through" ten_restarts
  check "T21 no guard, no Docker: docker.service wants the unit, starts after it and asks whether it is active" t21
  check "T24 a container that outlives its daemon stays blocked" t24
}

boots_guarded() { guard install >/dev/null && lab_reboot guard install >/dev/null && is_guarded; }

hammer() {
  docker run -d --init --restart always --name hammer --network bridge tiny \
    sh -c "while :; do printf 'GET / HTTP/1.0\r\n\r\n' | timeout 1 nc -w 1 $V4 80; echo asked; done" >/dev/null
}

# A hammer that reaches nothing would prove nothing: without the guard its requests must arrive.
hammer_arrives() { guard remove >/dev/null; wait_for "the hammer" eval '(($(requests) > 3))'; guard install >/dev/null; hammer_goes_on; }

# It has asked three times more from now on.
hammer_goes_on() {
  local before
  before=$(hammer_asked)
  wait_for "three more requests" eval "((\$(hammer_asked) >= $before + 3))"
}

hammer_asked() { docker logs hammer 2>/dev/null | grep -c asked; }

t22() {
  local before
  hammer && hammer_arrives || return
  before=$(requests)
  lab_reboot guard install >/dev/null && wait_for hammer running hammer && hammer_goes_on || return
  (($(requests) == before)) || { echo "$(($(requests) - before)) requests got through"; return 1; }
}

ten_restarts() {
  local before
  before=$(requests)
  for _ in {1..10}; do dockerd_restart || return; done
  wait_for hammer running hammer && hammer_goes_on || return
  docker rm -f hammer >/dev/null
  (($(requests) == before)) || { echo "$(($(requests) - before)) requests got through"; return 1; }
}

t21() {
  local unit=$HERE/../../systemd/ecs-bootstrap-guard.service condition=$HERE/../../systemd/docker-start-condition.conf
  grep -q '^WantedBy=.*docker.service' "$unit" && grep -q '^ExecStartPre=.*is-active ecs-bootstrap-guard' "$condition" && grep -q '^Before=.*docker.service' "$unit" || { echo "the unit does not declare it"; return 1; }
  lab_reboot guard_without_capability >/dev/null 2>&1 && { echo "Docker was started without the guard"; return 1; }
  lab_reboot guard install >/dev/null && is_guarded
}

guard_without_capability() { host setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$BIN" --root "$LAB/root" guard install; }

t24() {
  DOCKERD_OPTIONS=(--live-restore)
  dockerd_restart && lab_containers && dockerd_restart && is_guarded
}
