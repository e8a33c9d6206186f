variable "environment_suffix" {
  description = "Ends the name of everything."
  type        = string
  nullable    = false
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC, between /16 and /19."
  type        = string
  nullable    = false

  validation {
    # Smaller than /19, and the public subnets are too small for a load balancer (/27).
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 19, false)
    error_message = "vpc_cidr must be an IPv4 range between /16 and /19, e.g. \"10.0.0.0/16\"."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the flow log."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which the flow log is kept."
  type        = number
  nullable    = false
}
