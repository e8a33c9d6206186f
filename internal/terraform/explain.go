package terraform

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// What went wrong, as far as the caller may want to act on it. Every error of Explain matches
// exactly one of them.
var (
	ErrStale         = errors.New("the saved plan is stale")
	ErrLocked        = errors.New("the state is locked")
	ErrConfiguration = errors.New("the configuration is wrong")
	ErrProvider      = errors.New("a provider is not available")
	ErrLockFile      = errors.New("the lock file does not fit")
	ErrModule        = errors.New("a module is not available")
	ErrBackend       = errors.New("the state cannot be reached")
	ErrCredentials   = errors.New("credentials are missing or refused")
	ErrStateNotSaved = errors.New("the new state could not be saved")
	ErrCrashed       = errors.New("terraform or a provider crashed")
	ErrInit          = errors.New("terraform asks for init")
	ErrResource      = errors.New("a resource failed")
	ErrIncomplete    = errors.New("the plan is not complete")
	ErrFailed        = errors.New("terraform failed")
)

// Failure is what Terraform said about its end. It stands behind the *fault.Error of Explain.
type Failure struct {
	Kind        error // one of the errors above
	Exit        int   // exit status; -1 when a signal ended the process
	Diagnostics []Diagnostic
	Lock        *Lock // who holds the state, with ErrLocked if Terraform could tell
	// Untouched says that Terraform certainly has changed nothing, not even the state: it stopped
	// while it was getting ready, and its output names no resource that it began with.
	Untouched bool
}

// Diagnostic is one error in Terraform's own words, which quote the configuration.
type Diagnostic struct {
	Summary string
	Detail  string
	Address string // the resource or module instance; empty if Terraform names none
	File    string // relative to the module's directory; empty if Terraform names none
	Line    int    // 1-based
}

// Lock is the holder of a state lock as it described itself.
type Lock struct {
	ID        string
	Who       string
	Operation string
	Created   time.Time // zero if it cannot be read
}

func (f *Failure) Error() string {
	if len(f.Diagnostics) == 0 {
		return fmt.Sprintf("%v (exit status %d)", f.Kind, f.Exit)
	}
	return fmt.Sprintf("%v (exit status %d): %s", f.Kind, f.Exit, f.Diagnostics[0].Summary)
}

func (f *Failure) Unwrap() error { return f.Kind }

// Explain turns the whole output and the exit status of a failed command into a *fault.Error around a
// *Failure. The verdict that it failed comes from the exit status alone; the output chooses the
// words. It returns nil for status 0.
func Explain(log []byte, exit int) error {
	if exit == 0 {
		return nil
	}
	text := strings.ReplaceAll(string(log), "\r\n", "\n")
	f := &Failure{Kind: ErrFailed, Exit: exit, Diagnostics: diagnostics(text)}
	words := unexplained(f)
	silent := onlyErrors(text)
	for _, c := range causes {
		if c.matches(f, silent) {
			f.Kind = c.kind
			words = c.words(f)
			break
		}
	}
	f.Untouched = silent && slices.Contains(gettingReady, f.Kind) &&
		!slices.ContainsFunc(f.Diagnostics, func(d Diagnostic) bool { return d.Address != "" && !strings.HasPrefix(d.Address, "provider[") })
	words.Err = f
	return words
}

// gettingReady are the kinds that end an apply before its first step.
var gettingReady = []error{
	ErrStale, ErrLocked, ErrConfiguration, ErrProvider, ErrLockFile, ErrModule, ErrBackend, ErrCredentials, ErrInit,
}

// cause recognises one kind of failure by the diagnostics.
type cause struct {
	kind  error
	match *regexp.Regexp // on "summary: detail" of any diagnostic, all in one line
	early bool           // only believed if no resource was begun with
	alone bool           // only of a diagnostic that names no resource
	words func(*Failure) *fault.Error
}

func (c cause) matches(f *Failure, silent bool) bool {
	if c.early && !silent {
		return false
	}
	for _, d := range f.Diagnostics {
		if c.alone && d.Address != "" {
			continue
		}
		if c.match.MatchString(d.Summary + ": " + strings.Join(strings.Fields(d.Detail), " ")) {
			return true
		}
	}
	return false
}

// causes in the order of precedence: what may have cost data comes first. Stale must be early,
// since a resource that was just created could print the same sentence.
var causes = []cause{
	{kind: ErrStateNotSaved, match: regexp.MustCompile(`^(Failed to save state|Failed to persist state to backend|Error saving state|Error writing state)`), words: fixed(
		"Terraform has changed resources but could not save the new state.",
		"The state no longer describes what exists; another apply now could create everything twice.",
		"Nothing runs on this project until a person has looked. The server keeps `errored.tfstate` for `terraform state push`.")},
	{kind: ErrCrashed, match: regexp.MustCompile(`^(Plugin did not respond|Request cancelled: The plugin|Failed to instantiate provider|Plugin error|Provider produced inconsistent)`), words: fixed(
		"A provider crashed or broke its contract.",
		"Terraform could not learn what it did last.",
		"Terraform's messages name the provider; if it repeats, try another version of it.")},
	{kind: ErrStale, early: true, match: regexp.MustCompile(`^Saved plan is stale`), words: fixed(
		"The state has changed since this plan was made.",
		"The plan would act on resources that are no longer as it shows them, so nothing was done.",
		"Comment `/plan` for a new one.")},
	{kind: ErrLocked, alone: true, match: regexp.MustCompile(`^Error acquiring the state lock`), words: lockedWords},
	{kind: ErrLockFile, match: regexp.MustCompile(`^(Inconsistent dependency lock file|Provider dependency changes detected|Dependency lock file|Failed to install provider: .*(checksum|lock file)|.*doesn't match any of the checksums|.*does not match any of the checksums)`), words: fixed(
		"The lock file `.terraform.lock.hcl` does not fit the configuration or the providers.",
		"It vouches for the providers that run with your credentials, so Tollgate never changes it.",
		"Run `terraform init` (or `terraform providers lock`) and commit the lock file.")},
	{kind: ErrInit, match: regexp.MustCompile(`^(Module not installed|Module source has changed|Module version requirements have changed|Required plugins are not installed|Backend initialization required|Missing required provider|.*there is no package for .* cached in)`), words: fixed(
		"Terraform asks to be initialised again.",
		"What init has prepared does not fit this configuration.",
		"Comment `/plan`; if it repeats, please report it.")},
	{kind: ErrProvider, match: regexp.MustCompile(`^(Failed to query available provider packages|Failed to install provider|Failed to resolve provider packages|Invalid provider registry host|Incompatible provider version|Provider not available|Failed to load plugin schemas)`), words: fixed(
		"Terraform cannot get a provider that this configuration needs.",
		"Without it nothing can be planned.",
		"Check the provider's source and version; if both are right, the server's mirror or its way to the registry is at fault.")},
	{kind: ErrModule, match: regexp.MustCompile(`^(Failed to download module|Unreadable module directory|Module not found|Error accessing remote module registry|Invalid registry module source address|Unresolvable module version constraint)`), words: fixed(
		"Terraform cannot get a module that this configuration uses.",
		"Without it nothing can be planned.",
		"Check the module's source and version, and that the server may read it.")},
	{kind: ErrCredentials, match: regexp.MustCompile(`^No valid credential sources|ExpiredToken|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|no EC2 IMDS role found|Invalid provider configuration: .*credential|AccessDenied|StatusCode: 403`), words: fixed(
		"The cloud refused the credentials, or there are none.",
		"Terraform needs them for the state and for the resources.",
		"This is for whoever runs Tollgate: check the credentials of the server and their permissions.")},
	{kind: ErrBackend, alone: true, match: regexp.MustCompile(`^(Failed to get existing workspaces|Error loading state|Error refreshing state|Failed to load state|Error inspecting states|Unable to access object|Failed to (load|read) backend|validating provider credentials|Error loading backend config|Invalid backend configuration|Error configuring the backend|Initialization required)|S3 bucket .* does not exist|NoSuchBucket|connect: connection refused|no such host`), words: fixed(
		"Terraform cannot reach its state.",
		"Without the state nothing can be planned or applied.",
		"Terraform's messages name the host or bucket. Comment `/plan` when it answers again.")},
	{kind: ErrConfiguration, alone: true, match: regexp.MustCompile(`^(Unsupported Terraform Core version|No value for required variable|Invalid|Unsupported|Missing|Reference to undeclared|Duplicate|Unclosed|Argument)`), words: configurationWords},
}

func fixed(what, why, fix string) func(*Failure) *fault.Error {
	return func(*Failure) *fault.Error { return fault.New(what, why, fix) }
}

func lockedWords(f *Failure) *fault.Error {
	what, fix := "The state is locked by somebody else.", "Comment `/plan` when the other run has ended."
	for _, d := range f.Diagnostics {
		if f.Lock == nil {
			f.Lock = parseHolder(d.Detail)
		}
	}
	if l := f.Lock; l != nil {
		what = fmt.Sprintf("The state is locked by %s (%s", l.Who, strings.TrimPrefix(l.Operation, "OperationType"))
		if !l.Created.IsZero() {
			what += " since " + l.Created.UTC().Format("2006-01-02 15:04:05 UTC")
		}
		what += ")."
		fix += fmt.Sprintf(" If that run is dead, find out what it has done before anyone runs `terraform force-unlock %s`.", l.ID)
	}
	return fault.New(what, "Two runs that write one state lose each other's work, so Tollgate waited, and then did nothing.", fix)
}

func configurationWords(f *Failure) *fault.Error {
	d := f.Diagnostics[0]
	what := "Terraform does not accept the configuration."
	if d.File != "" {
		what = fmt.Sprintf("Terraform does not accept `%s`, line %d.", d.File, d.Line)
	}
	return fault.New(what, d.Summary+".", "Correct it and push; `terraform validate` says the same on your machine.")
}

func unexplained(f *Failure) *fault.Error {
	if f.Exit < 0 {
		f.Kind = ErrCrashed
		return fault.New("Terraform was killed.", "Nobody can tell what it did last.", "The server's log has the details.")
	}
	if len(f.Diagnostics) > 0 && f.Diagnostics[0].Address != "" {
		f.Kind = ErrResource
		d := f.Diagnostics[0]
		return fault.New(fmt.Sprintf("Terraform failed at `%s`.", d.Address), d.Summary+".", "Terraform's messages say more.")
	}
	if len(f.Diagnostics) > 0 && f.Diagnostics[0].File != "" {
		f.Kind = ErrConfiguration
		return configurationWords(f)
	}
	return fault.New("Terraform ended with an error.", "", "Terraform's messages say more.")
}

var (
	diagStart = regexp.MustCompile(`^(Error|Warning): (.+)$`)
	diagWith  = regexp.MustCompile(`^  with (.+),$`)
	diagPlace = regexp.MustCompile(`^  on (.+?) line (\d+)(?:,|:)`)
	boxed     = regexp.MustCompile(`^[│╷╵] ?`)
)

// preamble starts an error that only says that others follow.
const preamble = "Terraform encountered problems during initialisation"

// diagnostics reads the errors in Terraform's uncoloured output. The summary goes on to the first
// empty line.
func diagnostics(text string) []Diagnostic {
	var all []Diagnostic
	var d *Diagnostic
	blank, heading := true, false
	for line := range strings.SplitSeq(text, "\n") {
		line = boxed.ReplaceAllString(line, "")
		if m := diagStart.FindStringSubmatch(line); m != nil && blank {
			d, heading = nil, true
			if m[1] == "Error" && !strings.HasPrefix(m[2], preamble) {
				all = append(all, Diagnostic{Summary: m[2]})
				d = &all[len(all)-1]
			}
			blank = false
			continue
		}
		blank = strings.TrimSpace(line) == ""
		heading = heading && !blank
		switch {
		case d != nil && heading:
			d.Summary += " " + line
		case d != nil:
			d.add(line)
		}
	}
	for i := range all {
		all[i].Summary = strings.TrimSuffix(all[i].Summary, ".")
		all[i].Detail = strings.Trim(all[i].Detail, "\n")
	}
	return all
}

func (d *Diagnostic) add(line string) {
	if m := diagWith.FindStringSubmatch(line); m != nil && d.Address == "" {
		d.Address = m[1]
	}
	if m := diagPlace.FindStringSubmatch(line); m != nil && d.File == "" {
		d.File = m[1]
		// The pattern admits digits only; a number too large for int means no line.
		d.Line, _ = strconv.Atoi(m[2])
	}
	d.Detail += line + "\n"
}

// progress is what Terraform prints when it starts on a resource, such as "aws_x.y: Creating...".
var progress = regexp.MustCompile(`^\S.*: .*\.\.\.`)

// onlyErrors reports whether the output holds nothing before its first error but warnings and words
// about the lock. Code of a pull request cannot feign that: before it runs, its resource is named.
func onlyErrors(text string) bool {
	warned := false
	for line := range strings.SplitSeq(text, "\n") {
		line = boxed.ReplaceAllString(line, "")
		switch {
		case strings.HasPrefix(line, "Error: "):
			return true
		case strings.HasPrefix(line, "Warning: "):
			warned = true
		case progress.MatchString(line):
			return false
		case warned, strings.TrimSpace(line) == "", strings.HasPrefix(line, "Acquiring state lock."), strings.HasPrefix(line, "Releasing state lock."):
		default:
			return false
		}
	}
	return false
}

var holderField = regexp.MustCompile(`(?m)^  (ID|Who|Operation|Created): +(.+)$`)

func parseHolder(detail string) *Lock {
	l := &Lock{}
	for _, m := range holderField.FindAllStringSubmatch(detail, -1) {
		switch m[1] {
		case "ID":
			l.ID = m[2]
		case "Who":
			l.Who = m[2]
		case "Operation":
			l.Operation = m[2]
		case "Created":
			// A holder that writes its time in another way is still a holder.
			l.Created, _ = time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", m[2])
		}
	}
	if l.ID == "" {
		return nil
	}
	return l
}
