# Prepares a shell for Terraform in this folder:
#
#   export ENVIRONMENT_SUFFIX=dev AWS_REGION=eu-central-1
#   export TERRAFORM_STATE_BUCKET=example-terraform-state TERRAFORM_STATE_BUCKET_REGION=eu-central-1
#   . ./environment.sh
#   terraform init && terraform plan
#
# The state's key is named after the environment, so each has its own; going over to
# another needs the variables, this file and `terraform init` again.

for _name in ENVIRONMENT_SUFFIX AWS_REGION TERRAFORM_STATE_BUCKET TERRAFORM_STATE_BUCKET_REGION; do
  eval "_value=\${$_name:-}"
  case $_value in
    '')
      echo "environment.sh: $_name is not set: export it first" >&2
      unset _name _value
      return 1 2>/dev/null || exit 1
      ;;
    *[!A-Za-z0-9.-]*)
      echo "environment.sh: $_name may only have letters, digits, dots and hyphens: $_value" >&2
      unset _name _value
      return 1 2>/dev/null || exit 1
      ;;
  esac
done
unset _name _value

export TF_VAR_environment_suffix="$ENVIRONMENT_SUFFIX"
export TF_VAR_aws_region="$AWS_REGION"

# -reconfigure: never carries one environment's state over to another.
export TF_CLI_ARGS_init="-reconfigure -backend-config=bucket=$TERRAFORM_STATE_BUCKET -backend-config=region=$TERRAFORM_STATE_BUCKET_REGION -backend-config=key=$ENVIRONMENT_SUFFIX/infrastructure.tfstate"
