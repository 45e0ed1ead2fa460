# Rollcall from the package of a release: uploads the code and the templates, then the stack of the tables and the stack of
# the application. The roles, alarms and functions are those of the templates; nothing is described twice.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  # Another package has other keys, so that both stacks see a change.
  files = {
    code        = "bootstrap.zip"
    application = "template-s3.yaml"
    data        = "data.yaml"
  }
  keys   = { for name, file in local.files : name => "rollcall/${filesha256("${var.package}/${file}")}/${file}" }
  bucket = "https://${data.aws_s3_bucket.uploads.bucket_regional_domain_name}"
  prefix = coalesce(var.table_prefix, var.name)
}

data "aws_s3_bucket" "uploads" {
  bucket = var.bucket
}

resource "aws_s3_object" "upload" {
  for_each = local.files

  bucket = var.bucket
  key    = local.keys[each.key]
  source = "${var.package}/${each.value}"
}

# The tables. They are retained: destroying the stack deletes no data.
resource "aws_cloudformation_stack" "data" {
  depends_on = [aws_s3_object.upload]

  name         = "${local.prefix}-data"
  template_url = "${local.bucket}/${local.keys.data}"
  parameters   = merge(var.data_parameters, { TablePrefix = local.prefix })
  tags         = var.tags
}

resource "aws_cloudformation_stack" "application" {
  depends_on = [aws_cloudformation_stack.data]

  name         = var.name
  template_url = "${local.bucket}/${local.keys.application}"
  # The roles of the functions, and the transform of SAM.
  capabilities       = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  timeout_in_minutes = 60
  parameters = merge(var.parameters, {
    TablePrefix = local.prefix
    CodeBucket  = var.bucket
    CodeKey     = local.keys.code
  })
  tags = var.tags
}
