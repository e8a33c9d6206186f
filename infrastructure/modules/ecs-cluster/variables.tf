variable "environment_suffix" {
  description = "Ends the name of everything."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the performance log."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which the performance log is kept."
  type        = number
  nullable    = false
}
