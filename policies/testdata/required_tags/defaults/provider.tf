terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
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
      Team        = "payments"
      CostCenter  = "engineering"
    }
  }
}

provider "aws" {
  alias = "partial"

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
    }
  }
}

provider "aws" {
  alias = "ignoring"

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
      Team        = "payments"
      CostCenter  = "engineering"
    }
  }

  ignore_tags {
    keys = ["Team"]
  }
}

provider "aws" {
  alias = "ignoring_prefix"

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
      Team        = "payments"
      CostCenter  = "engineering"
    }
  }

  ignore_tags {
    key_prefixes = ["Cost"]
  }
}
