terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "team" {
  type    = string
  default = "payments"
}

resource "terraform_data" "later" {
  input = "known after the apply"
}

provider "aws" {

  region                      = "eu-central-1"
  access_key                  = "fixture"
  secret_key                  = "fixture"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  default_tags {
    tags = {
      Environment = "production"
      Team        = var.team
      CostCenter  = "engineering"
    }
  }
}

provider "aws" {
  alias = "later"

  region                      = "eu-central-1"
  access_key                  = "fixture"
  secret_key                  = "fixture"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  default_tags {
    tags = {
      Environment = "production"
      Team        = terraform_data.later.id
      CostCenter  = "engineering"
    }
  }
}
