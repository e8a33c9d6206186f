terraform {
  # Which bucket, and which key in it, is the environment's business: they are given
  # at init (-backend-config) from TERRAFORM_STATE_BUCKET, TERRAFORM_STATE_BUCKET_REGION
  # and ENVIRONMENT_SUFFIX. See environment.sh.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
