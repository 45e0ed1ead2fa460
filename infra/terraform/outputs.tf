output "base_url" {
  value       = aws_cloudformation_stack.application.outputs["BaseUrl"]
  description = "The Tenant URL of a tenant is this, /, its name, and /scim/v2"
}

output "outputs" {
  value       = aws_cloudformation_stack.application.outputs
  description = "All outputs of the application's stack"
}
