# Where

variable "environment_suffix" {
  description = "Ends the name of everything in the stack, so that several environments fit into one account."
  type        = string
  nullable    = false

  validation {
    # The longest name is a target group's, of which AWS takes 32 characters.
    condition     = can(regex("^[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?$", var.environment_suffix))
    error_message = "environment_suffix must be 1 to 16 lower-case letters, digits and inner hyphens, e.g. \"prod\"."
  }
}

variable "aws_region" {
  description = "Region of the whole stack."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(?:-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region must be the name of an AWS region, e.g. \"us-east-1\"."
  }
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC, between /16 and /19."
  type        = string
  default     = "10.0.0.0/16"
  nullable    = false
}

variable "aws_max_retries" {
  description = "How often the provider tries a failed AWS call again; null is its own default, 25."
  type        = number
  default     = null
}

# Who

variable "environment" {
  description = "Tag Environment on everything."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = trimspace(var.environment) != ""
    error_message = "environment must not be blank: costs and alarms are sorted by it."
  }
}

variable "team" {
  description = "Tag Team on everything."
  type        = string
  default     = "payments"
  nullable    = false

  validation {
    condition     = trimspace(var.team) != ""
    error_message = "team must not be blank: alarms are routed by it."
  }
}

variable "cost_center" {
  description = "Tag CostCenter on everything."
  type        = string
  default     = "engineering"
  nullable    = false

  validation {
    condition     = trimspace(var.cost_center) != ""
    error_message = "cost_center must not be blank: the bill is split by it."
  }
}

# The way in

variable "domain_name" {
  description = "Public hosted zone of this account in which the API gets its name, api-{suffix}.{domain_name}, and a certificate that renews itself. Null where DNS is managed elsewhere."
  type        = string
  default     = null

  validation {
    condition     = (var.domain_name == null) != (var.certificate_arn == null)
    error_message = "Give either domain_name, to have a certificate issued and validated, or certificate_arn, to bring one."
  }
}

variable "certificate_arn" {
  description = "ACM certificate, in the stack's region, for an API whose DNS is managed elsewhere. Null to have one issued for domain_name."
  type        = string
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[a-z-]+:acm:${var.aws_region}:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM certificate in aws_region: a load balancer takes no other."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer. Turn it off, and apply, before a destroy."
  type        = bool
  default     = true
  nullable    = false
}

# What runs

variable "image_registry" {
  description = "ECR registry that the images come from, e.g. 123456789012.dkr.ecr.us-east-1.amazonaws.com; null is the registry of the account and region being deployed to."
  type        = string
  default     = null
}

variable "services" {
  description = <<-EOT
    The services by name. payment-api is the one behind the load balancer; it alone may call the others.

    - `image`: repository and tag or digest in `image_registry`
    - `port`: port on which the container listens for HTTP
    - `health_check_path`: answers 200 when the service can work
    - `cpu`, `memory`: size of one task, in CPU units (1024 is one vCPU) and MiB
    - `min_tasks`, `max_tasks`: bounds of the autoscaling
    - `internet_access`: whether it may call HTTPS services outside AWS, through the NAT gateways
  EOT
  type = map(object({
    image             = string
    port              = optional(number, 8080)
    health_check_path = optional(string, "/health")
    cpu               = optional(number, 512)
    memory            = optional(number, 1024)
    min_tasks         = optional(number, 2)
    max_tasks         = optional(number, 10)
    internet_access   = optional(bool, false)
  }))
  nullable = false

  validation {
    condition     = contains(keys(var.services), "payment-api")
    error_message = "services must have payment-api: it is what the load balancer sends requests to."
  }
}

# What is kept, and who is told

variable "log_retention_days" {
  description = "Days for which every log group keeps its events."
  type        = number
  default     = 30
  nullable    = false
}

variable "alarm_emails" {
  description = "Addresses that are sent every alarm; each has to confirm once. Other subscribers use the output alarm_topic_arn."
  type        = set(string)
  default     = []
  nullable    = false
}
