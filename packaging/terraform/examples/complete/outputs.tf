output "iam_role_arn" {
  description = "ARN of the role"
  value       = module.ecs_bootstrap.iam_role_arn
}

output "iam_role_name" {
  description = "Name of the role"
  value       = module.ecs_bootstrap.iam_role_name
}

output "iam_role_unique_id" {
  description = "Stable and unique id of the role"
  value       = module.ecs_bootstrap.iam_role_unique_id
}

output "iam_instance_profile_arn" {
  description = "ARN of the instance profile"
  value       = module.ecs_bootstrap.iam_instance_profile_arn
}

output "iam_instance_profile_name" {
  description = "Name of the instance profile"
  value       = module.ecs_bootstrap.iam_instance_profile_name
}

output "bucket_policies" {
  description = "Policies of the layers' buckets, as JSON by bucket, created or not"
  value       = module.ecs_bootstrap.bucket_policies
}

output "launch_template_id" {
  description = "Id of the launch template"
  value       = module.ecs_bootstrap.launch_template_id
}

output "launch_template_arn" {
  description = "ARN of the launch template"
  value       = module.ecs_bootstrap.launch_template_arn
}

output "launch_template_name" {
  description = "Name of the launch template"
  value       = module.ecs_bootstrap.launch_template_name
}

output "launch_template_latest_version" {
  description = "Latest version of the launch template"
  value       = module.ecs_bootstrap.launch_template_latest_version
}

output "autoscaling_group_name" {
  description = "Name of the Auto Scaling group"
  value       = module.ecs_bootstrap.autoscaling_group_name
}

output "autoscaling_group_arn" {
  description = "ARN of the Auto Scaling group"
  value       = module.ecs_bootstrap.autoscaling_group_arn
}

output "capacity_provider_name" {
  description = "Name of the capacity provider"
  value       = module.ecs_bootstrap.capacity_provider_name
}

output "capacity_provider_arn" {
  description = "ARN of the capacity provider"
  value       = module.ecs_bootstrap.capacity_provider_arn
}

output "refresh_document_name" {
  description = "Name of the Systems Manager document"
  value       = module.ecs_bootstrap.refresh_document_name
}

output "refresh_association_id" {
  description = "Id of the State Manager association"
  value       = module.ecs_bootstrap.refresh_association_id
}
