#!/bin/bash
# A stand-in for AWS's ecs-anywhere-install.sh, which installs and starts in this order and writes these lines. What it would install is
# in /opt/ecs-anywhere.
set -e
start=true cluster=default
echo "$*" >>/root/aws-script-arguments
while [[ $# -gt 0 ]]; do
  case $1 in
  --no-start) start=false && shift ;;
  --region) region=$2 && shift 2 ;;
  --cluster) cluster=$2 && shift 2 ;;
  --activation-id | --activation-code | --docker-install-source | --ip-compatibility) [[ -n $2 ]] && shift 2 ;;
  *) echo "invalid option: [$1]" && exit 1 ;;
  esac
done
echo "$(date +%s) $start" >>/root/aws-script-ran

registration=/var/lib/amazon/ssm/Vault/Store/RegistrationKey
install /opt/ecs-anywhere/amazon-ssm-agent /usr/bin/amazon-ssm-agent
install -m 644 /opt/ecs-anywhere/amazon-ssm-agent.service /etc/systemd/system/
systemctl daemon-reload
if [[ ! -e $registration ]]; then
  mkdir -p ${registration%/*}
  echo "{\"instanceID\":\"mi-0123456789abcdef0\",\"region\":\"$region\"}" >$registration
fi
systemctl enable amazon-ssm-agent
if $start; then systemctl start amazon-ssm-agent; fi

if [[ -x /usr/libexec/amazon-ecs-init ]]; then
  echo "ecs agent is already installed"
  exit
fi
mkdir -p /etc/ecs /var/lib/ecs
install -D /opt/ecs-anywhere/amazon-ecs-init /usr/libexec/amazon-ecs-init
install -m 644 /opt/ecs-anywhere/ecs.service /etc/systemd/system/
systemctl daemon-reload
touch /etc/ecs/ecs.config /var/lib/ecs/ecs.config
echo "ECS_CLUSTER=$cluster" >>/etc/ecs/ecs.config
echo "AWS_DEFAULT_REGION=$region" >>/var/lib/ecs/ecs.config
echo "ECS_EXTERNAL=true" >>/var/lib/ecs/ecs.config
systemctl enable ecs
if $start; then systemctl start ecs; fi
