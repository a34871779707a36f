################################################################################
# The permissions that `ecs-bootstrap role print` prints
################################################################################

locals {
  # The layers, and what their placeholders name.
  sources = concat(var.config, var.secrets)

  # IAM needs these parts of s3://BUCKET/KEY?versionId=ID&owner=ACCOUNT&region=REGION#sha256=DIGEST.
  objects = [
    for source in local.sources : {
      bucket  = regex("^s3://([^/]+)/", source)[0]
      arn     = "arn:${local.partition}:s3:::${regex("^s3://([^?#]+)", source)[0]}"
      version = try(regex("[?&]versionId=([^&#]+)", source)[0], null)
      owner   = try(regex("[?&]owner=([^&#]+)", source)[0], null)
    } if startswith(source, "s3://")
  ]

  object_statements = [
    for object in local.objects : merge(
      {
        Effect   = "Allow"
        Action   = object.version == null ? "s3:GetObject" : "s3:GetObjectVersion"
        Resource = object.arn
      },
      { for owner in compact([object.owner]) : "Condition" => { StringEquals = { "s3:ResourceAccount" = owner } } },
    )
  ]

  # And of ssm:///PATH?region=REGION and secretsmanager://NAME?region=REGION; an ARN is one already. To a secret's name Secrets
  # Manager adds a hyphen and six characters.
  parameter_arns = [
    for source in local.sources :
    "arn:${local.partition}:ssm:${try(regex("[?&]region=([^&#]+)", source)[0], local.region)}:${local.account_id}:parameter${regex("^ssm://([^?#]+)", source)[0]}"
    if startswith(source, "ssm://")
  ]

  secret_arns = [
    for source in local.sources : try(
      regex("^secretsmanager://(arn:[^?#]+)", source)[0],
      "arn:${local.partition}:secretsmanager:${try(regex("[?&]region=([^&#]+)", source)[0], local.region)}:${local.account_id}:secret:${regex("^secretsmanager://([^?#]+)", source)[0]}-??????",
    )
    if startswith(source, "secretsmanager://")
  ]

  secret_actions = {
    "ssm:GetParameter"              = local.parameter_arns
    "secretsmanager:GetSecretValue" = local.secret_arns
  }

  secret_statements = [
    for action, arns in local.secret_actions : {
      Effect   = "Allow"
      Action   = action
      Resource = distinct(arns)
    } if length(arns) > 0
  ]

  # Only the services that keep the sources may use the key for the role. The value of kms:ViaService is documented for two
  # partitions; in the others one statement is for all services.
  key_services = concat(
    length(local.objects) > 0 || length(local.secret_statements) == 0 ? ["s3"] : [],
    length(local.parameter_arns) > 0 ? ["ssm"] : [],
    length(local.secret_arns) > 0 ? ["secretsmanager"] : [],
  )

  key_statements = [
    for pair in setproduct(var.kms_key_arns, local.key_services) : merge(
      {
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = pair[0]
      },
      {
        for region in regexall("^arn:aws(?:-us-gov)?:kms:([^:]+):", pair[0]) :
        "Condition" => { StringEquals = { "kms:ViaService" = "${pair[1]}.${region[0]}.amazonaws.com" } }
      },
    )
    if can(regex("^arn:aws(?:-us-gov)?:", pair[0])) || pair[1] == local.key_services[0]
  ]

  config_statements = concat(local.object_statements, local.secret_statements, local.key_statements)

  # What the ECS agent calls, in place of AWS's managed policy.
  agent_actions = concat(
    var.iam_role_create_cluster ? ["ecs:CreateCluster"] : [],
    ["ecs:RegisterContainerInstance"],
    var.iam_role_tag_authorization ? ["ec2:DescribeTags"] : [],
    [
      "ecs:DiscoverPollEndpoint",
      "ecs:Poll",
      "ecs:StartTelemetrySession",
      "ecs:SubmitAttachmentStateChanges",
      "ecs:SubmitContainerStateChange",
      "ecs:SubmitTaskStateChange",
      "ecs:UpdateContainerInstancesState",
      "ecs:ListTagsForResource",
    ],
    var.iam_role_task_execution ? [
      "ecr:GetAuthorizationToken",
      "ecr:BatchCheckLayerAvailability",
      "ecr:GetDownloadUrlForLayer",
      "ecr:BatchGetImage",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ] : [],
  )

  agent_statements = concat(
    [
      {
        Effect   = "Allow"
        Action   = local.agent_actions
        Resource = "*"
      },
    ],
    [
      for action in var.iam_role_tag_authorization ? ["ecs:TagResource"] : [] : {
        Effect    = "Allow"
        Action    = action
        Resource  = "*"
        Condition = { StringEquals = { "ecs:CreateAction" = "RegisterContainerInstance" } }
      }
    ],
  )

  # What packaging/lifecycle calls on a host that cannot be prepared.
  abandon_actions = concat(
    var.iam_role_allow_abandon || var.create_lifecycle_hook ? ["autoscaling:SetInstanceHealth"] : [],
    var.create_lifecycle_hook ? ["autoscaling:CompleteLifecycleAction"] : [],
  )

  abandon_statements = [
    {
      Effect   = "Allow"
      Action   = local.abandon_actions
      Resource = "arn:${local.partition}:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/${local.group_name}${var.use_name_prefix ? "-*" : ""}"
    },
  ]

  trust_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "ec2.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
    ]
  }

  agent_policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"

  managed_policies = merge(
    var.iam_role_custom_agent_policy ? {} : { AmazonEC2ContainerServiceforEC2Role = local.agent_policy_arn },
    var.iam_role_policies,
  )

  inline_policies = merge(
    { for name in var.iam_role_custom_agent_policy ? ["ecs-bootstrap-agent"] : [] : name => local.agent_statements },
    { for name in length(local.config_statements) > 0 ? ["ecs-bootstrap-config"] : [] : name => local.config_statements },
    { for name in length(local.abandon_actions) > 0 ? ["ecs-bootstrap-abandon"] : [] : name => local.abandon_statements },
  )

  role_name = coalesce(var.iam_role_name, var.name)
}

resource "aws_iam_role" "this" {
  count = local.create_role ? 1 : 0

  name        = var.use_name_prefix ? null : local.role_name
  name_prefix = var.use_name_prefix ? "${local.role_name}-" : null
  path        = var.iam_role_path
  description = var.iam_role_description

  assume_role_policy    = jsonencode(local.trust_policy)
  permissions_boundary  = var.iam_role_permissions_boundary
  force_detach_policies = true

  tags = merge(var.tags, var.iam_role_tags)
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = { for name, arn in local.managed_policies : name => arn if local.create_role }

  role       = aws_iam_role.this[0].name
  policy_arn = each.value
}

resource "aws_iam_role_policy" "this" {
  for_each = { for name, statements in local.inline_policies : name => statements if local.create_role }

  name   = each.key
  role   = aws_iam_role.this[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_instance_profile" "this" {
  count = local.create_role ? 1 : 0

  name = aws_iam_role.this[0].name
  path = var.iam_role_path
  role = aws_iam_role.this[0].name

  tags = merge(var.tags, var.iam_role_tags)
}

################################################################################
# Bucket policy: TLS only, and only the role and the named readers may read a layer
################################################################################

locals {
  bucket_readers = concat(aws_iam_role.this[*].arn, var.bucket_policy_reader_arns)

  bucket_policies = {
    for bucket in distinct(local.objects[*].bucket) : bucket => {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource = [
            "arn:${local.partition}:s3:::${bucket}",
            "arn:${local.partition}:s3:::${bucket}/*",
          ]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "ReadersOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource  = distinct([for object in local.objects : object.arn if object.bucket == bucket])
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local.bucket_readers } }
        },
      ]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = { for bucket, policy in local.bucket_policies : bucket => policy if var.create && var.create_bucket_policy }

  bucket = each.key
  policy = jsonencode(each.value)

  lifecycle {
    precondition {
      condition     = length(local.bucket_readers) > 0
      error_message = "The bucket policy would deny the configuration to every principal. Name the role of the hosts in bucket_policy_reader_arns."
    }
  }
}
