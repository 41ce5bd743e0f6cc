#!/usr/bin/env bash
# Unpacks a Vulkan driver that runs on the CPU (Mesa's lavapipe) into .cache/lavapipe, for the kernel tests on Dawn.
# Debian 12's own lavapipe is too old for Dawn, so this takes the one from backports, from the very mirror the
# system is set up with, without installing it. Prints the folder; `. <folder>/env` points a
# program at the driver.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/.cache/lavapipe
if [ ! -f "$out/env" ]; then
  work=$root/.cache/lavapipe.part
  rm -rf "$work"; mkdir -p "$work"/{lists/partial,cache/archives/partial}
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Created-By: Packages' | head -n 1)
  [ -n "$mirror" ] || { echo "lavapipe.sh: no Debian 12 mirror is configured; run apt-get update first" >&2; exit 1; }
  for suite in bookworm bookworm-updates bookworm-backports; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done > "$work/sources.list"
  apt=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
       -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" -qq update >&2
  # --download-only fetches just what this system lacks
  apt-get "${apt[@]}" -qq -t bookworm-backports install --yes --no-install-recommends --download-only \
    mesa-vulkan-drivers >&2
  mkdir "$work/root"
  for deb in "$work"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  rm -rf "$work"/{lists,cache,sources.list}
  rm -rf "$out"; mv "$work" "$out"
  library=$(cd "$out/root" && find . -name libvulkan_lvp.so | head -n 1)
  libraries=$out/root/${library%/*}
  printf '{"ICD": {"api_version": "1.4.305", "library_path": "%s"}, "file_format_version": "1.0.0"}\n' \
    "$out/root/$library" > "$out/lvp_icd.json"
  cat > "$out/env" <<END
export VK_ICD_FILENAMES='$out/lvp_icd.json' LD_LIBRARY_PATH='$libraries' XDG_RUNTIME_DIR=/tmp
END
fi
echo "$out"
