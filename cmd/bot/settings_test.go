package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// enough are the settings without which the server does not start.
var enough = []string{"--data-dir=/srv/tollgate", "--github-app-id=1", "--github-app-key-file=/key", "--github-webhook-secret-file=/secret"}

// load reads settings as the command does.
func load(t *testing.T, config string, env map[string]string, args ...string) (settings, error) {
	t.Helper()
	var s settings
	flags := pflag.NewFlagSet("bot", pflag.ContinueOnError)
	s.register(flags)
	if config != "" {
		args = append(slices.Clone(args), "--config="+file(t, "tollgate.yaml", config))
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s, s.load(flags, func(name string) string { return env[name] })
}

func TestWhichSettingWins(t *testing.T) {
	t.Parallel()
	const config = "listen: file:1\nworkers: 2\nprovider-mirror: /file\n"
	env := map[string]string{"TOLLGATE_LISTEN": "env:1", "TOLLGATE_WORKERS": "3", "TOLLGATE_PROVIDER_MIRROR": "/env"}
	flags := []string{"--listen=flag:1", "--workers=0", "--provider-mirror="}
	cases := map[string]struct {
		config  string
		env     map[string]string
		flags   []string
		listen  string
		workers int
		mirror  string
	}{
		"default":                        {listen: "127.0.0.1:8080", workers: runtime.NumCPU()},
		"file over default":              {config: config, listen: "file:1", workers: 2, mirror: "/file"},
		"environment over default":       {env: env, listen: "env:1", workers: 3, mirror: "/env"},
		"environment over file":          {config: config, env: env, listen: "env:1", workers: 3, mirror: "/env"},
		"flag over environment":          {env: env, flags: flags, listen: "flag:1", workers: 0},
		"flag over all":                  {config: config, env: env, flags: flags, listen: "flag:1", workers: 0},
		"an empty variable sets nothing": {config: config, env: map[string]string{"TOLLGATE_LISTEN": ""}, listen: "file:1", workers: 2, mirror: "/file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(t, c.config, c.env, append(slices.Clone(enough), c.flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			if s.Listen != c.listen || s.Workers != c.workers || s.ProviderDirs != c.mirror {
				t.Errorf("listen %q, workers %d, mirror %q", s.Listen, s.Workers, s.ProviderDirs)
			}
		})
	}
}

func TestEverySettingCanComeFromEverywhere(t *testing.T) {
	t.Parallel()
	want := settings{Listen: ":1", PublicURL: "https://t.example", GitHubURL: "https://g.example", AppID: 123456789012, AppKeyFile: "/key", SecretFile: "/secret",
		ClientID: "Iv1.0", ClientSecretFile: "/client", WebAccess: "auto",
		Database: "sqlite:/db", Artifacts: "file:/a", ArtifactKey: "file:/k", DataDir: "/data", Workers: 3, Terraform: "/tf", ProviderDirs: "/m,/n", TerraformVars: "A,B",
		Reconcile: 30 * time.Second, PlanMaxAge: 2 * time.Hour, ApplyLimit: 3 * time.Hour, ApplyGrace: time.Minute, LogRetention: 48 * time.Hour,
		PlanRole: "arn:p", ApplyRole: "arn:a", RoleMinutes: 90, Sandbox: "off", Egress: "example.com", SandboxPaths: "/s", SandboxMemory: 1024,
		Policies: "/p", PolicyDigest: "sha256:0", PolicyTimeout: 5, PolicyMemory: 512}
	values := map[string]string{"listen": ":1", "public-url": "https://t.example", "github-url": "https://g.example", "github-app-id": "123456789012",
		"github-app-key-file": "/key", "github-webhook-secret-file": "/secret", "github-client-id": "Iv1.0", "github-client-secret-file": "/client", "web-access": "auto", "database": "sqlite:/db", "artifacts": "file:/a", "artifact-key": "file:/k",
		"data-dir": "/data", "workers": "3", "terraform": "/tf", "provider-mirror": "/m,/n", "terraform-env": "A,B",
		"policy-timeout": "5", "policy-memory": "512",
		"reconcile-every": "30s", "plan-max-age": "2h", "apply-limit": "3h", "apply-grace": "1m", "log-retention": "48h",
		"aws-plan-role": "arn:p", "aws-apply-role": "arn:a", "aws-role-minutes": "90", "sandbox": "off", "egress": "example.com", "sandbox-paths": "/s", "sandbox-memory": "1024",
		"organisation-policies": "/p", "organisation-policies-digest": "sha256:0"}
	var flags []string
	env, config := map[string]string{}, ""
	for name, value := range values {
		flags = append(flags, "--"+name+"="+value)
		env[envName(name)] = value
		config += name + `: "` + value + "\"\n"
	}
	var fromFile settings
	for from, f := range map[string]func() (settings, error){
		"flags":       func() (settings, error) { return load(t, "", nil, flags...) },
		"environment": func() (settings, error) { return load(t, "", env) },
		"file": func() (settings, error) {
			s, err := load(t, config, nil)
			s.Config = ""
			return s, err
		},
		"file named by the environment": func() (settings, error) {
			s, err := load(t, "", map[string]string{"TOLLGATE_CONFIG": file(t, "c.yaml", strings.ReplaceAll(config, `"`, ""))})
			s.Config = ""
			return s, err
		},
	} {
		got, err := f()
		if err != nil {
			t.Errorf("%s: %v", from, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", from, diff)
		}
	}
	fromFile.fields(func(f reflect.StructField, _ reflect.Value) {
		if _, ok := values[f.Tag.Get("name")]; !ok && f.Name != "Config" {
			t.Errorf("the setting %s is not in this test", f.Name)
		}
	})
}

// faults are the errors that were joined.
func faults(err error) []string {
	var out []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, faults(e)...)
		}
		return out
	}
	if err != nil {
		out = append(out, err.Error())
	}
	return out
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		config string
		env    map[string]string
		args   []string
		want   []string // the beginning of each fault
	}{
		"none":                                {args: enough},
		"an unknown key":                      {config: "listn: here\n", args: enough, want: []string{`Unknown key "listn" in `}},
		"a key of a flag that names the file": {config: "config: other.yaml\n", args: enough, want: []string{`Unknown key "config" in `}},
		"a secret itself":                     {config: "github-webhook-secret: hunter2\n", args: enough, want: []string{`Unknown key "github-webhook-secret" in `}},
		"no YAML":                             {config: "listen: [\n", args: enough, want: []string{"The configuration file is not valid YAML: "}},
		"a list":                              {config: "- listen\n", args: enough, want: []string{"The configuration file is not valid YAML: "}},
		"an empty file":                       {config: "# nothing yet\n", args: enough},
		"no file":                             {env: map[string]string{"TOLLGATE_CONFIG": "/nowhere/tollgate.yaml"}, args: enough, want: []string{"The configuration file cannot be read: "}},
		"no number, in the environment":       {env: map[string]string{"TOLLGATE_WORKERS": "many"}, args: enough, want: []string{"The setting workers from TOLLGATE_WORKERS is not a number: "}},
		"no number, in the file":              {config: "workers: 1.5\n", args: enough, want: []string{"The setting workers from "}},
		"a number over-ruled by a flag":       {env: map[string]string{"TOLLGATE_WORKERS": "2"}, args: append([]string{"--workers=1"}, enough...)},
		"policies without a limit":            {args: append([]string{"--policy-timeout=0", "--policy-memory=-1"}, enough...), want: []string{"The setting --policy-memory is not positive.", "The setting --policy-timeout is not positive."}},
		"negative":                            {args: append([]string{"--workers=-1"}, enough...), want: []string{"The setting --workers is negative."}},
		"logs that are kept for ever":         {args: append([]string{"--log-retention=0"}, enough...), want: []string{"The setting --log-retention is less than a day: 0s."}},
		"logs for a day":                      {args: append([]string{"--log-retention=24h"}, enough...)},
		"plans that outlast what is kept":     {args: append([]string{"--log-retention=48h", "--plan-max-age=49h"}, enough...), want: []string{"The setting --log-retention is less than --plan-max-age."}},
		"no scheme":                           {args: append([]string{"--github-url=github.example"}, enough...), want: []string{`The setting --github-url is not an address: "github.example".`}},
		"another scheme":                      {args: append([]string{"--public-url=ftp://x"}, enough...), want: []string{`The setting --public-url is not an address: "ftp://x".`}},
		"PostgreSQL":                          {args: append([]string{"--database=postgres://ada:hunter2@db/tollgate"}, enough...), want: []string{`The setting --database has a form that this version does not support: "postgres:…".`}},
		"a bare path":                         {args: append([]string{"--database=/srv/db"}, enough...), want: []string{`The setting --database has a form that this version does not support: "/srv/db".`}},
		"a bucket":                            {args: append([]string{"--artifacts=s3://plans"}, enough...), want: []string{`The setting --artifacts has a form that this version does not support: "s3:…".`}},
		"a key service":                       {args: append([]string{"--artifact-key=awskms://k"}, enough...), want: []string{`The setting --artifact-key has a form that this version does not support: "awskms:…".`}},
		"a digest of nothing":                 {args: append([]string{"--organisation-policies-digest=sha256:0"}, enough...), want: []string{"The setting --organisation-policies-digest is given without --organisation-policies."}},
		"sign-in":                             {args: append([]string{"--github-client-id=Iv1.0", "--github-client-secret-file=/c", "--public-url=https://t.example"}, enough...)},
		"sign-in without a secret":            {args: append([]string{"--github-client-id=Iv1.0", "--public-url=https://t.example"}, enough...), want: []string{"Only one of --github-client-id and --github-client-secret-file is given."}},
		"sign-in without an address":          {args: append([]string{"--github-client-id=Iv1.0", "--github-client-secret-file=/c"}, enough...), want: []string{"The setting --public-url is missing."}},
		"sign-in in clear":                    {args: append([]string{"--github-client-id=Iv1.0", "--github-client-secret-file=/c", "--public-url=http://t.example"}, enough...), want: []string{"People would sign in over plain HTTP: http://t.example."}},
		"sign-in here":                        {args: append([]string{"--github-client-id=Iv1.0", "--github-client-secret-file=/c", "--public-url=http://localhost:8080"}, enough...)},
		"sign-in, and open":                   {args: append([]string{"--github-client-id=Iv1.0", "--github-client-secret-file=/c", "--public-url=https://t.example", "--web-access=open"}, enough...), want: []string{"The setting --web-access is open although people can sign in."}},
		"a misspelt access":                   {args: append([]string{"--web-access=opn"}, enough...), want: []string{`The setting --web-access is "opn".`}},
		"nothing given": {want: []string{"The setting --data-dir is missing.", "The setting --github-app-id is missing.",
			"The setting --github-app-key-file is missing.", "The setting --github-webhook-secret-file is missing."}},
		"everything at once": {config: "listn: here\n", env: map[string]string{"TOLLGATE_WORKERS": "many"}, args: append([]string{"--github-url=x"}, enough[1:]...), want: []string{
			"The setting --data-dir is missing.", `The setting --github-url is not an address: "x".`, "The setting workers from TOLLGATE_WORKERS is not a number: ", `Unknown key "listn" in `}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.config, c.env, c.args...)
			got := faults(err)
			slices.Sort(got)
			if len(got) != len(c.want) {
				t.Fatalf("faults = %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) || strings.Contains(got[i], "hunter2") {
					t.Errorf("fault = %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func TestPlacesUnderTheDataDirectory(t *testing.T) {
	t.Parallel()
	s := settings{DataDir: "/data"}
	for value, want := range map[string]string{"": "/data/tollgate.db", "sqlite:/srv/db": "/srv/db", "sqlite:///srv/db": "/srv/db", "sqlite:relative.db": "relative.db"} {
		if got := s.path(value, "tollgate.db"); got != want {
			t.Errorf("%q is at %q, want %q", value, got, want)
		}
	}
}

func TestASecretThatEveryoneMayReadIsReported(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o400: false, 0o600: false, 0o640: false, 0o644: true} {
		secret := file(t, "secret", "hunter2")
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		b, err := readSecret(slog.New(slog.NewTextHandler(&log, nil)), secret, "webhook secret")
		if err != nil || string(b) != "hunter2" {
			t.Errorf("mode %o: %q, %v", mode, b, err)
		}
		if strings.Contains(log.String(), "may be read by every user") != warned || strings.Contains(log.String(), "hunter2") {
			t.Errorf("mode %o: log = %q", mode, log.String())
		}
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "effect.key")
	first, err := keyFile(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again, err := keyFile(path); err != nil || !bytes.Equal(first, again) {
		t.Errorf("another key the second time, %v", err)
	}
	if other, err := keyFile(path + "2"); err != nil || bytes.Equal(first, other) {
		t.Errorf("the same key for another directory, %v", err)
	}
	for _, damaged := range []string{"", "short", strings.Repeat("x", 33)} {
		if _, err := keyFile(file(t, "effect.key", damaged)); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("a key of %d bytes: %v", len(damaged), err)
		}
	}
}

func rsaKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// serve are arguments with which a server starts that has nothing to do.
func serve(t *testing.T, key, secret string) []string {
	t.Helper()
	terraform := file(t, "terraform", "#!/bin/sh\necho '{\"terraform_version\": \"1.11.4\"}'\n")
	if err := os.Chmod(terraform, 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"serve", "--listen=127.0.0.1:0", "--workers=0", "--github-app-id=1", "--github-app-key-file=" + key, "--github-webhook-secret-file=" + secret,
		"--data-dir=" + t.TempDir(), "--terraform=" + terraform, "--provider-mirror=" + t.TempDir()}
}

func TestServeStartsAndStops(t *testing.T) {
	t.Parallel()
	starts(t, serve(t, file(t, "key.pem", rsaKey(t)), file(t, "secret", strings.Repeat("s", 32))))
}

// starts fails unless a server with these arguments serves, and stops when it is told to.
func starts(t *testing.T, args []string) {
	t.Helper()
	cmd := call{}.command(t, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log += lines.Text() + "\n"
		if strings.Contains(lines.Text(), `"msg":"serving"`) {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(log, `"msg":"serving"`) {
		t.Errorf("%v, log:\n%s", err, log)
	}
}

func TestListsMayBeGivenInPieces(t *testing.T) {
	t.Parallel()
	s, err := load(t, "", map[string]string{"TOLLGATE_EGRESS": "c.example"}, append(slices.Clone(enough), "--egress=a.example", "--egress=b.example,*.b.example")...)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.example", "b.example", "*.b.example"}; !slices.Equal(list(s.Egress), want) {
		t.Errorf("%q, want %q", list(s.Egress), want)
	}
}

func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	key, secret := file(t, "key.pem", rsaKey(t)), file(t, "secret", strings.Repeat("s", 32))
	missing := filepath.Join(t.TempDir(), "missing")
	cases := map[string]struct {
		key, secret string
		further     []string
		want        []string
	}{
		"no webhook secret":          {key, missing, nil, []string{"Error: The file with the webhook secret cannot be read: " + missing, "Check the path"}},
		"an empty webhook secret":    {key, file(t, "secret", ""), nil, []string{"Error: The webhook secret is missing or shorter than 32 bytes.", "Generate one"}},
		"a short webhook secret":     {key, file(t, "secret", strings.Repeat("s", 31)+"\n"), nil, []string{"Error: The webhook secret is missing or shorter than 32 bytes.", "Generate one"}},
		"a secret of spaces":         {key, file(t, "secret", strings.Repeat(" ", 40)), nil, []string{"Error: The webhook secret is missing or shorter than 32 bytes.", "Generate one"}},
		"no key":                     {missing, secret, nil, []string{"Error: The file with the App's private key cannot be read: " + missing}},
		"an empty key":               {file(t, "key.pem", ""), secret, nil, []string{"Error: The GitHub App's private key cannot be read.", "The file is empty."}},
		"something else than a key":  {secret, secret, nil, []string{"Error: The GitHub App's private key cannot be read.", "It is not in PEM form."}},
		"PostgreSQL":                 {key, secret, []string{"--database=postgres://ada:hunter2@db/tollgate"}, []string{"Error: The setting --database has a form that this version does not support", "Use sqlite:PATH"}},
		"a directory that is a file": {key, secret, []string{"--data-dir=" + key}, []string{"Error: The data directory cannot be created."}},
		"no such address":            {key, secret, []string{"--listen=127.0.0.1:99999"}, []string{"Error: The address 127.0.0.1:99999 cannot be listened on."}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := call{}.bot(t, append(serve(t, c.key, c.secret), c.further...)...)
			got.expect(t, 2, c.want...)
			if shown := got.stdout + got.stderr; strings.Contains(shown, "hunter2") || strings.Contains(shown, strings.Repeat("s", 31)) {
				t.Errorf("a secret is shown:\n%s", shown)
			}
		})
	}
}
