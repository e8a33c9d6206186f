locals {
  # Scaling aims at the target; what it can't hold below the alarm, people have to look at.
  utilisation = {
    cpu = {
      metric        = "CPUUtilization"
      scaling       = "ECSServiceAverageCPUUtilization"
      target        = 70
      alarm_percent = 85
    }
    memory = {
      metric        = "MemoryUtilization"
      scaling       = "ECSServiceAverageMemoryUtilization"
      target        = 80
      alarm_percent = 90
    }
  }
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  resource_id        = "service/${var.cluster.name}/${aws_ecs_service.this.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
}

resource "aws_appautoscaling_policy" "utilisation" {
  for_each = local.utilisation

  name               = "${var.name}-${each.key}-${var.environment_suffix}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  resource_id        = aws_appautoscaling_target.this.resource_id
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = each.value.scaling
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "utilisation" {
  for_each = local.utilisation

  alarm_name        = "${var.name}-${each.key}-${var.environment_suffix}"
  alarm_description = "${local.full_name} uses more than ${each.value.alarm_percent} % of its ${each.key}, and scaling out doesn't help."
  alarm_actions     = [var.alarm_topic_arn]
  ok_actions        = [var.alarm_topic_arn]

  namespace   = "AWS/ECS"
  metric_name = each.value.metric
  dimensions = {
    ClusterName = var.cluster.name
    ServiceName = aws_ecs_service.this.name
  }
  statistic           = "Average"
  period              = 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.alarm_percent
  evaluation_periods  = 5
  treat_missing_data  = "breaching" # a service that reports nothing runs nothing
}
