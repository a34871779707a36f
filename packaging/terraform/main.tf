data "aws_partition" "current" {
  count = var.create ? 1 : 0
}

data "aws_region" "current" {
  count = var.create ? 1 : 0
}

data "aws_caller_identity" "current" {
  count = var.create ? 1 : 0
}

locals {
  partition  = try(data.aws_partition.current[0].partition, "aws")
  region     = try(data.aws_region.current[0].region, "*")
  account_id = try(data.aws_caller_identity.current[0].account_id, "*")

  create_role              = var.create && var.create_iam_instance_profile
  create_group             = var.create && var.create_autoscaling_group
  create_capacity_provider = local.create_group && var.create_capacity_provider
  create_hook              = local.create_group && var.create_lifecycle_hook
  create_refresh           = local.create_group && var.create_refresh_association
}

################################################################################
# Launch template
################################################################################

locals {
  # The host reads the settings of ecs-bootstrap from its tags in instance metadata.
  instance_tags = merge(
    var.tags,
    { Name = var.name },
    var.instance_tags,
    { for name, value in var.settings : "ecs-bootstrap:${name}" => value },
    { for sources in compact([join(" ", var.config)]) : "ecs-bootstrap:config" => sources },
    { "ecs-bootstrap:block_imds" = tostring(var.block_imds) },
  )

  launch_template_name = coalesce(var.launch_template_name, var.name)
}

resource "aws_launch_template" "this" {
  count = var.create ? 1 : 0

  name        = var.use_name_prefix ? null : local.launch_template_name
  name_prefix = var.use_name_prefix ? "${local.launch_template_name}-" : null
  description = var.launch_template_description

  image_id               = var.image_id
  instance_type          = var.instance_type
  user_data              = var.user_data
  vpc_security_group_ids = var.vpc_security_group_ids
  update_default_version = true

  iam_instance_profile {
    arn = var.create_iam_instance_profile ? aws_iam_instance_profile.this[0].arn : var.iam_instance_profile_arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = var.metadata_hop_limit
    instance_metadata_tags      = "enabled"
  }

  dynamic "block_device_mappings" {
    for_each = var.block_device_mappings

    content {
      device_name = block_device_mappings.value.device_name

      ebs {
        encrypted             = true
        kms_key_id            = block_device_mappings.value.kms_key_id
        volume_size           = block_device_mappings.value.volume_size
        volume_type           = block_device_mappings.value.volume_type
        delete_on_termination = block_device_mappings.value.delete_on_termination
      }
    }
  }

  monitoring {
    enabled = var.enable_monitoring
  }

  dynamic "tag_specifications" {
    for_each = {
      instance            = local.instance_tags
      volume              = merge(var.tags, { Name = var.name })
      "network-interface" = merge(var.tags, { Name = var.name })
    }

    content {
      resource_type = tag_specifications.key
      tags          = tag_specifications.value
    }
  }

  tags = var.tags

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = var.create_iam_instance_profile || var.iam_instance_profile_arn != null
      error_message = "Set iam_instance_profile_arn, or let the module create the role."
    }

    precondition {
      condition     = alltrue([for key in keys(local.instance_tags) : can(regex("^[0-9A-Za-z_+=,.@:-]{1,255}$", key))])
      error_message = "Tags of the instances are in instance metadata, so their keys may have letters, digits and _+=,.@:- only. EC2 does not launch instances with other keys."
    }

    precondition {
      condition     = alltrue([for value in values(local.instance_tags) : length(value) <= 256])
      error_message = "A tag has at most 256 characters. Use fewer layers or shorter keys."
    }
  }
}

################################################################################
# Auto Scaling group
################################################################################

locals {
  group_name = coalesce(var.autoscaling_group_name, var.name)

  # Managed termination protection requires it.
  protect_from_scale_in = local.create_capacity_provider && var.managed_termination_protection
}

resource "aws_autoscaling_group" "this" {
  count = local.create_group ? 1 : 0

  name        = var.use_name_prefix ? null : local.group_name
  name_prefix = var.use_name_prefix ? "${local.group_name}-" : null

  min_size                  = var.min_size
  max_size                  = var.max_size
  desired_capacity          = var.desired_capacity
  vpc_zone_identifier       = var.subnet_ids
  wait_for_capacity_timeout = var.wait_for_capacity_timeout
  max_instance_lifetime     = var.max_instance_lifetime
  protect_from_scale_in     = local.protect_from_scale_in

  # SetInstanceHealth, by which a host that cannot be prepared has itself replaced, respects the
  # grace period.
  health_check_type         = "EC2"
  health_check_grace_period = var.health_check_grace_period

  launch_template {
    id      = aws_launch_template.this[0].id
    version = aws_launch_template.this[0].latest_version
  }

  # A host that cannot be prepared completes the action with ABANDON. Other hosts do not complete
  # it, and come into service after the timeout.
  dynamic "initial_lifecycle_hook" {
    for_each = local.create_hook ? [1] : []

    content {
      name                 = coalesce(var.lifecycle_hook_name, "${var.name}-launching")
      lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
      default_result       = var.lifecycle_hook_default_result
      heartbeat_timeout    = var.lifecycle_hook_heartbeat_timeout
    }
  }

  dynamic "instance_refresh" {
    for_each = var.instance_refresh == null ? [] : [var.instance_refresh]

    content {
      strategy = "Rolling"

      preferences {
        min_healthy_percentage       = instance_refresh.value.min_healthy_percentage
        max_healthy_percentage       = instance_refresh.value.max_healthy_percentage
        instance_warmup              = instance_refresh.value.instance_warmup
        auto_rollback                = instance_refresh.value.auto_rollback
        scale_in_protected_instances = local.protect_from_scale_in ? "Refresh" : "Ignore"
      }
    }
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # ECS adds it to the group; instances that were launched before need it too.
  dynamic "tag" {
    for_each = local.create_capacity_provider ? [1] : []

    content {
      key                 = "AmazonECSManaged"
      value               = "true"
      propagate_at_launch = true
    }
  }

  # A host that starts before its role has its policies is refused, and does not retry.
  depends_on = [
    aws_iam_role_policy.this,
    aws_iam_role_policy_attachment.this,
    aws_s3_bucket_policy.this,
  ]

  lifecycle {
    create_before_destroy = true
  }
}

################################################################################
# Capacity provider
################################################################################

resource "aws_ecs_capacity_provider" "this" {
  count = local.create_capacity_provider ? 1 : 0

  name = coalesce(var.capacity_provider_name, var.name)

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this[0].arn
    managed_draining               = "ENABLED"
    managed_termination_protection = var.managed_termination_protection ? "ENABLED" : "DISABLED"

    managed_scaling {
      status                    = "ENABLED"
      target_capacity           = var.target_capacity
      minimum_scaling_step_size = var.minimum_scaling_step_size
      maximum_scaling_step_size = var.maximum_scaling_step_size
      instance_warmup_period    = var.instance_warmup_period
    }
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = !can(regex("(?i)^(aws|ecs|fargate)", coalesce(var.capacity_provider_name, var.name)))
      error_message = "ECS accepts no name of a capacity provider that begins with aws, ecs or fargate. Set capacity_provider_name."
    }
  }
}

################################################################################
# Refresh by Systems Manager, with rate control
################################################################################

locals {
  refresh_name = coalesce(var.refresh_name, "${var.name}-refresh")
}

resource "aws_ssm_document" "refresh" {
  count = local.create_refresh ? 1 : 0

  name            = local.refresh_name
  document_type   = "Command"
  document_format = "YAML"
  content         = file("${path.module}/../ssm/refresh.yaml")

  tags = var.tags
}

resource "aws_ssm_association" "refresh" {
  count = local.create_refresh ? 1 : 0

  name                = aws_ssm_document.refresh[0].name
  association_name    = local.refresh_name
  schedule_expression = var.refresh_schedule_expression
  max_concurrency     = var.refresh_max_concurrency
  max_errors          = var.refresh_max_errors
  compliance_severity = "MEDIUM"

  targets {
    key    = "tag:aws:autoscaling:groupName"
    values = [aws_autoscaling_group.this[0].name]
  }
}
