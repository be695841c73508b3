# Settings and functions that the scripts of this folder source. Everything of the cluster lies in
# one fixed folder of the user's cache, so that every clone of the project finds the same cluster.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/flink-savepoint-operator
builds=$cache/build # what was built, by name and hash of its inputs
run=$cache/cluster  # all state of the cluster: certificates, etcd, images, buckets, logs

kube_version=1.35.4
versitygw_version=v1.8.0
node=node
bridge=fso0        # our own name: it marks the cluster's traces on the machine
node_ip=10.244.0.1 # address of the bridge: node, apiserver, DNS and S3 in one
pod_net=10.244.0.0/16
service_net=10.96.0.0/16
s3_port=7070
s3_bucket=flink
network=fso-e2e # name of the CNI network
sock=$run/containerd.sock
env_file=$run/env
components=(containerd etcd apiserver controller-manager scheduler kubelet proxy dns versitygw)

say() { printf '%4ds %s\n' "$SECONDS" "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Unix sockets below $run must stay under 108 characters; paths go unquoted into config files.
[[ $run =~ ^/[A-Za-z0-9._/-]+$ ]] || die "the cache folder $cache has characters other than A-Z a-z 0-9 . _ - /: set XDG_CACHE_HOME to another"
((${#run} <= 70)) || die "the path $run is longer than 70 characters, too long for sockets: set XDG_CACHE_HOME to a shorter one"

# other_cluster: true when E2E_KUBECONFIG names a cluster that is not this one.
other_cluster() {
  [[ -n ${E2E_KUBECONFIG-} && $(realpath -m "$E2E_KUBECONFIG") != $(realpath -m "$run/admin.kubeconfig") ]]
}

need_root() { [[ $(id -u) == 0 ]] || die "must run as root: it makes network interfaces, mounts and containers"; }

# lock NAME: waits until no other script holds the lock; it is held until this script ends, which may ask for it once more.
# Its descriptor is $lock_fd: what is started in the background must not inherit it.
lock() {
  [[ " ${locks-} " != *" $1 "* ]] || return 0
  mkdir -p "$cache"
  exec {lock_fd}>>"$cache/$1.lock"
  export lock_fd
  locks+=" $1"
  flock -n "$lock_fd" && return
  say "waiting: another script holds $cache/$1.lock"
  flock -w 1800 "$lock_fd" || die "gave up after 30 minutes: $cache/$1.lock is still held"
}

# build_hash NAME: a hash of all that the build of NAME is made from.
build_flags="-s -w -X k8s.io/component-base/version.gitVersion=v$kube_version"
build_flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${kube_version:2:2}"
build_hash() {
  case $1 in
    kube) (echo "$build_flags" && cd "$here/kube" && cat go.mod go.sum main.go pause/main.go) ;;
    versitygw) echo "$versitygw_version" ;;
  esac | sha256sum | cut -c1-16
}

# binary NAME: the path of kube, helm, pause or versitygw, which `build` makes.
binary() {
  local build=kube
  [[ $1 != versitygw ]] || build=versitygw
  echo "$builds/$build-$(build_hash $build)/$1"
}
kube=$(binary kube)

kubectl() { KUBECONFIG=$run/admin.kubeconfig "$kube" kubectl "$@"; }
ctr() { command ctr --connect-timeout 2s --address "$sock" --namespace k8s.io "$@"; }

# settings: a hash of what decides how the cluster is started.
settings() {
  {
    echo "$node $bridge $node_ip $pod_net $service_net $s3_port $s3_bucket $network ${components[*]}"
    cat "$here/start" "$here/audit-policy.yaml"
    build_hash kube
    build_hash versitygw
  } | sha256sum | cut -c1-16
}

# processes: "PID NAME" of each process of this cluster, found by its command line alone: there are
# no files with process ids that could be stale. NAME is a component, `containerd-shim-runc-v2` or
# the name of a client. A zombie has no command line, so it is gone.
processes() {
  local file name argv
  # shellcheck disable=SC2013
  for file in $(grep -lsF -- "$run/" /proc/[0-9]*/cmdline); do
    argv=()
    mapfile -d '' argv 2>/dev/null <"$file" || continue
    ((${#argv[@]})) || continue
    name=${argv[0]##*/}
    [[ $name != kube ]] || name=${argv[1]-}
    case " ${components[*]} containerd-shim-runc-v2 stop-pods " in
      *" $name "*) file=${file#/proc/} && echo "${file%/cmdline} $name" ;;
    esac
  done
}
pids() { processes | awk -v name="$1" '$2 == name {print $1}'; }
runs() { [[ -n $(pids "$1") ]]; }

# end NAME...: ends components side by side, after 15 seconds by SIGKILL, and waits until they are gone.
# end_now NAME...: the same by SIGKILL from the start.
end() { end_within 15 "$@"; }
end_now() { end_within 0 "$@"; }
end_within() {
  local name ids deadline=$((SECONDS + $1)) signal=TERM
  shift
  while
    ids=$(for name in "$@"; do pids "$name"; done)
    [[ -n $ids ]]
  do
    ((SECONDS < deadline)) || signal=KILL
    ((SECONDS < deadline + 15)) || die "process $ids does not end: $(processes | tr '\n' ' ')"
    # shellcheck disable=SC2086
    [[ -z $signal ]] || kill -s "$signal" $ids 2>/dev/null || true
    [[ $signal == KILL ]] || signal=
    sleep 0.05
  done
}

# container_pids: processes whose root file system is one of this cluster's containers.
container_pids() {
  { grep -lsE -- " / / .* - overlay .*upperdir=$run/" /proc/[0-9]*/mountinfo || true; } | cut -d/ -f3
}
mounts() { awk -v dir="$run/" 'index($2, dir) == 1 {print $2}' /proc/self/mounts; }
# another_folder_runs: true while a cluster of another cache folder (of another user, say) runs: then the bridge and
# kube-proxy's tables are not ours. Sets $another to its command line.
another_folder_runs() {
  local file
  while read -r file; do
    grep -qsF -- "$run/" "$file" && continue
    another=$(tr '\0' ' ' <"$file" 2>/dev/null) || continue
    [[ -z $another ]] || return 0
  done < <(grep -lsE -- '/flink-savepoint-operator/cluster/(kubelet|proxy)\.yaml' /proc/[0-9]*/cmdline)
  return 1
}
links() { # the bridge and the ends of the pods' links on it
  ! another_folder_runs || return 0
  ip -o link show master "$bridge" 2>/dev/null | sed -nE 's/^[0-9]+: ([^:@]+).*/\1/p' || true
  ! ip link show "$bridge" >/dev/null 2>&1 || echo "$bridge"
}
# kube-proxy's tables, if they are this cluster's.
nft_tables() {
  local family
  ! another_folder_runs || return 0
  for family in ip ip6; do
    nft list table $family kube-proxy >/dev/null 2>&1 || continue
    if [[ -n $(links) ]] || nft list table ip kube-proxy 2>/dev/null | grep -qF "$node_ip"; then echo "$family"; fi
  done
}
# left_behind: what is still there of a cluster that should be stopped, one thing a line.
left_behind() {
  local id
  processes | sed 's/^/process /'
  for id in $(container_pids); do echo "process $id of a container"; done
  mounts | sed 's/^/mount /'
  links | sed 's/^/link /'
  nft_tables | sed 's/^/nft table kube-proxy /'
  find /var/log/containers -lname "$run/*" 2>/dev/null | sed 's/^/log link /' || true
  find /var/lib/cni/results -name "$network-*" 2>/dev/null | sed 's/^/CNI result /' || true
}

# stop_all: stops what runs and takes all traces off the machine, however broken the cluster is.
# The state in $run stays, without that of containers: their processes are gone.
stop_all() {
  local path id
  end kubelet dns proxy scheduler controller-manager stop-pods
  if runs containerd && [[ -x $kube ]]; then # the orderly way: it takes networks and mounts down too
    timeout 60 "$kube" stop-pods "unix://$sock" >>"$run/logs/stop-pods.log" 2>&1 || say "some pods did not stop in an orderly way: see $run/logs/stop-pods.log"
  fi
  runs etcd || end_now apiserver # which does not end in an orderly way without etcd
  end containerd apiserver versitygw
  end etcd
  sweep
}

# sweep: removes what dead components left.
sweep() {
  local path id deadline=$((SECONDS + 20))
  while
    id="$(pids containerd-shim-runc-v2) $(container_pids)"
    [[ $id =~ [0-9] ]]
  do
    ((SECONDS < deadline)) || die "process $id of a container does not end"
    # shellcheck disable=SC2086
    kill -KILL $id 2>/dev/null || true
    sleep 0.05
  done
  for path in "$run"/containerd-state/io.containerd.runtime.v2.task/k8s.io/*/address; do
    [[ ! -s $path ]] || rm -f "$(sed 's|^unix://||' "$path")"
  done
  for _ in 1 2 3; do # a mount may cover another one of the same name
    mounts | tac | while read -r path; do umount "$path" 2>/dev/null || umount -l "$path"; done
    [[ -n $(mounts) ]] || break
  done
  [[ -z $(mounts) ]] || die "cannot unmount $(mounts | tr '\n' ' ')"
  rm -rf --one-file-system "$run/containerd-state" "$run/runc" "$run/cni/leases"
  for path in $(nft_tables); do nft delete table "$path" kube-proxy; done
  for path in $(links); do ip link delete "$path" 2>/dev/null || true; done
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
  find /var/log/containers -lname "$run/*" -delete 2>/dev/null || true
  find /var/lib/cni/results -name "$network-*" -delete 2>/dev/null || true
}
