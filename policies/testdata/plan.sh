#!/bin/sh
# Makes the plan.json of each fixture again, or only of the folders that are named:
#
#   policies/testdata/plan.sh
#   policies/testdata/plan.sh policies/testdata/tls/listeners
#   make plans FIXTURE=policies/testdata/tls/listeners
#
# It needs Terraform and the AWS provider, but no account. A before.state is what was applied before.
set -eu

terraform=${TOLLGATE_TEST_TERRAFORM:-terraform} # which `make plans` sets
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then
  set -- "$here"/*/*/
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for fixture in "$@"; do
  fixture=$(cd "$fixture" && pwd)
  # The same folder each time, so that the provider is installed once.
  find "$work" -mindepth 1 -maxdepth 1 ! -name '.terraform*' -exec rm -rf {} +
  cp "$here/provider.tf" "$work/"
  cp -R "$fixture/." "$work/"
  rm -f "$work/plan.json"
  if [ -f "$fixture/before.state" ]; then
    mv "$work/before.state" "$work/terraform.tfstate"
  fi
  echo "planning ${fixture#"$here"/}" >&2
  (
    cd "$work"
    "$terraform" init -no-color -backend=false -input=false >log 2>&1 &&
      "$terraform" plan -no-color -input=false -refresh=false -lock=false -out=plan.bin >log 2>&1 ||
      { cat log >&2; exit 1; }
    "$terraform" show -json plan.bin >plan.json
  )
  mv "$work/plan.json" "$fixture/plan.json"
done
