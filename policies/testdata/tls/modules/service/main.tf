variable "certificate" {
  type = string
}

variable "policy" {
  type    = string
  default = null
}

variable "balancer" {
  type = string
}

# The module leaves the policy to its caller, who may leave it to AWS.
# want: fail listener-policy module.service["old"].aws_lb_listener.https[0] ssl_policy
# want: pass listener-policy module.service["new"].aws_lb_listener.https[0]
# want: fail listener-policy module.open[0].aws_lb_listener.https[0] ssl_policy
resource "aws_lb_listener" "https" {
  count = 1

  load_balancer_arn = var.balancer
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.policy
  certificate_arn   = var.certificate
  default_action {
    type             = "forward"
    target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0a"
  }
}
