variable "environment_suffix" {
  description = "Ends the name of everything."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the load balancer and its targets."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Public subnets, in two zones or more."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer needs subnets in at least two zones."
  }
}

variable "certificate_arn" {
  description = "Certificate that HTTPS is served with."
  type        = string
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer."
  type        = bool
  nullable    = false
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms are sent to."
  type        = string
  nullable    = false
}

variable "target" {
  description = "The service behind it: its name and port, the request paths it is sent (`*` and `?` are wildcards), and the path that tells its health."
  type = object({
    name              = string
    port              = number
    path_patterns     = list(string)
    health_check_path = string
  })
  nullable = false

  validation {
    condition     = length(var.target.path_patterns) >= 1 && length(var.target.path_patterns) <= 5 && alltrue([for pattern in var.target.path_patterns : startswith(pattern, "/")])
    error_message = "target.path_patterns must be one to five paths, each starting with \"/\"."
  }

  validation {
    condition     = length("${var.target.name}-${var.environment_suffix}") <= 32
    error_message = "The target group's name, target.name-environment_suffix, must not be longer than 32 characters."
  }
}
