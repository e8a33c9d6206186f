mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  domain_name = "api.example.com"
  zone_id     = "Z0000000000EXAMPLE"
}

run "is_validated_in_the_zone" {
  command = apply

  assert {
    condition     = aws_acm_certificate.this.domain_name == "api.example.com" && aws_acm_certificate.this.validation_method == "DNS"
    error_message = "The certificate must be for the name asked for, validated by DNS."
  }

  assert {
    condition     = aws_route53_record.proof.zone_id == "Z0000000000EXAMPLE" && aws_route53_record.proof.name == "_proof.api.example.com."
    error_message = "The proof must be published in the zone, under the name that ACM asks for."
  }

  assert {
    condition     = output.arn == aws_acm_certificate_validation.this.certificate_arn
    error_message = "The certificate must not be handed out before it has been issued."
  }
}
