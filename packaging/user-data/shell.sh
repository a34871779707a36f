#!/bin/sh
# EC2 user data for the ECS-optimized Amazon Linux: installs ecs-bootstrap, closes the interlock and prepares the host. The agent, which
# waits for user data there, starts afterwards by itself and only if this went well; starting it from here would wait for ever.
# On Debian and Ubuntu the agent does not wait for user data: bake the package into the image there.
set -eu

# Until all of this has succeeded, the agent does not start: it would join the cluster `default`. The package's own interlock follows.
interlock=/etc/systemd/system/ecs.service.d/50-ecs-bootstrap.conf
mkdir -p "${interlock%/*}"
printf '[Service]\nExecStartPre=/usr/bin/ecs-bootstrap status --check\n' >$interlock
systemctl daemon-reload

from=https://my-artifacts.s3.us-west-2.amazonaws.com
version=0.1.0
sums=0000000000000000000000000000000000000000000000000000000000000000 # sha256sum SHA256SUMS
key= # the public key of minisign, if the image has minisign: then its signature is verified, not this checksum

case $(uname -m) in
aarch64) deb=arm64 rpm=aarch64 ;;
*) deb=amd64 rpm=x86_64 ;;
esac
if command -v dpkg >/dev/null; then
    package=ecs-bootstrap_$version-1_$deb.deb install='dpkg --force-confold --install'
else
    package=ecs-bootstrap-$version-1.$rpm.rpm install='rpm --upgrade'
fi

cd "$(mktemp -d)"
for file in SHA256SUMS "$package"; do
    curl --fail --silent --show-error --location --retry 5 --remote-name "$from/$file"
done
if [ -n "$key" ] && command -v minisign >/dev/null; then
    curl --fail --silent --show-error --location --retry 5 --remote-name "$from/SHA256SUMS.minisig"
    minisign -V -q -P "$key" -m SHA256SUMS
else
    echo "$sums  SHA256SUMS" | sha256sum --check --quiet
fi
grep " $package\$" SHA256SUMS | sha256sum --check --quiet
$install "$package"

cat >/etc/ecs-bootstrap/ecs-bootstrap.toml <<'EOF'
config = ["s3://my-ecs-config/ecs.config"]
block_imds = true
EOF
rm $interlock
systemctl enable ecs-bootstrap-guard ecs-bootstrap
systemctl start ecs-bootstrap-guard ecs-bootstrap
