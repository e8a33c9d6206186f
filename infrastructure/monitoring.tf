# Where alarms are sent. The alarms stand beside what they watch, in modules/ecs-service
# and modules/load-balancer.

resource "aws_sns_topic" "alarms" {
  name              = "payment-alarms-${var.environment_suffix}"
  kms_master_key_id = aws_kms_key.observability.arn
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}
