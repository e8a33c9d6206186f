# Mail, notifications and calls to other systems.

resource "terraform_data" "later" {
  input = "known after the apply"
}

# want: pass encryption aws_ses_configuration_set.good
resource "aws_ses_configuration_set" "good" {
  name = "good"
  delivery_options {
    tls_policy = "Require"
  }
}

# want: fail encryption aws_ses_configuration_set.optional delivery_options[0].tls_policy
resource "aws_ses_configuration_set" "optional" {
  name = "optional"
  delivery_options {
    tls_policy = "Optional"
  }
}

# Without the block, mail goes out unencrypted if the other side wants it so.
# want: fail encryption aws_ses_configuration_set.unset delivery_options
resource "aws_ses_configuration_set" "unset" {
  name = "unset"
}

# want: pass encryption aws_sesv2_configuration_set.good
resource "aws_sesv2_configuration_set" "good" {
  configuration_set_name = "good"
  delivery_options {
    tls_policy = "REQUIRE"
  }
}

# want: fail encryption aws_sesv2_configuration_set.unset delivery_options
# want: fail(warn) encryption aws_sesv2_configuration_set.unset tracking_options[0].https_policy
resource "aws_sesv2_configuration_set" "unset" {
  configuration_set_name = "unset"
  tracking_options {
    custom_redirect_domain = "links.example.com"
    https_policy           = "OPTIONAL"
  }
}

# want: fail(warn) encryption aws_ses_receipt_rule.optional tls_policy
resource "aws_ses_receipt_rule" "optional" {
  name          = "optional"
  rule_set_name = "mail"
}

locals {
  subscriptions = {
    # want: pass encryption aws_sns_topic_subscription.this["https"]
    https = "https://hook.example.com"
    # want: fail encryption aws_sns_topic_subscription.this["http"] protocol
    http = "http://hook.example.com"
  }
}

resource "aws_sns_topic_subscription" "this" {
  for_each = local.subscriptions

  topic_arn = "arn:aws:sns:eu-central-1:123456789012:payments"
  protocol  = each.key
  endpoint  = each.value
}

# want: undetermined encryption aws_sns_topic_subscription.unknown protocol
resource "aws_sns_topic_subscription" "unknown" {
  topic_arn = "arn:aws:sns:eu-central-1:123456789012:payments"
  protocol  = terraform_data.later.id
  endpoint  = "hook.example.com"
}

# want: pass encryption aws_cloudwatch_event_api_destination.good
resource "aws_cloudwatch_event_api_destination" "good" {
  name                = "good"
  connection_arn      = "arn:aws:events:eu-central-1:123456789012:connection/partner/0a"
  http_method         = "POST"
  invocation_endpoint = "https://api.example.com/payments"
}

# want: fail encryption aws_cloudwatch_event_api_destination.plain invocation_endpoint
resource "aws_cloudwatch_event_api_destination" "plain" {
  name                = "plain"
  connection_arn      = "arn:aws:events:eu-central-1:123456789012:connection/partner/0a"
  http_method         = "POST"
  invocation_endpoint = "http://api.example.com/payments"
}

# want: fail encryption aws_kinesis_firehose_delivery_stream.plain splunk_configuration[0].hec_endpoint
resource "aws_kinesis_firehose_delivery_stream" "plain" {
  name        = "plain"
  destination = "splunk"
  splunk_configuration {
    hec_endpoint = "http://collector.example.com"
    hec_token    = "not-a-secret"
    s3_configuration {
      role_arn   = "arn:aws:iam::123456789012:role/payments"
      bucket_arn = "arn:aws:s3:::payments"
    }
  }
}

# want: fail(warn) encryption aws_api_gateway_integration.plain uri
resource "aws_api_gateway_integration" "plain" {
  rest_api_id             = "0a"
  resource_id             = "0b"
  http_method             = "GET"
  type                    = "HTTP_PROXY"
  integration_http_method = "GET"
  uri                     = "http://user:not-a-secret@backend.example.com/"
}

# want: fail(warn) encryption aws_api_gateway_integration.unverified tls_config[0].insecure_skip_verification
resource "aws_api_gateway_integration" "unverified" {
  rest_api_id             = "0a"
  resource_id             = "0b"
  http_method             = "POST"
  type                    = "HTTP"
  integration_http_method = "POST"
  uri                     = "https://backend.example.com/"
  tls_config {
    insecure_skip_verification = true
  }
}

# want: pass encryption aws_api_gateway_integration.function
resource "aws_api_gateway_integration" "function" {
  rest_api_id             = "0a"
  resource_id             = "0b"
  http_method             = "PUT"
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:pay/invocations"
}

# want: fail(warn) encryption aws_apigatewayv2_integration.plain integration_uri
resource "aws_apigatewayv2_integration" "plain" {
  api_id             = "0a"
  integration_type   = "HTTP_PROXY"
  integration_method = "GET"
  integration_uri    = "http://backend.example.com/"
}

# want: fail(warn) encryption aws_appsync_datasource.plain http_config[0].endpoint
resource "aws_appsync_datasource" "plain" {
  api_id = "0a"
  name   = "plain"
  type   = "HTTP"
  http_config {
    endpoint = "http://backend.example.com"
  }
}

# want: fail encryption aws_appsync_api_cache.unset transit_encryption_enabled
resource "aws_appsync_api_cache" "unset" {
  api_id               = "0a"
  api_caching_behavior = "FULL_REQUEST_CACHING"
  type                 = "SMALL"
  ttl                  = 60
}

# want: fail encryption aws_chime_voice_connector.plain require_encryption
resource "aws_chime_voice_connector" "plain" {
  name               = "plain"
  require_encryption = false
}
