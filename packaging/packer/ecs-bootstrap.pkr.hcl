# Bakes ecs-bootstrap into the ECS-optimized Amazon Linux 2023. `packer build -var from=https://… -var sha256=… ecs-bootstrap.pkr.hcl`
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.0"
    }
  }
}

variable "from" {
  type        = string
  description = "Where the release's files are, as an https address without a slash at the end."
}

variable "package" {
  type    = string
  default = "ecs-bootstrap-0.1.0-1.x86_64.rpm"
}

variable "sha256" {
  type        = string
  description = "The package's SHA-256, from SHA256SUMS."
}

source "amazon-ebs" "ecs" {
  ami_name      = "ecs-bootstrap-{{timestamp}}"
  instance_type = "t3.small"
  ssh_username  = "ec2-user"
  imds_support  = "v2.0"

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters     = { name = "al2023-ami-ecs-hvm-*-x86_64" }
  }

  metadata_options {
    http_tokens = "required"
  }
}

build {
  sources = ["source.amazon-ebs.ecs"]

  provisioner "shell" {
    inline = [
      "set -eu",
      "curl --fail --silent --show-error --location --output /tmp/${var.package} ${var.from}/${var.package}",
      "echo '${var.sha256}  /tmp/${var.package}' | sha256sum --check --quiet",
      "sudo rpm --upgrade /tmp/${var.package}",
      "echo 'from_tags = true' | sudo tee /etc/ecs-bootstrap/ecs-bootstrap.toml",
      "sudo systemctl enable ecs-bootstrap-guard ecs-bootstrap",
      "rm /tmp/${var.package}",
      # The agent of the base image has run during the build: what it remembers is not for the instances.
      "sudo systemctl stop ecs",
      "sudo rm -rf /var/lib/ecs/data /var/log/ecs",
    ]
  }
}
