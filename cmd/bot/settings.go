package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"

	"github.com/tollgate/tollgate/internal/fault"
)

// settings are the server's. A flag wins over its environment variable, that over the
// configuration file, and that over the default. Secrets are only ever files.
type settings struct {
	Config           string        `name:"config" usage:"YAML file with the same settings, named as the flags are"`
	Listen           string        `name:"listen" default:"127.0.0.1:8080" usage:"address to serve webhooks and pages on"`
	PublicURL        string        `name:"public-url" usage:"how a browser reaches this server; links in checks start with it"`
	GitHubURL        string        `name:"github-url" default:"https://github.com" usage:"GitHub, or the address of a GitHub Enterprise Server"`
	AppID            int64         `name:"github-app-id" usage:"id of the GitHub App"`
	AppKeyFile       string        `name:"github-app-key-file" usage:"file with the App's private key (PEM)"`
	SecretFile       string        `name:"github-webhook-secret-file" usage:"file with the webhook secret, at least 32 bytes"`
	ClientID         string        `name:"github-client-id" usage:"client id of the GitHub App; with it people sign in to the pages with GitHub"`
	ClientSecretFile string        `name:"github-client-secret-file" usage:"file with the App's client secret"`
	WebAccess        string        `name:"web-access" default:"auto" usage:"auto: people who sign in, else programs on this machine; open: whoever has the address of a page"`
	Database         string        `name:"database" usage:"sqlite:FILE (default: tollgate.db under the data directory)"`
	Artifacts        string        `name:"artifacts" usage:"file:DIR for encrypted plans (default: under the data directory)"`
	ArtifactKey      string        `name:"artifact-key" usage:"file:FILE with the key that encrypts plans (default: generated under the data directory)"`
	DataDir          string        `name:"data-dir" usage:"directory for everything that Tollgate keeps"`
	Workers          int           `name:"workers" usage:"plans at once; 0 serves without working (default: number of cores)"`
	Reconcile        time.Duration `name:"reconcile-every" default:"60s" usage:"how often to compare with GitHub what webhooks told; 0 relies on webhooks alone"`
	PolicyTimeout    int           `name:"policy-timeout" default:"60" usage:"seconds that the policies may take to judge one plan"`
	PolicyMemory     int           `name:"policy-memory" default:"2048" usage:"memory that the policies may use to judge one plan, in MiB"`
	PlanMaxAge       time.Duration `name:"plan-max-age" default:"24h" usage:"how old a plan may be that is applied; an older one is made again"`
	ApplyLimit       time.Duration `name:"apply-limit" default:"6h" usage:"how long an apply may take before it is asked to stop"`
	ApplyGrace       time.Duration `name:"apply-grace" default:"30m" usage:"how long an apply may take to stop before it is killed"`
	LogRetention     time.Duration `name:"log-retention" default:"9600h" usage:"how long logs and the JSON of plans are kept; the ledger is for ever"`
	Terraform        string        `name:"terraform" usage:"terraform program (default: from PATH, else installed and verified)"`
	ProviderDirs     string        `name:"provider-mirror" list:"yes" usage:"filesystem mirrors for providers, separated by commas (default: those found on this machine, then the registry)"`
	Policies         string        `name:"organisation-policies" usage:"directory or .tar.gz with policies; its files replace the built-in ones of the same name"`
	PolicyDigest     string        `name:"organisation-policies-digest" usage:"sha256:… of the organisation's policies; with any other the server does not start"`
	Sandbox          string        `name:"sandbox" default:"on" usage:"on, or off: code of pull requests then sees and reaches all that the server does"`
	Egress           string        `name:"egress" list:"yes" usage:"further hosts that plans and applies may reach, separated by commas: example.com, *.example.com, example.com:8443"`
	SandboxPaths     string        `name:"sandbox-paths" list:"yes" usage:"further paths that plans and applies may see, separated by commas; PATH:rw may be changed"`
	SandboxMemory    int           `name:"sandbox-memory" default:"4096" usage:"memory that Terraform and its providers may use for one plan or apply, in MiB"`
	PlanRole         string        `name:"aws-plan-role" usage:"ARN of the role that plans run with; it needs to read, and to lock the state (default: the server's own credentials)"`
	ApplyRole        string        `name:"aws-apply-role" usage:"ARN of the role that applies run with (default: the server's own credentials)"`
	RoleMinutes      int           `name:"aws-role-minutes" default:"60" usage:"minutes that a role's credentials last; an apply that takes longer fails half-way"`
	TerraformVars    string        `name:"terraform-env" list:"yes" usage:"further environment variables to hand to Terraform, separated by commas; AWS_*, TF_VAR_* and proxy variables always are"`
}

// fields calls f for each setting with its flag name and its place in s.
func (s *settings) fields(f func(field reflect.StructField, v reflect.Value)) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		f(v.Type().Field(i), v.Field(i))
	}
}

// register adds a flag for every setting.
func (s *settings) register(flags *pflag.FlagSet) {
	s.Workers = runtime.NumCPU()
	s.fields(func(field reflect.StructField, v reflect.Value) {
		name, usage := field.Tag.Get("name"), field.Tag.Get("usage")
		switch p := v.Addr().Interface().(type) {
		case *string:
			if field.Tag.Get("list") != "" {
				flags.Var(&several{text: p}, name, usage)
				return
			}
			flags.StringVar(p, name, field.Tag.Get("default"), usage)
		case *int:
			if text := field.Tag.Get("default"); text != "" {
				*p, _ = strconv.Atoi(text)
			}
			flags.IntVar(p, name, *p, usage)
		case *int64:
			flags.Int64Var(p, name, *p, usage)
		case *time.Duration:
			*p, _ = time.ParseDuration(field.Tag.Get("default"))
			flags.DurationVar(p, name, *p, usage)
		}
	})
}

// several is a flag for a list, which may be given more than once.
type several struct {
	text  *string
	given bool
}

func (l *several) Type() string { return "list" }

func (l *several) String() string {
	if l.text == nil { // pflag asks a flag without a value for its default
		return ""
	}
	return *l.text
}

func (l *several) Set(value string) error {
	if l.given {
		value = *l.text + "," + value
	}
	*l.text, l.given = value, true
	return nil
}

// envName is the environment variable of a flag: TOLLGATE_GITHUB_URL for --github-url.
func envName(flag string) string {
	return "TOLLGATE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// load fills what no flag set from the environment and the configuration file, then validates.
// All faults are reported together.
func (s *settings) load(flags *pflag.FlagSet, getenv func(string) string) error {
	if v := getenv(envName("config")); v != "" && !flags.Changed("config") {
		s.Config = v
	}
	file, faults := s.readFile()
	s.fields(func(field reflect.StructField, v reflect.Value) {
		name := field.Tag.Get("name")
		value, fromFile := file[name]
		source := s.Config
		if env := getenv(envName(name)); env != "" {
			value, source = env, envName(name)
		} else if !fromFile {
			return
		}
		if flags.Changed(name) {
			return
		}
		if err := set(v, value); err != nil {
			faults = append(faults, unreadable(err, v, name, source))
		}
	})
	faults = append(faults, s.validate()...)
	return errors.Join(faults...)
}

func unreadable(err error, v reflect.Value, name, source string) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return fault.Wrap(err, fmt.Sprintf("The setting %s from %s is not a time.", name, source), "", "Write a number with its unit, such as 90m or 24h.")
	}
	return fault.Wrap(err, fmt.Sprintf("The setting %s from %s is not a number.", name, source), "", "Write a whole number.")
}

func set(v reflect.Value, value string) error {
	if v.Kind() == reflect.String {
		v.SetString(value)
		return nil
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(strings.TrimSpace(value))
		v.SetInt(int64(d))
		return err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return err
	}
	v.SetInt(n)
	return nil
}

func (s *settings) readFile() (map[string]string, []error) {
	if s.Config == "" {
		return nil, nil
	}
	b, err := os.ReadFile(s.Config)
	if err != nil {
		return nil, []error{fault.Wrap(err, "The configuration file cannot be read.", "Without it the settings in it would be silently missing.", "Check the path given with --config.")}
	}
	raw := map[string]any{}
	if err := yaml.Unmarshal(b, &raw); err != nil {
		return nil, []error{fault.Wrap(err, "The configuration file is not valid YAML.", "", "Correct it; the message names the line.")}
	}
	known := map[string]bool{}
	s.fields(func(f reflect.StructField, _ reflect.Value) { known[f.Tag.Get("name")] = true })
	out, faults := map[string]string{}, []error(nil)
	for k, v := range raw {
		if !known[k] || k == "config" {
			faults = append(faults, fault.New(fmt.Sprintf("Unknown key %q in %s.", k, s.Config),
				"A misspelt setting would silently fall back to its default.", "Use the names of the flags that `bot serve --help` lists."))
			continue
		}
		switch v.(type) {
		case string, bool, int, int64, uint64, float64:
			out[k] = fmt.Sprint(v)
		default:
			faults = append(faults, fault.New(fmt.Sprintf("The key %q in %s has no value, or a list.", k, s.Config), "A setting is one text or number.", "Give it a value, or remove the line."))
		}
	}
	return out, faults
}

func (s *settings) validate() (faults []error) {
	missing := func(name, value, why string) {
		if value == "" || value == "0" {
			faults = append(faults, fault.New("The setting --"+name+" is missing.", why, "Give it as flag, as "+envName(name)+" or in the configuration file."))
		}
	}
	missing("data-dir", s.DataDir, "Tollgate keeps its database, plans and logs there.")
	missing("github-app-id", strconv.FormatInt(s.AppID, 10), "GitHub knows the App by it.")
	missing("github-app-key-file", s.AppKeyFile, "The App signs in with its private key.")
	missing("github-webhook-secret-file", s.SecretFile, "Without a secret anyone could send commands.")
	if s.PolicyDigest != "" && s.Policies == "" {
		faults = append(faults, fault.New("The setting --organisation-policies-digest is given without --organisation-policies.",
			"The built-in policies would be used in place of the organisation's.", "Say where the organisation's policies are, or leave the digest out."))
	}
	faults = append(faults, s.validateAccess()...)
	if s.Workers < 0 {
		faults = append(faults, fault.New("The setting --workers is negative.", "", "Use 0 to serve without working, or the number of plans at once."))
	}
	if every := s.Reconcile; every != 0 && every < time.Second || every > 10*time.Minute {
		faults = append(faults, fault.New(fmt.Sprintf("The setting --reconcile-every is not between 1s and 10m: %s.", every),
			"Webhooks get lost, and nothing else would tell of them in time.", "Write it as 60s or 5m, or leave it out; 0 turns it off."))
	}
	for name, value := range map[string]int{"policy-timeout": s.PolicyTimeout, "policy-memory": s.PolicyMemory, "sandbox-memory": s.SandboxMemory} {
		if value <= 0 {
			faults = append(faults, fault.New("The setting --"+name+" is not positive.", "What has no limit could take the machine along.", "Leave it out for the default."))
		}
	}
	for name, value := range map[string]time.Duration{"plan-max-age": s.PlanMaxAge, "apply-limit": s.ApplyLimit, "apply-grace": s.ApplyGrace} {
		if value <= 0 {
			faults = append(faults, fault.New("The setting --"+name+" is not positive.", "Nothing could be applied.", "Leave it out for the default."))
		}
	}
	switch {
	case s.LogRetention < 24*time.Hour:
		faults = append(faults, fault.New(fmt.Sprintf("The setting --log-retention is less than a day: %s.", s.LogRetention),
			"A log would be gone before anybody has read it; 0 is not for ever either, since what Terraform says may hold secrets.", "Write it in hours, such as 2160h for 90 days, or leave it out for 400 days."))
	case s.LogRetention < s.PlanMaxAge:
		faults = append(faults, fault.New("The setting --log-retention is less than --plan-max-age.", "A plan that may still be applied would be deleted.", "Raise the one, or lower the other."))
	}
	if s.Sandbox != "on" && s.Sandbox != "off" {
		faults = append(faults, fault.New(fmt.Sprintf("The setting --sandbox is %q.", s.Sandbox), "A misspelt word must not decide whether code of pull requests is confined.", "Write on or off."))
	}
	for name, value := range map[string]string{"github-url": s.GitHubURL, "public-url": s.PublicURL} {
		u, err := url.Parse(value)
		if value != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			faults = append(faults, fault.New(fmt.Sprintf("The setting --%s is not an address: %q.", name, value), "", "Write it with its scheme, such as https://github.example.com."))
		}
	}
	for name, value := range map[string]string{"database": s.Database, "artifacts": s.Artifacts, "artifact-key": s.ArtifactKey} {
		scheme, _, ok := strings.Cut(value, ":")
		want := map[string]string{"database": "sqlite", "artifacts": "file", "artifact-key": "file"}[name]
		if value != "" && (!ok || scheme != want) {
			faults = append(faults, fault.New(fmt.Sprintf("The setting --%s has a form that this version does not support: %q.", name, redactURL(value)),
				"Another place would silently not be used.", "Use "+want+":PATH, or leave it out for the default under --data-dir."))
		}
	}
	return faults
}

func (s *settings) validateAccess() (faults []error) {
	if (s.ClientID == "") != (s.ClientSecretFile == "") {
		faults = append(faults, fault.New("Only one of --github-client-id and --github-client-secret-file is given.", "Nobody could sign in to the pages.",
			"Give both; the App's settings page has the id and generates the secret."))
	}
	if s.ClientID != "" && s.PublicURL == "" {
		faults = append(faults, fault.New("The setting --public-url is missing.", "GitHub sends people who sign in back to it.", "Set it to the address at which browsers reach this server."))
	}
	switch {
	case s.WebAccess != "auto" && s.WebAccess != "open":
		faults = append(faults, fault.New(fmt.Sprintf("The setting --web-access is %q.", s.WebAccess), "A misspelt word must not decide who may see plans.", "Write auto or open."))
	case s.WebAccess == "open" && s.ClientID != "":
		faults = append(faults, fault.New("The setting --web-access is open although people can sign in.", "Plans would be shown to people who may not read the repository.", "Leave one of the two out."))
	}
	if u, err := url.Parse(s.PublicURL); s.ClientID != "" && err == nil && u.Scheme == "http" && !onlyHere(s.PublicURL) {
		faults = append(faults, fault.New("People would sign in over plain HTTP: "+s.PublicURL+".", "Whoever is on the way could take over their sessions.", "Put a proxy that ends TLS in front, and set --public-url to its https address."))
	}
	return faults
}

// redactURL keeps a password in a database address out of an error message.
func redactURL(s string) string {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok {
		return s
	}
	return scheme + ":…"
}

// path is the local path in a "scheme:path" setting, or the default under the data directory.
func (s *settings) path(value, def string) string {
	if _, p, ok := strings.Cut(value, ":"); ok {
		return strings.TrimPrefix(p, "//")
	}
	return filepath.Join(s.DataDir, def)
}

// readSecret reads a secret file. One that every user may read is reported, not refused: container
// platforms mount secrets that way.
func readSecret(log *slog.Logger, file, what string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(err, "The file with the "+what+" cannot be read: "+file+".", "The server cannot work without it.", "Check the path and that this user may read it.")
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.Warn("the "+what+" may be read by every user of this machine", "file", file, "fix", "chmod 0400")
	}
	return b, nil
}
