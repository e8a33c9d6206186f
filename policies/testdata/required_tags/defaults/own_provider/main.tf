# A module that brings its provider, as old ones do.
provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "fixture"
  secret_key                  = "fixture"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  default_tags {
    tags = {
      Environment = "production"
      CostCenter  = "engineering"
    }
  }
}

variable "later" {
  type = string
}

resource "aws_sqs_queue" "this" {
  name = "own-provider"
  tags = { Team = "payments" }
}

# The defaults of the root's provider do not reach in here.
resource "aws_sqs_queue" "incomplete" {
  name = "own-provider-incomplete"
}

resource "aws_sqs_queue" "unknown" {
  name = "own-provider-unknown"
  tags = { Name = var.later }
}
