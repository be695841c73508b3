# Sourced by the scripts that build images: a cache keyed by content, layers, docker archives. No daemon, no root.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit
umask 022

builds=${XDG_CACHE_HOME:-$HOME/.cache}/flink-savepoint-operator/build
E2E_REGISTRY=${E2E_REGISTRY:-localhost}
mkdir -p "$builds"

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# need COMMAND=DEBIAN_PACKAGE...: names everything that is missing at once.
need() {
  local pair missing=()
  for pair; do command -v "${pair%%=*}" > /dev/null || missing+=("${pair%%=*} (apt-get install ${pair#*=})"); done
  ((${#missing[@]} == 0)) || die "missing: $(printf '%s; ' "${missing[@]}")"
}

# The home of a JDK 17 that has jmods (jlink makes the image's Java from them).
jdk17() {
  local home jlink
  jlink=$(command -v jlink || true)
  for home in "${JAVA_HOME:-}" "${jlink:+$(readlink -f "$jlink" | sed 's|/bin/jlink$||')}" /usr/lib/jvm/*17*; do
    if [ -x "$home/bin/jlink" ] && [ -e "$home/jmods/java.base.jmod" ] && grep -q '^JAVA_VERSION="17\.' "$home/release"; then
      echo "$home"
      return
    fi
  done
  die "missing: a JDK 17 with jmods (apt-get install openjdk-17-jdk-headless, or set JAVA_HOME)"
}

# cached NAME KEY FUNCTION [ARGS...]: prints the folder NAME-<hash of KEY>, after FUNCTION filled it once.
# FUNCTION gets an empty folder and ARGS; the folder is renamed into place when it is complete.
cached() (
  name=$1 key=$2 make=$3
  shift 3
  dir=$builds/$name-$(sha256sum <<< "$key$(declare -f "$make" layer archive)" | cut -c1-16)
  if [ ! -d "$dir" ]; then
    exec 8> "$builds/$name.lock"
    flock 8
    if [ ! -d "$dir" ]; then
      say "building $name"
      aside=$(mktemp -d "$builds/$name-XXXXXX.tmp")
      trap 'rm -rf "$aside"' EXIT
      chmod 755 "$aside"
      "$make" "$aside" "$@" >&2 8>&-
      mv -T "$aside" "$dir"
      # Others of the name that nothing used for a day, by another clone for instance, go.
      find "$builds" -maxdepth 1 -regextype egrep -regex ".*/$name-[0-9a-f]{16}" -mmin +1440 -exec rm -rf {} +
    fi
  fi
  touch "$dir"
  echo "$dir"
)

# hash_files FILE...: one hash over the contents, for use in a KEY.
hash_files() { sha256sum -- "$@" | cut -d' ' -f1 | sha256sum | cut -d' ' -f1; }

# maven ARGS...: one Maven at a time, because its local repository is not safe for several writers.
# Its output without the colour codes that it prints even to a file.
maven() (
  exec 9> "$builds/maven.lock"
  flock 9
  mvn -B -q "$@" 2>&1 9>&- | sed 's/\x1b\[[0-9;]*m//g'
)

# layer FOLDER ROOT OWNER MEMBER...: FOLDER/layer.tar of ROOT's MEMBERs and FOLDER/diff-id. Same content, same bytes.
layer() {
  local folder=$1 root=$2 owner=$3
  shift 3
  tar --format=gnu --sort=name --mtime=@0 --owner="$owner" --group="$owner" --numeric-owner -C "$root" -cf "$folder/layer.tar" "$@"
  sha256sum "$folder/layer.tar" | cut -d' ' -f1 > "$folder/diff-id"
}

# archive OUT NAME CONFIG FOLDER...: a docker archive of the layers in the FOLDERs, lowest first. CONFIG is the
# "config" object of the image (User, Entrypoint, ...) as JSON.
archive() (
  out=$1 name=$2 config=$3
  shift 3
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  ids='' files=''
  for folder; do
    id=$(< "$folder/diff-id")
    ln -s "$folder/layer.tar" "$stage/$id.tar"
    ids+="${ids:+,}\"sha256:$id\"" files+="${files:+,}\"$id.tar\""
  done
  printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}\n' \
    "$(architecture)" "$config" "$ids" > "$stage/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":[%s]}]\n' "$name" "$files" > "$stage/manifest.json"
  # shellcheck disable=SC2046 # none of the names has a blank
  tar --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --dereference -C "$stage" -cf "$out" manifest.json config.json $(cd "$stage" && ls -d -- *.tar)
)

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}
