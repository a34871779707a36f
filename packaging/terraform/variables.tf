variable "create" {
  description = "Whether to create anything"
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of everything whose own name is not set below"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,36}$", var.name))
    error_message = "The name has 1 to 37 letters, digits, - and _, since IAM limits the prefix of a role's name to 38."
  }
}

variable "use_name_prefix" {
  description = "Whether the names of role, launch template and Auto Scaling group are prefixes, to which Terraform adds a suffix"
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all resources, instances and volumes. Their keys may have letters, digits and `_+=,.@:-` only, because the instance's tags are in its metadata"
  type        = map(string)
  default     = {}
}

################################################################################
# Configuration
################################################################################

variable "config" {
  description = "Layers of ecs.config, in order: `s3://BUCKET/KEY`, optionally with `?versionId=ID`, `owner=ACCOUNT`, `region=REGION` (joined by `&`); `ssm:///PATH` of Parameter Store with `?version=N` or `label=L`, `region=REGION`; `secretsmanager://NAME-OR-ARN` with `?versionId=ID` or `versionStage=S`, `region=REGION`; each with `#sha256=DIGEST`. Empty if the settings in the image name them"
  type        = list(string)

  validation {
    condition = alltrue([
      for source in var.config : anytrue([
        can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\\s%*$?#]+(\\?(versionId=[A-Za-z0-9._-]+|owner=[0-9]{12}|region=[a-z0-9-]+)(&(versionId=[A-Za-z0-9._-]+|owner=[0-9]{12}|region=[a-z0-9-]+))*)?(#sha256=[0-9A-Fa-f]{64})?$", source)),
        can(regex("^ssm://(/[A-Za-z0-9._-]+)+(\\?(version=[0-9]+|label=[A-Za-z0-9._-]+|region=[a-z0-9-]+)(&(version=[0-9]+|label=[A-Za-z0-9._-]+|region=[a-z0-9-]+))?)?(#sha256=[0-9A-Fa-f]{64})?$", source)),
        can(regex("^secretsmanager://(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]+(\\?(versionId=[A-Za-z0-9-]+|versionStage=[A-Za-z0-9/_+=.@-]+|region=[a-z0-9-]+)(&(versionId=[A-Za-z0-9-]+|versionStage=[A-Za-z0-9/_+=.@-]+|region=[a-z0-9-]+))?)?(#sha256=[0-9A-Fa-f]{64})?$", source)),
      ])
    ])
    error_message = "A layer is s3://BUCKET/KEY, without %, *, $ and blanks in the key, ssm:///PATH or secretsmanager://NAME-OR-ARN. For other sources use the settings of the image and a role from `ecs-bootstrap role print --format terraform`."
  }
}

variable "secrets" {
  description = "Parameters and secrets that placeholders in the layers name, so that the role may read them: `ssm:///PATH`, `secretsmanager://NAME-OR-ARN`, those of another region with `?region=REGION`. Placeholders need the setting `expand = true`"
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for source in var.secrets : can(regex("^(ssm://(/[A-Za-z0-9._-]+)+|secretsmanager://(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]+)(\\?region=[a-z0-9-]+)?$", source))
    ])
    error_message = "A secret is ssm:///PATH or secretsmanager://NAME-OR-ARN, without a version."
  }
}

variable "settings" {
  description = "Further settings of ecs-bootstrap, such as `{ expect_account = \"123456789012\" }`. They become instance tags, which the host reads if the image has `from_tags = true`"
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), ["config", "block_imds", "from_tags"])) == 0
    error_message = "The settings config and block_imds are variables of their own, and from_tags cannot be a tag."
  }
}

variable "block_imds" {
  description = "Whether the host keeps containers from instance metadata. Needs `ecs-bootstrap-guard.service` enabled in the image"
  type        = bool
  default     = true
}

################################################################################
# Role
################################################################################

variable "create_iam_instance_profile" {
  description = "Whether to create the role and its instance profile"
  type        = bool
  default     = true
}

variable "iam_instance_profile_arn" {
  description = "ARN of an existing instance profile, if `create_iam_instance_profile` is false"
  type        = string
  default     = null
}

variable "iam_role_name" {
  description = "Name of the role and its instance profile. Defaults to `name`"
  type        = string
  default     = null
}

variable "iam_role_path" {
  description = "Path of the role and its instance profile"
  type        = string
  default     = "/"
}

variable "iam_role_description" {
  description = "Description of the role"
  type        = string
  default     = "Amazon ECS container instances prepared by ecs-bootstrap"
}

variable "iam_role_permissions_boundary" {
  description = "ARN of the permissions boundary of the role"
  type        = string
  default     = null
}

variable "iam_role_policies" {
  description = "Further managed policies of the role, ARNs by names of your choice. Systems Manager needs AmazonSSMManagedInstanceCore, or default host management"
  type        = map(string)
  default     = {}
}

variable "iam_role_tags" {
  description = "Further tags of the role and its instance profile"
  type        = map(string)
  default     = {}
}

variable "kms_key_arns" {
  description = "ARNs of the KMS keys that encrypt layers and secrets (`role print --kms-key`)"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "A key is arn:PARTITION:kms:REGION:ACCOUNT:key/ID; IAM does not grant by alias."
  }
}

variable "iam_role_custom_agent_policy" {
  description = "Whether the role has only the actions that the ECS agent calls, in place of AmazonEC2ContainerServiceforEC2Role (`role print --custom`). The next three inputs add to it"
  type        = bool
  default     = false
}

variable "iam_role_create_cluster" {
  description = "With the custom policy: whether the agent creates its cluster (`role print --create-cluster`)"
  type        = bool
  default     = false
}

variable "iam_role_tag_authorization" {
  description = "With the custom policy: whether hosts register with tags where the account demands permission for that (`role print --tag-authorization`)"
  type        = bool
  default     = false
}

variable "iam_role_task_execution" {
  description = "With the custom policy: whether the host itself pulls from Amazon ECR and writes awslogs, for tasks without an execution role (`role print --with-task-execution`)"
  type        = bool
  default     = false
}

variable "iam_role_allow_abandon" {
  description = "Whether a host that cannot be prepared may have itself replaced (autoscaling:SetInstanceHealth, which `packaging/lifecycle` in the image calls). `create_lifecycle_hook` includes it"
  type        = bool
  default     = false
}

################################################################################
# Bucket policy
################################################################################

variable "create_bucket_policy" {
  description = "Whether to set the policy of the layers' buckets: TLS only, and only the role and `bucket_policy_reader_arns` may read the layers. Replaces an existing policy; to merge it into yours, use the output `bucket_policies`"
  type        = bool
  default     = false
}

variable "bucket_policy_reader_arns" {
  description = "ARNs, with * and ? as wildcards, of other principals that may read the layers: at least the one that uploads them with Terraform, which reads them again"
  type        = list(string)
  default     = []
}

################################################################################
# Launch template
################################################################################

variable "launch_template_name" {
  description = "Name of the launch template. Defaults to `name`"
  type        = string
  default     = null
}

variable "launch_template_description" {
  description = "Description of the launch template"
  type        = string
  default     = "Amazon ECS container instances prepared by ecs-bootstrap"
}

variable "image_id" {
  description = "Image with ecs-bootstrap in it, its units enabled and `from_tags = true` (`packaging/packer`, `packaging/image`): an id, or `resolve:ssm:PARAMETER`"
  type        = string
}

variable "instance_type" {
  description = "Type of the instances"
  type        = string
  default     = "t3.small"
}

variable "user_data" {
  description = "User data, encoded in Base64. The image needs none"
  type        = string
  default     = null
}

variable "vpc_security_group_ids" {
  description = "Security groups of the instances. EC2 uses the default of the VPC if there are none"
  type        = list(string)
  default     = []
}

variable "metadata_hop_limit" {
  description = "Hop limit of instance metadata. The agent is in the host's network and needs one hop; further hops are for containers"
  type        = number
  default     = 1

  validation {
    condition     = var.metadata_hop_limit >= 1 && var.metadata_hop_limit <= 64
    error_message = "EC2 accepts 1 to 64 hops."
  }
}

variable "block_device_mappings" {
  description = "Volumes, which are always encrypted. The default is the root volume of the ECS-optimized Amazon Linux, in the size of the image"
  type = list(object({
    device_name           = string
    kms_key_id            = optional(string)
    volume_size           = optional(number)
    volume_type           = optional(string, "gp3")
    delete_on_termination = optional(bool, true)
  }))
  default = [{ device_name = "/dev/xvda" }]
}

variable "enable_monitoring" {
  description = "Whether detailed monitoring is on"
  type        = bool
  default     = false
}

variable "instance_tags" {
  description = "Further tags of the instances"
  type        = map(string)
  default     = {}
}

################################################################################
# Auto Scaling group
################################################################################

variable "create_autoscaling_group" {
  description = "Whether to create the Auto Scaling group"
  type        = bool
  default     = true
}

variable "autoscaling_group_name" {
  description = "Name of the Auto Scaling group. Defaults to `name`"
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets in which instances are launched. They need routes to S3, STS and Amazon ECS"
  type        = list(string)
  default     = []
}

variable "min_size" {
  description = "Smallest size of the group"
  type        = number
  default     = 0
}

variable "max_size" {
  description = "Largest size of the group"
  type        = number
  default     = 1
}

variable "desired_capacity" {
  description = "Size of the group. Leave it null if a capacity provider scales the group"
  type        = number
  default     = null
}

variable "wait_for_capacity_timeout" {
  description = "How long Terraform waits for `min_size` instances in service, which takes longer than the lifecycle hook. `0` does not wait"
  type        = string
  default     = "15m"
}

variable "health_check_grace_period" {
  description = "Seconds in service before Auto Scaling acts on the health of an instance. Also delays the replacement of a host that cannot be prepared"
  type        = number
  default     = 0
}

variable "max_instance_lifetime" {
  description = "Seconds after which an instance is replaced, at least 86400"
  type        = number
  default     = null
}

variable "instance_refresh" {
  description = "How instances are replaced when the launch template changes; null does not replace them. Auto Scaling rolls back only if `image_id` is an id"
  type = object({
    min_healthy_percentage = optional(number, 90)
    max_healthy_percentage = optional(number, 110)
    instance_warmup        = optional(number)
    auto_rollback          = optional(bool, true)
  })
  default = null
}

variable "create_lifecycle_hook" {
  description = "Whether a new instance waits before it comes into service, so that a host that cannot be prepared never does. Needs `packaging/lifecycle` in the image, with the command for a lifecycle hook"
  type        = bool
  default     = false
}

variable "lifecycle_hook_name" {
  description = "Name of the lifecycle hook. Defaults to `name` with `-launching`"
  type        = string
  default     = null
}

variable "lifecycle_hook_default_result" {
  description = "What Auto Scaling does after the timeout. `packaging/lifecycle` completes the action only on hosts that failed, so ABANDON would replace good hosts too"
  type        = string
  default     = "CONTINUE"

  validation {
    condition     = contains(["CONTINUE", "ABANDON"], var.lifecycle_hook_default_result)
    error_message = "The result is CONTINUE or ABANDON."
  }
}

variable "lifecycle_hook_heartbeat_timeout" {
  description = "Seconds that an instance waits: more than the boot takes, and more than the setting `timeout` (5 minutes)"
  type        = number
  default     = 420

  validation {
    condition     = var.lifecycle_hook_heartbeat_timeout >= 30 && var.lifecycle_hook_heartbeat_timeout <= 7200
    error_message = "Auto Scaling accepts 30 to 7200 seconds."
  }
}

################################################################################
# Capacity provider
################################################################################

variable "create_capacity_provider" {
  description = "Whether to create a capacity provider of the Auto Scaling group. To use it, add it to the cluster (`aws_ecs_cluster_capacity_providers`)"
  type        = bool
  default     = true
}

variable "capacity_provider_name" {
  description = "Name of the capacity provider. Defaults to `name`"
  type        = string
  default     = null
}

variable "managed_termination_protection" {
  description = "Whether ECS keeps instances that run tasks from scale-in"
  type        = bool
  default     = true
}

variable "target_capacity" {
  description = "Target utilization of the instances, in percent"
  type        = number
  default     = 100
}

variable "minimum_scaling_step_size" {
  description = "Smallest number of instances that ECS adds at once"
  type        = number
  default     = 1
}

variable "maximum_scaling_step_size" {
  description = "Largest number of instances that ECS adds at once"
  type        = number
  default     = 10000
}

variable "instance_warmup_period" {
  description = "Seconds after which a new instance counts for scaling"
  type        = number
  default     = 300
}

################################################################################
# Refresh
################################################################################

variable "create_refresh_association" {
  description = "Whether hosts fetch their configuration again by a schedule of Systems Manager, a few at a time, which stops if they fail. Use it instead of `ecs-bootstrap-refresh.timer`"
  type        = bool
  default     = false
}

variable "refresh_name" {
  description = "Name of the Systems Manager document and association. Defaults to `name` with `-refresh`"
  type        = string
  default     = null
}

variable "refresh_schedule_expression" {
  description = "Schedule of the refresh. State Manager accepts rates from 30 minutes"
  type        = string
  default     = "rate(30 minutes)"
}

variable "refresh_max_concurrency" {
  description = "Number or percentage of hosts that are refreshed at the same time"
  type        = string
  default     = "10%"
}

variable "refresh_max_errors" {
  description = "Number or percentage of failures after which no further host is refreshed"
  type        = string
  default     = "5%"
}
