# What the scripts of this folder share: where things are, and steps that are timed, logged and counted.
# shellcheck shell=bash disable=SC2034 source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../cluster/lib.sh" # say, die, cache, builds, run, env_file, other_cluster
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top"
# One target folder for all clones: the dependencies are compiled once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# Cargo knows our own crates there by their path within the clone and by the age of their files alone, so it would take
# another clone's build for this one's: when the clone changes, all sources are made new.
if [[ $(cat "$CARGO_TARGET_DIR/clone" 2>/dev/null) != "$top" ]]; then
  mkdir -p "$CARGO_TARGET_DIR"
  find src e2e/src e2e/tests tests -name '*.rs' -exec touch -c {} + 2>/dev/null || true
  echo "$top" >"$CARGO_TARGET_DIR/clone"
fi
export CARGO_TERM_COLOR=never
operator=flink-savepoint-operator
helper_jar=$CARGO_TARGET_DIR/helper.jar
cargo_deny_version=0.20.2
cargo_deny=$builds/cargo-deny-$cargo_deny_version/cargo-deny

# load_env: the E2E_* variables of the cluster under test: of the environment, or of `e2e/cluster/up`.
load_env() {
  if ! other_cluster; then
    [[ -s $env_file ]] || die "no cluster runs: make up"
    set -a
    # shellcheck disable=SC1090
    . "$env_file"
    set +a
  fi
}

# new_logs: a new folder for this run's logs, $logs; the ten newest are kept. Only one run at a time.
new_logs() {
  lock test
  logs=$cache/logs/$(date +%Y%m%d-%H%M%S)
  mkdir -p "$logs"
  find "$cache/logs" -mindepth 1 -maxdepth 1 -type d -name '20*' | sort -r | sed 1,10d | xargs -r rm -rf
}

passed=0 failed=0 failures=()
# count NAME STATUS LOG: adds up what the log reports, in the words of cargo test or of our scripts. What reports
# nothing is one check.
count() {
  local good bad
  read -r good bad < <(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; .*/\1 \2/p; s/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$3" |
    awk '{good += $1; bad += $2} END {print NR ? good + 0 " " bad + 0 : ""}') || true
  [[ -n $good ]] || good=$(($2 == 0))
  [[ -n $bad ]] || bad=0 # what reports nothing
  (($2 == 0 || bad > 0)) || bad=1
  passed=$((passed + good)) failed=$((failed + bad))
  (($2 == 0 && bad == 0)) || failures+=("$1")
}

# watched NAME COMMAND...: runs a command and leaves its exit code in $logs/NAME.status. It is waited for at once: the number
# of a process that has ended long ago may be another's.
watched() {
  local name=$1 status=0 child
  shift
  "$@" &
  child=$!
  # shellcheck disable=SC2064
  trap "kill $child 2>/dev/null" TERM
  wait "$child" || status=$?
  echo "$status" >"$logs/$name.status"
}

declare -A begin_of
# begin NAME COMMAND...: starts a command, its output in $logs/NAME.log, for `await` later.
begin() {
  local name=$1
  shift
  begin_of[$name]=$SECONDS
  watched "$name" "$@" >"$logs/$name.log" 2>&1 </dev/null {lock_fd}>&- & # a cluster that it starts must not hold the lock
}

# await NAME: waits for what was begun and counts it. Every 30 seconds it says how far that is; of one that fails it
# shows the end of the log.
await() {
  local name=$1 log=$logs/$1.log begin=${begin_of[$1]} next=$((SECONDS + 30)) status
  while [[ ! -s $logs/$name.status ]]; do
    sleep 0.2
    if ((SECONDS >= next)); then
      next=$((SECONDS + 30))
      say "  $name: $((SECONDS - begin)) s; $(tail -n 1 "$log" | cut -c1-150)"
    fi
  done
  status=$(<"$logs/$name.status")
  count "$name" "$status" "$log"
  if ((status == 0)); then
    say "$name: $((SECONDS - begin)) s"
  else
    tail -n 40 "$log" | sed 's/^/    /'
    say "$name FAILED after $((SECONDS - begin)) s; all of it: $log"
  fi
  return "$status"
}

step() {
  begin "$@"
  await "$1"
}

# finish: the one line that sums up, and the exit code.
finish() {
  ((failed == 0)) || say "failed: ${failures[*]}; logs in $logs"
  echo "$passed passed, $failed failed"
  exit $((failed > 0))
}
