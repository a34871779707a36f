variable "region" {
  description = "Region of everything"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the hosts"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with ways to S3, STS, Amazon ECS and Systems Manager"
  type        = list(string)
}

variable "image_id" {
  description = "Image with ecs-bootstrap and packaging/lifecycle in it, its units enabled and `from_tags = true`"
  type        = string
}
