variable "package" {
  type        = string
  description = "The folder of the unpacked rollcall-aws-ARCHITECTURE.zip of a release"
}

variable "bucket" {
  type        = string
  description = "A bucket for the code and the templates, in the Region of the stacks"
}

variable "name" {
  type        = string
  default     = "rollcall"
  description = "The name of the application's stack"
}

variable "table_prefix" {
  type        = string
  default     = null
  description = "The prefix of the tables; the name of the stack unless you set it, as after a restore"
}

variable "parameters" {
  type        = map(string)
  default     = {}
  description = "Parameters of the application, such as AlarmEmail"
}

variable "data_parameters" {
  type        = map(string)
  default     = {}
  description = "Parameters of the tables, such as LostBatchesDays"
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of both stacks"
}
