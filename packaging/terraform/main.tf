# A launch template for an image that has ecs-bootstrap in it: no user data, the settings are instance tags.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "image_id" {
  type        = string
  description = "An image with ecs-bootstrap, enabled, and from_tags = true."
}

variable "instance_type" {
  type    = string
  default = "t3.small"
}

variable "instance_profile_arn" {
  type        = string
  description = "An instance profile whose role may read the object (ecs-bootstrap role print)."
}

variable "config" {
  type        = string
  description = "Where ecs.config is."
  default     = "s3://my-ecs-config/ecs.config"
}

resource "aws_launch_template" "ecs" {
  name_prefix   = "ecs-bootstrap-"
  image_id      = var.image_id
  instance_type = var.instance_type

  iam_instance_profile {
    arn = var.instance_profile_arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  tag_specifications {
    resource_type = "instance"
    tags = {
      "ecs-bootstrap:config"     = var.config
      "ecs-bootstrap:block_imds" = "true"
    }
  }
}

output "launch_template_id" {
  value = aws_launch_template.ecs.id
}
