package cloud_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/fault"
)

const role = "arn:aws:iam::123456789012:role/"

// tokens is a token service that records what it is asked.
func tokens(t *testing.T, refuse bool) *[]url.Values {
	t.Helper()
	var asked []url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked = append(asked, r.Form)
		if refuse {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>minted-id</AccessKeyId>`+
			`<SecretAccessKey>minted-key</SecretAccessKey><SessionToken>minted-token</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}))
	t.Cleanup(s.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_STS": s.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	return &asked
}

var subject = cloud.Subject{Repository: "acme/payments", RepoID: 7, Pull: 12, Commit: strings.Repeat("a", 40), Project: "pay<ments>", Plan: "p1"}

func TestCredentialsAreOfTheRoleAndMarked(t *testing.T) {
	asked := tokens(t, false)
	m, err := cloud.New(t.Context(), cloud.Config{Roles: map[cloud.Use]string{cloud.Plan: role + "plan", cloud.Apply: role + "apply"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for use, want := range map[cloud.Use]string{cloud.Plan: role + "plan", cloud.Apply: role + "apply"} {
		*asked = nil
		env, err := m.Mint(t.Context(), use, subject)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(env, []string{"AWS_ACCESS_KEY_ID=minted-id", "AWS_SECRET_ACCESS_KEY=minted-key", "AWS_SESSION_TOKEN=minted-token"}) {
			t.Errorf("%s: %v", use, env)
		}
		if len(*asked) != 1 {
			t.Fatalf("%s: %d requests", use, len(*asked))
		}
		got := (*asked)[0]
		if got.Get("RoleArn") != want || got.Get("DurationSeconds") != "3600" || got.Get("RoleSessionName") != fmt.Sprintf("tollgate-%s-7-12-aaaaaaaaaaaa", use) {
			t.Errorf("%s: asked for %v", use, got)
		}
		tags := map[string]string{}
		for i := 1; got.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
			tags[got.Get(fmt.Sprintf("Tags.member.%d.Key", i))] = got.Get(fmt.Sprintf("Tags.member.%d.Value", i))
		}
		for key, value := range map[string]string{"tollgate:use": string(use), "tollgate:repository": "acme/payments", "tollgate:repository-id": "7", "tollgate:pull": "12",
			"tollgate:commit": subject.Commit, "tollgate:project": "pay_ments_", "tollgate:plan": "p1"} {
			if tags[key] != value {
				t.Errorf("%s: tag %s is %q, want %q", use, key, tags[key], value)
			}
		}
	}
}

func TestWithoutARoleNothingIsMinted(t *testing.T) {
	asked := tokens(t, false)
	m, err := cloud.New(t.Context(), cloud.Config{Roles: map[cloud.Use]string{cloud.Apply: role + "apply"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if env, err := m.Mint(t.Context(), cloud.Plan, subject); env != nil || err != nil || len(*asked) > 0 {
		t.Errorf("%v, %v, %d requests", env, err, len(*asked))
	}
}

// A sandbox does not reach the metadata service, from which a server may have its credentials.
func TestTheServersOwnAreHandedOver(t *testing.T) {
	tokens(t, false)
	for handOver, want := range map[bool][]string{true: {"AWS_ACCESS_KEY_ID=own", "AWS_SECRET_ACCESS_KEY=own", "AWS_SESSION_TOKEN="}, false: nil} {
		m, err := cloud.New(t.Context(), cloud.Config{HandOver: handOver, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if env, err := m.Mint(t.Context(), cloud.Plan, subject); err != nil || !slices.Equal(env, want) {
			t.Errorf("hand over %v: %v, %v", handOver, env, err)
		}
	}
}

func TestARefusedRoleIsAFault(t *testing.T) {
	tokens(t, true)
	m, err := cloud.New(t.Context(), cloud.Config{Roles: map[cloud.Use]string{cloud.Plan: role + "plan"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	env, err := m.Mint(t.Context(), cloud.Plan, subject)
	var flt *fault.Error
	if env != nil || !errors.As(err, &flt) || !strings.Contains(flt.Why, role+"plan") {
		t.Errorf("%v, %v", env, err)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	tokens(t, false)
	for name, cfg := range map[string]cloud.Config{
		"no ARN":    {Roles: map[cloud.Use]string{cloud.Plan: "admin"}, Lifetime: time.Hour},
		"a user":    {Roles: map[cloud.Use]string{cloud.Plan: "arn:aws:iam::123456789012:user/x"}, Lifetime: time.Hour},
		"too short": {Lifetime: time.Minute},
		"too long":  {Lifetime: 13 * time.Hour},
	} {
		if _, err := cloud.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := cloud.New(t.Context(), cloud.Config{Roles: map[cloud.Use]string{cloud.Plan: "arn:aws-us-gov:iam::123456789012:role/path/x"}, Lifetime: 12 * time.Hour}); err != nil {
		t.Error(err)
	}
}
