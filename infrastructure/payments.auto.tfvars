# The part of the configuration that changes from day to day. What an environment needs
# otherwise (its suffix, region and state bucket) comes from environment variables.

domain_name = "payments.example.com"

services = {
  payment-api = {
    image           = "payment-api:1.0.0"
    cpu             = 1024
    memory          = 2048
    min_tasks       = 3
    max_tasks       = 30
    internet_access = true # card networks and acquirers
  }

  fraud-detection = {
    image     = "fraud-detection:1.0.0"
    cpu       = 1024
    memory    = 4096
    min_tasks = 3
    max_tasks = 20
  }

  notification-service = {
    image           = "notification-service:1.0.0"
    internet_access = true # mail and SMS providers
  }
}
