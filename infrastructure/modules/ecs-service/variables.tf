# Which

variable "name" {
  description = "Name of the service, e.g. payment-api: the container's, and the one that other services call it by."
  type        = string
  nullable    = false

  validation {
    # IAM takes 64 characters; "-execution-" and the suffix have to fit.
    condition     = can(regex("^[a-z][a-z0-9-]{0,28}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 30 lower-case letters, digits and inner hyphens."
  }
}

variable "environment_suffix" {
  description = "Ends the name of everything."
  type        = string
  nullable    = false
}

variable "cluster" {
  description = "Cluster that the service runs in."
  type = object({
    arn  = string
    name = string
  })
  nullable = false
}

variable "capacity_provider_strategy" {
  description = "How the tasks are spread over the cluster's capacity providers."
  type = list(object({
    capacity_provider = string
    weight            = number
  }))
  nullable = false
}

variable "namespace_arn" {
  description = "Cloud Map namespace in which the service is found by its name."
  type        = string
  nullable    = false
}

# What

variable "image" {
  description = "ECR image, by tag or digest. The execution role may pull from its repository and no other."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(?:\\.cn)?/[a-z0-9._/-]+(?::[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must be an ECR image with a tag other than latest, or a digest, e.g. 123456789012.dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0."
  }
}

variable "port" {
  description = "Port on which the container listens for HTTP."
  type        = number
  nullable    = false

  validation {
    condition     = var.port == floor(var.port) && var.port >= 1024 && var.port <= 65535
    error_message = "port must be between 1024 and 65535: the lower ones need a privileged container."
  }
}

variable "health_check_path" {
  description = "Path that answers 200 when the service can work."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.health_check_path, "/")
    error_message = "health_check_path must start with \"/\"."
  }
}

variable "cpu" {
  description = "CPU units of one task; 1024 is one vCPU."
  type        = number
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "cpu must be 256, 512, 1024, 2048 or 4096."
  }
}

variable "memory" {
  description = "Memory of one task, in MiB."
  type        = number
  nullable    = false

  validation {
    condition     = var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu
    error_message = "memory must be between 2 and 8 MiB for each CPU unit: Fargate has no other sizes."
  }
}

variable "min_tasks" {
  description = "Tasks that run at least."
  type        = number
  nullable    = false

  validation {
    condition     = var.min_tasks >= 2
    error_message = "min_tasks must be 2 or more: a single task is an outage waiting for a deployment."
  }
}

variable "max_tasks" {
  description = "Tasks that run at most."
  type        = number
  nullable    = false

  validation {
    condition     = var.max_tasks >= var.min_tasks
    error_message = "max_tasks must not be less than min_tasks."
  }
}

# Where

variable "vpc_id" {
  description = "VPC of the service."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets that the tasks run in."
  type        = list(string)
  nullable    = false
}

variable "endpoint_security_group_id" {
  description = "Security group of the VPC's interface endpoints."
  type        = string
  nullable    = false
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3, from which the image's layers come."
  type        = string
  nullable    = false
}

variable "internet_access" {
  description = "Whether the service may call HTTPS services outside AWS."
  type        = bool
  nullable    = false
}

variable "load_balancer" {
  description = "Target group that the tasks register with; null for a service that only other services call."
  type = object({
    target_group_arn = string
  })
  default = null
}

# What is kept, and who is told

variable "kms_key_arn" {
  description = "Key that encrypts the service's log."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which the service's log is kept."
  type        = number
  nullable    = false
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms are sent to."
  type        = string
  nullable    = false
}
