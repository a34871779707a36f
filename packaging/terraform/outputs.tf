output "iam_role_arn" {
  description = "ARN of the role"
  value       = try(aws_iam_role.this[0].arn, null)
}

output "iam_role_name" {
  description = "Name of the role"
  value       = try(aws_iam_role.this[0].name, null)
}

output "iam_role_unique_id" {
  description = "Stable and unique id of the role"
  value       = try(aws_iam_role.this[0].unique_id, null)
}

output "iam_instance_profile_arn" {
  description = "ARN of the instance profile"
  value       = try(aws_iam_instance_profile.this[0].arn, var.iam_instance_profile_arn)
}

output "iam_instance_profile_name" {
  description = "Name of the instance profile"
  value       = try(aws_iam_instance_profile.this[0].name, null)
}

output "bucket_policies" {
  description = "Policies of the layers' buckets, as JSON by bucket, created or not"
  value       = { for bucket, policy in local.bucket_policies : bucket => jsonencode(policy) }
}

output "launch_template_id" {
  description = "Id of the launch template"
  value       = try(aws_launch_template.this[0].id, null)
}

output "launch_template_arn" {
  description = "ARN of the launch template"
  value       = try(aws_launch_template.this[0].arn, null)
}

output "launch_template_name" {
  description = "Name of the launch template"
  value       = try(aws_launch_template.this[0].name, null)
}

output "launch_template_latest_version" {
  description = "Latest version of the launch template"
  value       = try(aws_launch_template.this[0].latest_version, null)
}

output "autoscaling_group_name" {
  description = "Name of the Auto Scaling group"
  value       = try(aws_autoscaling_group.this[0].name, null)
}

output "autoscaling_group_arn" {
  description = "ARN of the Auto Scaling group"
  value       = try(aws_autoscaling_group.this[0].arn, null)
}

output "capacity_provider_name" {
  description = "Name of the capacity provider"
  value       = try(aws_ecs_capacity_provider.this[0].name, null)
}

output "capacity_provider_arn" {
  description = "ARN of the capacity provider"
  value       = try(aws_ecs_capacity_provider.this[0].arn, null)
}

output "refresh_document_name" {
  description = "Name of the Systems Manager document"
  value       = try(aws_ssm_document.refresh[0].name, null)
}

output "refresh_association_id" {
  description = "Id of the State Manager association"
  value       = try(aws_ssm_association.refresh[0].association_id, null)
}
