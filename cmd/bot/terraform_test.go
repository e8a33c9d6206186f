package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/engine"
)

// Covers: T50
func TestWhatTerraformGetsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	passed := []string{"PATH=/bin", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=id", "AWS_ENDPOINT_URL=http://127.0.0.1:1?a=b", "AWS_EMPTY=",
		"TF_VAR_domain=example.com", "HTTPS_PROXY=http://proxy", "no_proxy=localhost", "SSL_CERT_FILE=/ca.pem", "TZ=UTC"}
	dropped := []string{"TOLLGATE_GITHUB_WEBHOOK_SECRET_FILE=/secret", "TOLLGATE_DATABASE=sqlite:/db", "GITHUB_TOKEN=t", "GH_TOKEN=t", "HOME=/root", "SSH_AUTH_SOCK=/s",
		"TF_CLI_ARGS=-lock=false", "TF_LOG=trace", "TF_CLI_CONFIG_FILE=/rc", "TF_WORKSPACE=other", "LD_PRELOAD=/evil.so", "GOOGLE_CREDENTIALS=c", "XAWS_REGION=x",
		"aws_region=lower", "PATHS=/x", "NOAWS_=1", "=C:", ""}
	environ := append(append([]string{}, dropped[:5]...), passed...)
	environ = append(environ, dropped[5:]...)
	cases := map[string]struct {
		further string
		want    []string
	}{
		"what it always gets":     {"", passed},
		"and what is allowed":     {"UNHEARD_OF, GOOGLE_CREDENTIALS", append(append([]string{}, passed...), "GOOGLE_CREDENTIALS=c")},
		"and nothing that is not": {"UNHEARD_OF", passed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, terraformEnviron(environ, c.further)); diff != "" {
				t.Errorf("terraformEnviron (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheGuardedRepositoryGetsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	got := terraformVariables([]string{"ENVIRONMENT_SUFFIX=pr7", "AWS_REGION=eu-central-1", "TERRAFORM_STATE_BUCKET=states", "TERRAFORM_STATE_BUCKET_REGION=",
		"AWS_SECRET_ACCESS_KEY=s", "GITHUB_TOKEN=t", "TERRAFORM_STATE_KEY=x"})
	want := engine.Environment{"ENVIRONMENT_SUFFIX": "pr7", "environment_suffix": "pr7", "AWS_REGION": "eu-central-1", "aws_region": "eu-central-1",
		"TERRAFORM_STATE_BUCKET": "states"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("terraformVariables (-want +got):\n%s", diff)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"": nil, " , ": nil, "/a": {"/a"}, " /a, /b ,": {"/a", "/b"}} {
		if diff := cmp.Diff(want, list(text)); diff != "" {
			t.Errorf("list(%q) (-want +got):\n%s", text, diff)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	environ := []string{"HOMER=1", "EMPTY=", "HOME=/h=o", "HOME=/other"}
	for name, want := range map[string]string{"HOME": "/h=o", "EMPTY": "", "MISSING": "", "HOMER": "1"} {
		if got := lookup(environ, name); got != want {
			t.Errorf("lookup(%q) = %q, want %q", name, got, want)
		}
	}
}
