#!/bin/sh
# Process 1 of a node, in namespaces of its own. It gives the node a file tree in which /run, /tmp and /var are its own and everything else of
# the host is read-only, and a network without an uplink. Then it starts the supervisor and reaps orphans until the supervisor ends.
# Usage: init.sh STATE RUN CACHE PROJECT NODE_PROGRAM NODE_NAME NODE_IP SUPERVISOR CONFIG
set -eu
state=$1 run=$2 cache=$3 project=$4 node=$5 node_name=$6 node_ip=$7 supervisor=$8 config=$9
export PATH="$state/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Makes a mount and all mounts below it read-only: "remount" by itself reaches the top one only.
read_only() {
  awk -v top="$1" '$2 == top || index($2, top "/") == 1 { print $2 }' /proc/self/mounts | while read -r point; do
    # The kernel writes a space in a mount point as \040.
    mount -o remount,bind,ro "$(printf '%b' "$point")"
  done
}

mount --make-rprivate /
root=$state/root
mkdir -p "$root"
mount -t tmpfs -o mode=755 bss-root "$root"
for entry in /*; do
  target=$root$entry
  if [ -L "$entry" ]; then
    cp -P "$entry" "$target"
    continue
  fi
  [ -d "$entry" ] || continue
  mkdir "$target"
  case $entry in
    /proc | /run | /tmp | /var) ;;
    /dev | /sys) mount --rbind "$entry" "$target" ;;
    *) mount --rbind "$entry" "$target" && read_only "$target" ;;
  esac
done
chmod 1777 "$root/tmp"
mkdir -p "$root/var/lib" "$root/var/log/pods" "$root/var/tmp" "$root/.host"
ln -s /run "$root/var/run"
for folder in "$cache" "$project" "$(dirname "$node")" "$state" "$run"; do
  mkdir -p "$root$folder" 2>/dev/null || [ -d "$root$folder" ]
  mount --bind "$folder" "$root$folder"
  case $folder in
    "$state" | "$run") ;;
    *) mount -o remount,bind,ro "$root$folder" ;;
  esac
done
# The kubelet writes the logs of pods to the folder of the cluster. Agents that read them look at the usual place.
mkdir -p "$state/logs/pods"
mount --bind "$state/logs/pods" "$root/var/log/pods"
cd "$root"
pivot_root . .host
mount -t proc proc /proc
umount -l /.host
rmdir /.host

# Settings of the kernel that no namespace separates are the host's: they are read-only here. The kubelet wants some of them otherwise and does
# not start without them, so it finds files with its values in their place.
for folder in /proc/sys/*; do
  [ "$folder" = /proc/sys/net ] && continue
  mount --bind "$folder" "$folder"
  mount -o remount,bind,ro "$folder"
done
mkdir -p /run/kernel-settings
for setting in vm.overcommit_memory=1 vm.panic_on_oom=0 kernel.panic=10 kernel.panic_on_oops=1 kernel.keys.root_maxkeys=1000000 \
  kernel.keys.root_maxbytes=25000000; do
  name=${setting%=*}
  echo "${setting#*=}" >"/run/kernel-settings/$name"
  mount --bind "/run/kernel-settings/$name" "/proc/sys/$(echo "$name" | tr . /)"
done
mount --make-rshared /

hostname "$node_name"
ip link set lo up
ip link add bss-node type bridge
ip address add "$node_ip/24" dev bss-node
ip link set bss-node up
ip route add default dev bss-node
for setting in net/ipv4/ip_forward net/ipv4/conf/all/route_localnet net/bridge/bridge-nf-call-iptables; do
  echo 1 >"/proc/sys/$setting"
done
ulimit -n "$(ulimit -H -n)"

"$node" "$supervisor" "$config" &
wait $!
