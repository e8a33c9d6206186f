locals {
  server_errors = {
    load-balancer = {
      metric     = "HTTPCode_ELB_5XX_Count"
      meaning    = "The load balancer itself answers with 5xx: no healthy target, or none in time."
      dimensions = { LoadBalancer = aws_lb.this.arn_suffix }
    }
    target = {
      metric     = "HTTPCode_Target_5XX_Count"
      meaning    = "${var.target.name} answers with 5xx."
      dimensions = { LoadBalancer = aws_lb.this.arn_suffix, TargetGroup = aws_lb_target_group.this.arn_suffix }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "server_errors" {
  for_each = local.server_errors

  alarm_name        = "payment-alb-5xx-${each.key}-${var.environment_suffix}"
  alarm_description = each.value.meaning
  alarm_actions     = [var.alarm_topic_arn]
  ok_actions        = [var.alarm_topic_arn]

  namespace           = "AWS/ApplicationELB"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 60
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 10
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching" # AWS counts errors only when there are any
}

resource "aws_cloudwatch_metric_alarm" "unhealthy_targets" {
  alarm_name        = "payment-alb-unhealthy-targets-${var.environment_suffix}"
  alarm_description = "A task of ${var.target.name} fails its health check."
  alarm_actions     = [var.alarm_topic_arn]
  ok_actions        = [var.alarm_topic_arn]

  namespace   = "AWS/ApplicationELB"
  metric_name = "UnHealthyHostCount"
  dimensions = {
    LoadBalancer = aws_lb.this.arn_suffix
    TargetGroup  = aws_lb_target_group.this.arn_suffix
  }
  statistic           = "Maximum"
  period              = 60
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "breaching" # no target at all is no better than an unhealthy one
}
