provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}

# The role behind the session, where there is one.
data "aws_iam_session_context" "current" {
  arn = data.aws_caller_identity.current.arn
}

locals {
  name       = "ex-${basename(path.cwd)}"
  account_id = data.aws_caller_identity.current.account_id

  tags = {
    Example = local.name
  }
}

################################################################################
# ecs-bootstrap: every input is named
################################################################################

module "ecs_bootstrap" {
  source = "../../"

  create          = true
  name            = local.name
  use_name_prefix = true
  tags            = local.tags

  # Configuration
  config     = ["s3://${aws_s3_bucket.config.bucket}/${aws_s3_object.config.key}?owner=${local.account_id}"]
  secrets    = ["ssm://${aws_ssm_parameter.log_level.name}"]
  block_imds = true
  settings = {
    expand         = "true"
    expect_account = local.account_id
    timeout        = "5m"
  }

  # Role
  create_iam_instance_profile   = true
  iam_instance_profile_arn      = null
  iam_role_name                 = "${local.name}-host"
  iam_role_path                 = "/ecs/"
  iam_role_description          = "Container instances of ${local.name}"
  iam_role_permissions_boundary = null
  iam_role_policies = {
    AmazonSSMManagedInstanceCore = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
  }
  iam_role_tags                = { Purpose = "container-instance" }
  kms_key_arns                 = [aws_kms_key.config.arn]
  iam_role_custom_agent_policy = true
  iam_role_create_cluster      = false
  iam_role_tag_authorization   = true
  iam_role_task_execution      = false
  iam_role_allow_abandon       = true

  # Bucket policy
  create_bucket_policy      = true
  bucket_policy_reader_arns = [data.aws_iam_session_context.current.issuer_arn]

  # Launch template
  launch_template_name        = "${local.name}-host"
  launch_template_description = "Container instances of ${local.name}"
  image_id                    = "resolve:ssm:${aws_ssm_parameter.image.name}"
  instance_type               = "t3.small"
  user_data                   = null
  vpc_security_group_ids      = [aws_security_group.hosts.id]
  metadata_hop_limit          = 1
  block_device_mappings = [
    {
      device_name           = "/dev/xvda"
      kms_key_id            = null
      volume_size           = 50
      volume_type           = "gp3"
      delete_on_termination = true
    },
  ]
  enable_monitoring = true
  instance_tags     = { Purpose = "container-instance" }

  # Auto Scaling group
  create_autoscaling_group  = true
  autoscaling_group_name    = "${local.name}-hosts"
  subnet_ids                = var.subnet_ids
  min_size                  = 1
  max_size                  = 10
  desired_capacity          = null
  wait_for_capacity_timeout = "15m"
  health_check_grace_period = 0
  max_instance_lifetime     = 2592000 # 30 days
  instance_refresh = {
    min_healthy_percentage = 90
    max_healthy_percentage = 110
    instance_warmup        = 60
    auto_rollback          = false # not with an image of resolve:ssm
  }

  # Lifecycle hook
  create_lifecycle_hook            = true
  lifecycle_hook_name              = "${local.name}-prepared"
  lifecycle_hook_default_result    = "CONTINUE"
  lifecycle_hook_heartbeat_timeout = 420

  # Capacity provider
  create_capacity_provider       = true
  capacity_provider_name         = "${local.name}-hosts"
  managed_termination_protection = true
  target_capacity                = 90
  minimum_scaling_step_size      = 1
  maximum_scaling_step_size      = 5
  instance_warmup_period         = 120

  # Refresh
  create_refresh_association  = true
  refresh_name                = "${local.name}-configuration"
  refresh_schedule_expression = "rate(1 hour)"
  refresh_max_concurrency     = "10%"
  refresh_max_errors          = "5%"
}

################################################################################
# Cluster
################################################################################

resource "aws_ecs_cluster" "this" {
  name = local.name
  tags = local.tags
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = [module.ecs_bootstrap.capacity_provider_name]

  default_capacity_provider_strategy {
    capacity_provider = module.ecs_bootstrap.capacity_provider_name
    weight            = 1
  }
}

################################################################################
# Configuration in a private bucket
################################################################################

resource "aws_kms_key" "config" {
  description         = "Configuration of ${local.name}"
  enable_key_rotation = true
  tags                = local.tags
}

resource "aws_s3_bucket" "config" {
  bucket = "${local.name}-config-${local.account_id}"
  tags   = local.tags
}

resource "aws_s3_bucket_public_access_block" "config" {
  bucket = aws_s3_bucket.config.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "config" {
  bucket = aws_s3_bucket.config.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "config" {
  bucket = aws_s3_bucket.config.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "config" {
  bucket = aws_s3_bucket.config.bucket

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.config.arn
    }
  }
}

# Check it in a pull request: `ecs-bootstrap lint --whole ecs.config`.
resource "aws_s3_object" "config" {
  bucket     = aws_s3_bucket.config.bucket
  key        = "ecs.config"
  kms_key_id = aws_kms_key.config.arn

  content = <<-END
    ECS_CLUSTER=${aws_ecs_cluster.this.name}
    ECS_ENABLE_TASK_IAM_ROLE=true
    ECS_AWSVPC_BLOCK_IMDS=true
    ECS_LOGLEVEL=$${ssm:${aws_ssm_parameter.log_level.name}}
  END

  depends_on = [aws_s3_bucket_versioning.config]
}

# A value that the object names, as it can name a registry's password in Secrets Manager: `$${secret:NAME#FIELD}`.
resource "aws_ssm_parameter" "log_level" {
  name  = "/${local.name}/log-level"
  type  = "String"
  value = "warn"
  tags  = local.tags
}

################################################################################
# Image and network
################################################################################

# Hosts that start after a change of the parameter start from the new image.
resource "aws_ssm_parameter" "image" {
  name      = "/${local.name}/image"
  type      = "String"
  data_type = "aws:ec2:image"
  value     = var.image_id
  tags      = local.tags
}

# Nothing comes in: who needs a shell uses Session Manager.
resource "aws_security_group" "hosts" {
  name_prefix = "${local.name}-"
  description = "Container instances of ${local.name}"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.hosts.id
  description       = "AWS endpoints and registries"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
