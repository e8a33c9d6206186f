variable "subnets" {
  type = list(string)
}

resource "aws_ecs_service" "this" {
  name            = "this"
  task_definition = "app:1"
  network_configuration {
    subnets = var.subnets
  }
}
